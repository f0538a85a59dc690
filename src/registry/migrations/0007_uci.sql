-- User Confidence Index: impacts and resets as anomalies, the users they are about, alerts, reset rules.

-- No value: the server's default.
ALTER TABLE tenants ADD COLUMN uci_window_ms INTEGER CHECK (uci_window_ms BETWEEN 1 AND 7776000000);
ALTER TABLE tenants ADD COLUMN uci_threshold INTEGER CHECK (uci_threshold BETWEEN 0 AND 1000);
-- Requests a second; 0 is no limit.
ALTER TABLE tenants ADD COLUMN api_rate INTEGER CHECK (api_rate >= 0);

-- What makes an anomaly one of the index; the rest of it is in `anomalies`. Ids are given in the order of
-- commits, and so are `anomalies.created_at_ms` of these rows: pages are ordered by id alone. `source` is repeated
-- for its index. Resets have no points and are never allowed.
CREATE TABLE uci_anomalies (
    anomaly_id     INTEGER PRIMARY KEY REFERENCES anomalies (id) ON DELETE CASCADE,
    tenant_id      INTEGER NOT NULL,
    incarnation    INTEGER NOT NULL,
    user_key       TEXT    NOT NULL,
    activity       TEXT    NOT NULL CHECK (activity IN ('impact', 'reset')),
    time_ms        INTEGER NOT NULL,
    points         INTEGER NOT NULL,
    source         TEXT    NOT NULL,
    alert_id       INTEGER NOT NULL,
    allowed_at_ms  INTEGER,
    allow_reason   TEXT,
    CHECK (CASE activity WHEN 'impact' THEN points BETWEEN 1 AND 1000 ELSE points = 0 AND allowed_at_ms IS NULL END),
    CHECK (allowed_at_ms IS NOT NULL OR allow_reason IS NULL)
) STRICT;
-- Along the ids of one tenant.
CREATE INDEX uci_anomalies_by_tenant ON uci_anomalies (tenant_id, incarnation);
-- A score, and a search by users, without touching the table.
CREATE INDEX uci_anomalies_by_user
    ON uci_anomalies (tenant_id, incarnation, user_key, activity, time_ms, points, allowed_at_ms, source);
CREATE INDEX uci_anomalies_by_source ON uci_anomalies (tenant_id, incarnation, source, activity, time_ms);
CREATE INDEX uci_anomalies_by_time ON uci_anomalies (tenant_id, incarnation, activity, time_ms);

-- The whole of an anomaly of the index.
CREATE VIEW uci_records AS
SELECT u.*, a.user, a.reason, a.created_at_ms FROM uci_anomalies u JOIN anomalies a ON a.id = u.anomaly_id;

-- The people whom impacts and resets are about; not the `users` who sign in. `points` is what counts from `holds_from_ms`
-- until before `holds_until_ms` under `window_ms`: a score is served from here within these bounds, and computed
-- from the impacts outside of them. `score` is the one that alerts have told.
CREATE TABLE monitored_users (
    tenant_id       INTEGER NOT NULL,
    incarnation     INTEGER NOT NULL,
    user_key        TEXT    NOT NULL,
    user            TEXT    NOT NULL,
    first_seen_ms   INTEGER NOT NULL,
    last_impact_ms  INTEGER,
    score           INTEGER NOT NULL CHECK (score BETWEEN 0 AND 1000),
    points          INTEGER NOT NULL CHECK (points >= 0),
    holds_from_ms   INTEGER NOT NULL,
    holds_until_ms  INTEGER NOT NULL,
    window_ms       INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, incarnation, user_key),
    FOREIGN KEY (tenant_id, incarnation) REFERENCES tenants (tenant_id, incarnation)
) STRICT, WITHOUT ROWID;
-- Whose score time has changed, or another window.
CREATE INDEX monitored_users_stale ON monitored_users (tenant_id, incarnation, window_ms, holds_until_ms);

