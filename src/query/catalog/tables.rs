//! The tables of the registry that a statement can name.

use super::describe::{ColumnKind, RegistryColumn};
use super::registry_table::{Definition, Key};

/// All of them. Principals are none of them and never will be.
pub(super) static ALL: [&Definition; 4] = [&ANOMALIES, &IMPACTS, &USERS, &ALERTS];

const fn column(
    name: &'static str,
    kind: ColumnKind,
    expression: &'static str,
    meaning: &'static str,
    unit: &'static str,
) -> RegistryColumn {
    RegistryColumn { name, kind, nullable: true, expression, indexed: false, meaning, unit }
}

const fn required(
    name: &'static str,
    kind: ColumnKind,
    expression: &'static str,
    meaning: &'static str,
    unit: &'static str,
) -> RegistryColumn {
    RegistryColumn { nullable: false, ..column(name, kind, expression, meaning, unit) }
}

/// A column by which SQLite seeks in a page's statement: it prefers the order of the key to an index of users, which
/// leads to no order.
const fn indexed(column: RegistryColumn) -> RegistryColumn {
    RegistryColumn { indexed: true, ..column }
}

/// Anomalies and the state of their evidence.
static ANOMALIES: Definition = Definition {
    name: "anomalies",
    meaning: "one anomaly: whose activities, of which window, and why they matter",
    from: "anomalies r LEFT JOIN evidence e ON e.anomaly_id = r.id",
    key: Key::Number("r.id"),
    momentary: false,
    columns: &[
        indexed(required("anomalyId", ColumnKind::Integer, "r.id", "number of the anomaly", "")),
        column("user", ColumnKind::Text, "r.user", "the user as the source spells it; none for any", ""),
        column("userKey", ColumnKind::Text, "r.user_key", "`user` trimmed and lower-cased; match users by it", ""),
        required("windowFrom", ColumnKind::Time, "r.from_ms", "first moment of the window", "UTC"),
        required("windowTo", ColumnKind::Time, "r.to_ms", "first moment after the window; may lie ahead", "UTC"),
        column("condition", ColumnKind::Text, "r.where_sql", "which activities, beside user and window", "SQL"),
        indexed(required("status", ColumnKind::Text, "r.status", "how far its handling has come", "new, opened, …")),
        column("score", ColumnKind::Double, "r.score", "risk score", ""),
        column("category", ColumnKind::Text, "r.category", "category, for example `Insider Threats`", ""),
        column("source", ColumnKind::Text, "r.source", "what reported it", ""),
        column("reason", ColumnKind::Text, "r.reason", "why it was reported", ""),
        column("activity", ColumnKind::Text, "r.activity", "what the user did, in words", ""),
        column(
            "value",
            ColumnKind::Double,
            "r.value",
            "the measured value that was out of the ordinary",
            "by category",
        ),
        required("serviceNames", ColumnKind::Texts, "r.service_names", "cloud services that it concerns", ""),
        column("instanceId", ColumnKind::Integer, "r.instance_id", "connected instance of the service", ""),
        column("instanceName", ColumnKind::Text, "r.instance_name", "name of that instance", ""),
        required("createdAt", ColumnKind::Time, "r.created_at_ms", "when it counts as created", "UTC"),
        required("modifiedAt", ColumnKind::Time, "r.modified_at_ms", "when it was last changed", "UTC"),
        column(
            "evidenceRows",
            ColumnKind::Integer,
            "e.rows",
            "activities in its evidence; none before it is made",
            "rows",
        ),
        column("evidenceMadeAt", ColumnKind::Time, "e.made_at_ms", "when its evidence was last made", "UTC"),
    ],
};

