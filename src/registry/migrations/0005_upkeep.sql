-- When each tenant's lake is looked at next, so that idle tenants need not be opened to know that they are idle.
-- No row: as soon as possible.
CREATE TABLE upkeep (
    tenant_id    INTEGER NOT NULL,
    incarnation  INTEGER NOT NULL,
    due_at_ms    INTEGER NOT NULL,
    done_at_ms   INTEGER,
    last_error   TEXT,
    PRIMARY KEY (tenant_id, incarnation),
    FOREIGN KEY (tenant_id, incarnation) REFERENCES tenants (tenant_id, incarnation)
) STRICT, WITHOUT ROWID;

-- Time from an anomaly's creation during which it is kept. No value: the server's default.
ALTER TABLE tenants ADD COLUMN anomaly_retention_ms INTEGER CHECK (anomaly_retention_ms >= 1);

-- Evidence files by age, so that finding those to forget is one index range per tenant.
CREATE INDEX evidence_by_age ON evidence (tenant_id, incarnation, created_at_ms) WHERE file IS NOT NULL;
