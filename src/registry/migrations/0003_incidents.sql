-- Incidents: the handling of anomalies. An incident is its anomaly, so it has no table of its own.

ALTER TABLE anomalies ADD COLUMN status TEXT NOT NULL DEFAULT 'new'
    CHECK (status IN ('new', 'opened', 'false positive', 'resolved', 'suppressed', 'archived'));
-- When something last changed that matters to whoever handles it; between creation and `modified_at_ms`.
ALTER TABLE anomalies ADD COLUMN significant_at_ms INTEGER NOT NULL DEFAULT 0;
-- The form of `category` that comparisons use.
ALTER TABLE anomalies ADD COLUMN category_key TEXT;
-- The measured value that was out of the ordinary.
ALTER TABLE anomalies ADD COLUMN value REAL;
ALTER TABLE anomalies ADD COLUMN service_names TEXT NOT NULL DEFAULT '[]'
    CHECK (json_valid(service_names) AND json_type(service_names) = 'array');
ALTER TABLE anomalies ADD COLUMN instance_id INTEGER;
ALTER TABLE anomalies ADD COLUMN instance_name TEXT;

UPDATE anomalies SET significant_at_ms = modified_at_ms, category_key = lower(trim(category));

CREATE INDEX anomalies_by_modified ON anomalies (tenant_id, incarnation, modified_at_ms, id);
CREATE INDEX anomalies_by_created ON anomalies (tenant_id, incarnation, created_at_ms, id);
CREATE INDEX anomalies_by_status ON anomalies (tenant_id, incarnation, status, id);

-- A tenant's clock of modifications: `modified_at_ms` comes from here and nowhere else. It never runs
-- backwards, and a time with `used` at its maximum is given no more.
CREATE TABLE modified_clock (
    tenant_id    INTEGER NOT NULL,
    incarnation  INTEGER NOT NULL,
    last_ms      INTEGER NOT NULL,
    used         INTEGER NOT NULL CHECK (used BETWEEN 0 AND 1000),
    PRIMARY KEY (tenant_id, incarnation),
    FOREIGN KEY (tenant_id, incarnation) REFERENCES tenants (tenant_id, incarnation)
) STRICT, WITHOUT ROWID;
INSERT INTO modified_clock (tenant_id, incarnation, last_ms, used)
    SELECT tenant_id, incarnation, MAX(modified_at_ms), 1000 FROM anomalies GROUP BY tenant_id, incarnation;

-- Every change of a status: when, by whom, from what to what. Rows are only ever added.
CREATE TABLE incident_history (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    anomaly_id   INTEGER NOT NULL REFERENCES anomalies (id) ON DELETE CASCADE,
    at_ms        INTEGER NOT NULL,
    principal    TEXT    NOT NULL,
    from_status  TEXT    NOT NULL,
    to_status    TEXT    NOT NULL
) STRICT;
CREATE INDEX incident_history_by_anomaly ON incident_history (anomaly_id, id);
