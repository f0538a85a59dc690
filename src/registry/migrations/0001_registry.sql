-- Everything transactional of one server. Times are ms since epoch, UTC. Tables are STRICT, so that a
-- value of another type is an error here and not a surprise for a reader.

-- `data_format` names the format of the whole data directory; opening refuses one it does not know.
CREATE TABLE meta (
    key   TEXT PRIMARY KEY NOT NULL,
    value TEXT NOT NULL
) STRICT;
INSERT INTO meta (key, value) VALUES ('data_format', '1');

-- One row per life of a tenant. Dropped lives stay: they keep incarnations from being used again.
CREATE TABLE tenants (
    tenant_id                     INTEGER NOT NULL CHECK (tenant_id BETWEEN 1 AND 9007199254740991),
    incarnation                   INTEGER NOT NULL CHECK (incarnation >= 1),
    name                          TEXT    NOT NULL,
    created_at_ms                 INTEGER NOT NULL,
    state                         TEXT    NOT NULL CHECK (state IN ('active', 'dropping', 'dropped')),
    dropped_at_ms                 INTEGER,
    anomalous_activity_since_ms   INTEGER,
    availability_delay_ms         INTEGER CHECK (availability_delay_ms >= 0),
    recency_ms                    INTEGER CHECK (recency_ms >= 0),
    max_activities                INTEGER CHECK (max_activities >= 1),
    activity_retention_ms         INTEGER CHECK (activity_retention_ms >= 1),
    PRIMARY KEY (tenant_id, incarnation)
) STRICT;
CREATE UNIQUE INDEX tenants_live ON tenants (tenant_id) WHERE state <> 'dropped';

-- E-mail addresses are stored in the lower-cased form that comparisons use.
CREATE TABLE users (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    email          TEXT    NOT NULL UNIQUE,
    password_hash  TEXT    NOT NULL,
    enabled        INTEGER NOT NULL CHECK (enabled IN (0, 1)),
    created_at_ms  INTEGER NOT NULL
) STRICT;

CREATE TABLE user_roles (
    user_id        INTEGER NOT NULL REFERENCES users (id),
    tenant_id      INTEGER NOT NULL,
    incarnation    INTEGER NOT NULL,
    role           TEXT    NOT NULL CHECK (role IN ('reader', 'manager', 'admin')),
    granted_at_ms  INTEGER NOT NULL,
    PRIMARY KEY (user_id, tenant_id, incarnation),
    FOREIGN KEY (tenant_id, incarnation) REFERENCES tenants (tenant_id, incarnation)
) STRICT;
CREATE INDEX user_roles_by_tenant ON user_roles (tenant_id, incarnation);

-- `hash` is the SHA-256 of the whole token text; the text itself is never stored.
CREATE TABLE tokens (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant_id        INTEGER NOT NULL,
    incarnation      INTEGER NOT NULL,
    user_id          INTEGER REFERENCES users (id),
    name             TEXT,
    kind             TEXT    NOT NULL,
    hash             BLOB    NOT NULL UNIQUE CHECK (length(hash) = 32),
    scopes           TEXT    NOT NULL,
    created_at_ms    INTEGER NOT NULL,
    expires_at_ms    INTEGER,
    last_used_at_ms  INTEGER,
    revoked_at_ms    INTEGER,
    FOREIGN KEY (tenant_id, incarnation) REFERENCES tenants (tenant_id, incarnation)
) STRICT;
CREATE INDEX tokens_by_tenant ON tokens (tenant_id, incarnation, id);
CREATE INDEX tokens_by_user ON tokens (user_id) WHERE user_id IS NOT NULL;

