-- Storage of a tenant: how much it may use, and how much its evidence files use. What its activities use
-- is known to the lake alone.

-- No value: no limit.
ALTER TABLE tenants ADD COLUMN quota_bytes INTEGER CHECK (quota_bytes >= 0);

-- The sum of evidence.bytes of one life of a tenant, asked for by every ingest under a quota. A table of
-- its own and not a column of `tenants`: changes of that one empty the cache of credentials. Kept by
-- triggers, so that no function that writes evidence can forget it.
CREATE TABLE evidence_usage (
    tenant_id    INTEGER NOT NULL,
    incarnation  INTEGER NOT NULL,
    bytes        INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, incarnation)
) STRICT, WITHOUT ROWID;

INSERT INTO evidence_usage (tenant_id, incarnation, bytes)
SELECT tenant_id, incarnation, SUM(bytes) FROM evidence WHERE bytes IS NOT NULL GROUP BY tenant_id, incarnation;

CREATE TRIGGER evidence_usage_insert AFTER INSERT ON evidence WHEN NEW.bytes IS NOT NULL
BEGIN
    INSERT INTO evidence_usage (tenant_id, incarnation, bytes) VALUES (NEW.tenant_id, NEW.incarnation, NEW.bytes)
    ON CONFLICT DO UPDATE SET bytes = bytes + excluded.bytes;
END;

CREATE TRIGGER evidence_usage_update AFTER UPDATE OF bytes ON evidence WHEN NEW.bytes IS NOT OLD.bytes
BEGIN
    INSERT INTO evidence_usage (tenant_id, incarnation, bytes)
    VALUES (NEW.tenant_id, NEW.incarnation, COALESCE(NEW.bytes, 0) - COALESCE(OLD.bytes, 0))
    ON CONFLICT DO UPDATE SET bytes = bytes + excluded.bytes;
END;

CREATE TRIGGER evidence_usage_delete AFTER DELETE ON evidence WHEN OLD.bytes IS NOT NULL
BEGIN
    UPDATE evidence_usage SET bytes = bytes - OLD.bytes
    WHERE tenant_id = OLD.tenant_id AND incarnation = OLD.incarnation;
END;