/// Impacts and resets of the User Confidence Index.
static IMPACTS: Definition = Definition {
    name: "impacts",
    meaning: "one impact on a user's confidence, or one reset",
    from: "uci_anomalies r JOIN anomalies a ON a.id = r.anomaly_id",
    key: Key::Number("r.anomaly_id"),
    momentary: false,
    columns: &[
        indexed(required("anomalyId", ColumnKind::Integer, "r.anomaly_id", "number of the anomaly that it is", "")),
        required("user", ColumnKind::Text, "a.user", "the user as the source spells it", ""),
        required("userKey", ColumnKind::Text, "r.user_key", "`user` trimmed and lower-cased; match users by it", ""),
        required("activity", ColumnKind::Text, "r.activity", "what it is", "impact or reset"),
        required("time", ColumnKind::Time, "r.time_ms", "when it happened; an impact counts from then on", "UTC"),
        required(
            "points",
            ColumnKind::Integer,
            "r.points",
            "points that it takes off the score",
            "1 to 1000; 0 for a reset",
        ),
        required("source", ColumnKind::Text, "r.source", "what reported it", ""),
        column("reason", ColumnKind::Text, "a.reason", "why it was reported", ""),
        required("alertId", ColumnKind::Integer, "r.alert_id", "the alert that it gave", ""),
        column(
            "allowedAt",
            ColumnKind::Time,
            "r.allowed_at_ms",
            "when it was found to be no risk; it never counts then",
            "UTC",
        ),
        column("allowReason", ColumnKind::Text, "r.allow_reason", "why it is no risk", ""),
        required("createdAt", ColumnKind::Time, "a.created_at_ms", "when it was accepted", "UTC"),
    ],
};

/// A user's score now: remembered, or summed up of the impacts that count (wire contract of the index, section 2).
const SCORE: &str = "MAX(0, 1000 - CASE
    WHEN r.window_ms = ?6 AND r.holds_from_ms <= ?5 AND ?5 < r.holds_until_ms THEN r.points
    ELSE COALESCE((
        SELECT SUM(i.points) FROM uci_anomalies i
        WHERE i.tenant_id = r.tenant_id AND i.incarnation = r.incarnation AND i.user_key = r.user_key
            AND i.activity = 'impact' AND i.allowed_at_ms IS NULL AND i.time_ms <= ?5 AND i.time_ms > ?5 - ?6
            AND NOT EXISTS (
                SELECT 1 FROM uci_anomalies z
                WHERE z.tenant_id = r.tenant_id AND z.incarnation = r.incarnation AND z.user_key = r.user_key
                    AND z.activity = 'reset' AND z.anomaly_id > i.anomaly_id AND z.time_ms <= ?5
            )
    ), 0) END)";

/// The monitored people; not those who sign in.
static USERS: Definition = Definition {
    name: "users",
    meaning: "one monitored person, with the score as of now; not those who sign in",
    from: "monitored_users r",
    key: Key::Text("r.user_key"),
    momentary: true,
    columns: &[
        indexed(required(
            "userKey",
            ColumnKind::Text,
            "r.user_key",
            "`user` trimmed and lower-cased; match users by it",
            "",
        )),
        required("user", ColumnKind::Text, "r.user", "the user in the spelling first seen", ""),
        required("score", ColumnKind::Integer, SCORE, "confidence in the user now", "0 to 1000; 1000 is best"),
        required("firstSeen", ColumnKind::Time, "r.first_seen_ms", "when the user was first seen", "UTC"),
        column("lastImpact", ColumnKind::Time, "r.last_impact_ms", "time of the latest impact", "UTC"),
    ],
};

/// Alerts of the User Confidence Index.
static ALERTS: Definition = Definition {
    name: "alerts",
    meaning: "one alert on a user's score; alerts never change",
    from: "alerts r",
    key: Key::Numbers("r.made_at_ms", "r.id"),
    momentary: false,
    columns: &[
        indexed(required("alertId", ColumnKind::Integer, "r.id", "number of the alert", "")),
        required("madeAt", ColumnKind::Time, "r.made_at_ms", "when it was made", "UTC"),
        required("name", ColumnKind::Text, "r.name", "kind of alert", ""),
        column("anomalyId", ColumnKind::Integer, "r.anomaly_id", "the impact or reset that gave it", ""),
        indexed(required(
            "userKey",
            ColumnKind::Text,
            "r.user_key",
            "`user` trimmed and lower-cased; match users by it",
            "",
        )),
        required("user", ColumnKind::Text, "r.user", "the user as the source spells it", ""),
        required("activity", ColumnKind::Text, "r.activity", "what gave it", ""),
        required("severity", ColumnKind::Text, "r.severity", "how grave it is", ""),
        required("points", ColumnKind::Integer, "r.points", "points of the impact", ""),
        required("score", ColumnKind::Integer, "r.score", "the user's score after it", "0 to 1000"),
        required("source", ColumnKind::Text, "r.source", "what reported the impact", ""),
        required("reason", ColumnKind::Text, "r.reason", "why it was reported", ""),
    ],
};