-- Alerts never change. AUTOINCREMENT: a number is never given twice, or a cursor would skip an alert.
-- `made_at_ms` never falls along the ids of a tenant. No reference to the anomaly: an alert has an age of its own.
CREATE TABLE alerts (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant_id    INTEGER NOT NULL,
    incarnation  INTEGER NOT NULL,
    made_at_ms   INTEGER NOT NULL,
    name         TEXT    NOT NULL,
    anomaly_id   INTEGER,
    user_key     TEXT    NOT NULL,
    user         TEXT    NOT NULL,
    activity     TEXT    NOT NULL,
    severity     TEXT    NOT NULL,
    points       INTEGER NOT NULL,
    score        INTEGER NOT NULL CHECK (score BETWEEN 0 AND 1000),
    source       TEXT    NOT NULL,
    reason       TEXT    NOT NULL,
    FOREIGN KEY (tenant_id, incarnation) REFERENCES tenants (tenant_id, incarnation)
) STRICT;
CREATE INDEX alerts_by_time ON alerts (tenant_id, incarnation, made_at_ms);
CREATE INDEX alerts_by_user ON alerts (tenant_id, incarnation, user_key, made_at_ms);

-- Where readers of alerts are. The last page is what lies behind (`page_ms`, `page_id`) up to (`next_ms`, `next_id`).
CREATE TABLE alert_cursors (
    tenant_id    INTEGER NOT NULL,
    incarnation  INTEGER NOT NULL,
    name         TEXT    NOT NULL,
    page_ms      INTEGER NOT NULL,
    page_id      INTEGER NOT NULL,
    next_ms      INTEGER NOT NULL,
    next_id      INTEGER NOT NULL,
    moved_at_ms  INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, incarnation, name),
    FOREIGN KEY (tenant_id, incarnation) REFERENCES tenants (tenant_id, incarnation)
) STRICT, WITHOUT ROWID;

-- Idempotency keys of impacts; the answer is the anomaly itself.
CREATE TABLE impact_keys (
    tenant_id      INTEGER NOT NULL,
    incarnation    INTEGER NOT NULL,
    key            TEXT    NOT NULL,
    body_hash      BLOB    NOT NULL CHECK (length(body_hash) = 32),
    anomaly_id     INTEGER NOT NULL,
    created_at_ms  INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, incarnation, key),
    FOREIGN KEY (tenant_id, incarnation) REFERENCES tenants (tenant_id, incarnation)
) STRICT, WITHOUT ROWID;
CREATE INDEX impact_keys_by_age ON impact_keys (created_at_ms);

-- Resets that recur. `next_run_ms` is none while a rule is not enabled. A run goes through the users in the order of
-- their keys, some in each transaction; `run_after_key` is how far the run under way has come.
CREATE TABLE reset_rules (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant_id       INTEGER NOT NULL,
    incarnation     INTEGER NOT NULL,
    name            TEXT    NOT NULL,
    users           TEXT    NOT NULL CHECK (json_valid(users) AND json_type(users) = 'array'),
    schedule        TEXT    NOT NULL CHECK (schedule IN ('daily', 'weekly', 'monthly')),
    at              TEXT    NOT NULL,
    weekday         TEXT,
    day_of_month    INTEGER CHECK (day_of_month BETWEEN 1 AND 28),
    enabled         INTEGER NOT NULL CHECK (enabled IN (0, 1)),
    created_at_ms   INTEGER NOT NULL,
    modified_at_ms  INTEGER NOT NULL,
    last_run_ms     INTEGER,
    next_run_ms     INTEGER,
    run_after_key   TEXT,
    FOREIGN KEY (tenant_id, incarnation) REFERENCES tenants (tenant_id, incarnation)
) STRICT;
CREATE INDEX reset_rules_by_tenant ON reset_rules (tenant_id, incarnation, id);
CREATE INDEX reset_rules_due ON reset_rules (next_run_ms) WHERE next_run_ms IS NOT NULL;
