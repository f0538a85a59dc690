//! The tables of the registry that a statement can name.

use super::describe::{ColumnKind, RegistryColumn};
use super::registry_table::Definition;

/// All of them. Principals are none of them and never will be.
pub(super) static ALL: [&Definition; 1] = [&ANOMALIES];

const fn column(
    name: &'static str,
    kind: ColumnKind,
    expression: &'static str,
    meaning: &'static str,
    unit: &'static str,
) -> RegistryColumn {
    RegistryColumn { name, kind, nullable: true, expression, meaning, unit }
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

/// Anomalies and the state of their evidence.
static ANOMALIES: Definition = Definition {
    name: "anomalies",
    meaning: "one anomaly: whose activities, of which window, and why they matter",
    from: "anomalies r LEFT JOIN evidence e ON e.anomaly_id = r.id",
    key: "r.id",
    columns: &[
        required("anomalyId", ColumnKind::Integer, "r.id", "number of the anomaly", ""),
        column("user", ColumnKind::Text, "r.user", "the user as the source spells it; none for any", ""),
        column("userKey", ColumnKind::Text, "r.user_key", "`user` trimmed and lower-cased; match users by it", ""),
        required("windowFrom", ColumnKind::Time, "r.from_ms", "first moment of the window", "UTC"),
        required("windowTo", ColumnKind::Time, "r.to_ms", "first moment after the window; may lie ahead", "UTC"),
        column("condition", ColumnKind::Text, "r.where_sql", "which activities, beside user and window", "SQL"),
        required("status", ColumnKind::Text, "r.status", "how far its handling has come", "new, opened, …"),
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