-- AUTOINCREMENT: one sequence per server, and a number is never given twice, not even after a drop.
CREATE TABLE anomalies (
    id              INTEGER PRIMARY KEY AUTOINCREMENT CHECK (id < 9007199254740992),
    tenant_id       INTEGER NOT NULL,
    incarnation     INTEGER NOT NULL,
    user            TEXT,
    user_key        TEXT,
    from_ms         INTEGER NOT NULL,
    to_ms           INTEGER NOT NULL,
    where_sql       TEXT,
    score           REAL,
    category        TEXT,
    source          TEXT,
    reason          TEXT,
    activity        TEXT,
    created_at_ms   INTEGER NOT NULL,
    modified_at_ms  INTEGER NOT NULL,
    CHECK (from_ms <= to_ms),
    CHECK ((user IS NULL) = (user_key IS NULL)),
    CHECK (user IS NOT NULL OR where_sql IS NOT NULL),
    FOREIGN KEY (tenant_id, incarnation) REFERENCES tenants (tenant_id, incarnation)
) STRICT;
CREATE INDEX anomalies_by_tenant ON anomalies (tenant_id, incarnation, id);
CREATE INDEX anomalies_by_user ON anomalies (tenant_id, incarnation, user_key, created_at_ms);

-- One row per anomaly, made with it. Tenant and creation are repeated here so that finding what is due
-- is one index range per tenant. `number` is the last one that any attempt used for a file name.
CREATE TABLE evidence (
    anomaly_id          INTEGER PRIMARY KEY REFERENCES anomalies (id) ON DELETE CASCADE,
    tenant_id           INTEGER NOT NULL,
    incarnation         INTEGER NOT NULL,
    created_at_ms       INTEGER NOT NULL,
    number              INTEGER NOT NULL DEFAULT 0,
    file                TEXT,
    rows                INTEGER,
    bytes               INTEGER,
    sha256              TEXT,
    lake_version        INTEGER,
    row_cap             INTEGER,
    made_at_ms          INTEGER,
    attempts            INTEGER NOT NULL DEFAULT 0,
    last_error          TEXT,
    next_attempt_at_ms  INTEGER NOT NULL DEFAULT 0,
    CHECK (file IS NULL OR (rows IS NOT NULL AND bytes IS NOT NULL AND sha256 IS NOT NULL
        AND lake_version IS NOT NULL AND row_cap IS NOT NULL AND made_at_ms IS NOT NULL))
) STRICT;
CREATE INDEX evidence_missing ON evidence (tenant_id, incarnation, created_at_ms) WHERE file IS NULL;
CREATE INDEX evidence_files ON evidence (tenant_id, incarnation, file) WHERE file IS NOT NULL;

-- `group_number` is the number that the lake's commit carries; it decides the fate of pending keys.
CREATE TABLE idempotency (
    tenant_id      INTEGER NOT NULL,
    incarnation    INTEGER NOT NULL,
    route          TEXT    NOT NULL,
    key            TEXT    NOT NULL,
    body_hash      BLOB    NOT NULL CHECK (length(body_hash) = 32),
    group_number   INTEGER NOT NULL,
    state          TEXT    NOT NULL CHECK (state IN ('pending', 'done')),
    answer_status  INTEGER NOT NULL,
    answer_body    BLOB    NOT NULL,
    created_at_ms  INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, incarnation, route, key),
    FOREIGN KEY (tenant_id, incarnation) REFERENCES tenants (tenant_id, incarnation)
) STRICT;
CREATE INDEX idempotency_pending ON idempotency (tenant_id, incarnation, route, group_number) WHERE state = 'pending';
CREATE INDEX idempotency_by_age ON idempotency (created_at_ms);

-- No foreign keys: the trail outlives what it tells of.
CREATE TABLE audit (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms        INTEGER NOT NULL,
    tenant_id    INTEGER,
    incarnation  INTEGER,
    principal    TEXT    NOT NULL,
    address      TEXT,
    action       TEXT    NOT NULL,
    target       TEXT,
    detail       TEXT    NOT NULL CHECK (json_valid(detail)),
    rows         INTEGER,
    CHECK ((tenant_id IS NULL) = (incarnation IS NULL))
) STRICT;
CREATE INDEX audit_by_tenant ON audit (tenant_id, at_ms);
