-- Saved exports: results that are made in the background into a file and downloaded later. The row is
-- the commit: a file that no row in state `ready` names is garbage.
CREATE TABLE exports (
    id                  INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant_id           INTEGER NOT NULL,
    incarnation         INTEGER NOT NULL,
    -- Who asked for it, as the audit trail names principals.
    owner               TEXT    NOT NULL,
    -- Name of the file at its receiver; one is made up when there is none.
    name                TEXT,
    -- What to export: a statement with its parameters (JSON), or an anomaly.
    sql                 TEXT,
    params              TEXT,
    anomaly_id          INTEGER,
    format              TEXT    NOT NULL,
    escape_formulas     INTEGER NOT NULL CHECK (escape_formulas IN (0, 1)),
    created_at_ms       INTEGER NOT NULL,
    state               TEXT    NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'running', 'ready', 'failed')),
    -- Attempts begun, counted before each begins, so that one that kills the process counts too.
    attempts            INTEGER NOT NULL DEFAULT 0,
    next_attempt_at_ms  INTEGER NOT NULL DEFAULT 0,
    started_at_ms       INTEGER,
    finished_at_ms      INTEGER,
    -- When row and file go; counted from the end of the work.
    expires_at_ms       INTEGER,
    last_error          TEXT,
    -- Below the tenant's folder of exports.
    file                TEXT,
    rows                INTEGER,
    bytes               INTEGER,
    sha256              TEXT,
    FOREIGN KEY (tenant_id, incarnation) REFERENCES tenants (tenant_id, incarnation),
    CHECK ((sql IS NULL) <> (anomaly_id IS NULL)),
    CHECK ((state = 'ready') = (file IS NOT NULL)),
    CHECK ((state IN ('ready', 'failed')) = (expires_at_ms IS NOT NULL))
) STRICT;
CREATE INDEX exports_by_tenant ON exports (tenant_id, incarnation, id);
CREATE INDEX exports_pending ON exports (tenant_id, incarnation, id) WHERE state = 'pending';
CREATE INDEX exports_by_expiry ON exports (expires_at_ms) WHERE expires_at_ms IS NOT NULL;
