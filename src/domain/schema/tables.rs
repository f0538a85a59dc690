//! The columns of every table.

use super::SqlType::{BigInt, Boolean, Date, Double, Text, Timestamp};
use super::{
    ACTIVITIES, ALERTS, ANOMALIES, ANOMALY_ID, EVIDENCE, IMPACTS, SchemaColumn, SchemaTable, SqlType, TIME, USERS,
};
use crate::domain::activity::{ACTIVITY_ID, COLUMNS, DAY, INGESTED_AT, RAW, SOURCE, USER_KEY};

const EPOCH_MS: &str = "ms since epoch, UTC";

const fn required(name: &'static str, sql_type: SqlType, unit: &'static str, meaning: &'static str) -> SchemaColumn {
    SchemaColumn { name, sql_type, nullable: false, unit, meaning }
}

const fn optional(name: &'static str, sql_type: SqlType, unit: &'static str, meaning: &'static str) -> SchemaColumn {
    SchemaColumn { name, sql_type, nullable: true, unit, meaning }
}

/// The wire columns, then those that the lake adds to each row.
fn stored() -> impl Iterator<Item = SchemaColumn> {
    COLUMNS.iter().map(SchemaColumn::from).chain([
        required(ACTIVITY_ID, Text, "", "the record's own id, or one given when it came in"),
        optional(USER_KEY, Text, "lower case, trimmed", "the form of `user` to compare by"),
        required(SOURCE, Text, "", "what the row was made from: `activities` for native records, else a source's name"),
        required(INGESTED_AT, BigInt, EPOCH_MS, "when the row was accepted"),
    ])
}

const TIME_OF_ACTIVITY: SchemaColumn = required(TIME, Timestamp, "UTC", "`timeStamp` as a timestamp");

pub(super) fn all() -> Vec<SchemaTable> {
    let activities = stored().chain([
        optional(RAW, Text, "JSON", "the original record, where its source keeps it"),
        required(DAY, Date, "UTC", "day of `timeStamp`; files are kept by day"),
        TIME_OF_ACTIVITY,
    ]);
    let evidence = [required(ANOMALY_ID, BigInt, "", "the anomaly that the activity belongs to")];
    vec![
        SchemaTable {
            name: ACTIVITIES,
            meaning: "What users did in cloud services. One row is one activity, or several alike that were rolled up.",
            columns: activities.collect(),
        },
        SchemaTable {
            name: EVIDENCE,
            meaning: "The activities that belong to anomalies whose evidence is made; an activity stands here once for each of its anomalies.",
            columns: evidence.into_iter().chain(stored()).chain([TIME_OF_ACTIVITY]).collect(),
        },
        SchemaTable {
            name: ANOMALIES,
            meaning: "Anomalies, with what was reported and how far they were handled.",
            columns: ANOMALY_COLUMNS.to_vec(),
        },
        SchemaTable {
            name: IMPACTS,
            meaning: "Points that others took off users' scores.",
            columns: IMPACT_COLUMNS.to_vec(),
        },
        SchemaTable {
            name: USERS,
            meaning: "People who are monitored: those with an impact or a reset.",
            columns: USER_COLUMNS.to_vec(),
        },
        SchemaTable {
            name: ALERTS,
            meaning: "Alerts about users' scores, in the order in which they were made.",
            columns: ALERT_COLUMNS.to_vec(),
        },
    ]
}

const ANOMALY_COLUMNS: [SchemaColumn; 21] = [
    required(ANOMALY_ID, BigInt, "", "number of the anomaly"),
    required("incidentId", Text, "`ANO-n`", "the anomaly in the incidents API"),
    optional("user", Text, "", "whose activities belong to it, as reported"),
    optional(USER_KEY, Text, "lower case, trimmed", "the form of `user` to compare by"),
    required("windowStart", Timestamp, "UTC", "first moment of its window"),
    required("windowEnd", Timestamp, "UTC", "first moment after its window"),
    optional("condition", Text, "SQL", "condition on its activities"),
    optional("score", Double, "", "risk score"),
    optional("category", Text, "", "category; fills `threatCategory` of its evidence where that is null"),
    optional("source", Text, "", "what reported it"),
    optional("reason", Text, "", "why it was reported"),
    optional("activity", Text, "", "what the user did, in words"),
    optional("value", Double, "that of the category", "the measured value that was out of the ordinary"),
    required("serviceNames", Text, "JSON array", "cloud services that it concerns"),
    optional("instanceId", BigInt, "", "connected instance of the service"),
    optional("instanceName", Text, "", "name of that instance"),
    required(
        "status",
        Text,
        "new, opened, false positive, resolved, suppressed, archived",
        "how far people have come with it",
    ),
    required("createdAt", Timestamp, "UTC", "when it counts as created"),
    required("modifiedAt", Timestamp, "UTC", "when it was last changed"),
    optional("evidenceRows", BigInt, "rows", "activities in its evidence; null until that is made"),
    optional("evidenceMadeAt", Timestamp, "UTC", "when its evidence was made"),
];

const IMPACT_COLUMNS: [SchemaColumn; 11] = [
    required(ANOMALY_ID, BigInt, "", "number of the impact's anomaly"),
    required("user", Text, "", "whose score fell, as first reported"),
    required(USER_KEY, Text, "lower case, trimmed", "the form of `user` to compare by"),
    required(TIME, Timestamp, "UTC", "when what it is about happened"),
    required("points", BigInt, "points, 1 to 1000", "what it takes off while it counts"),
    required("severity", Text, "Critical, High, Medium, Low, Informational", "how grave it is, by its points"),
    required("activity", Text, "", "what the user did"),
    required("source", Text, "", "what reported it"),
    required("reason", Text, "", "why it was reported"),
    required("createdAt", Timestamp, "UTC", "when it was accepted"),
    required("allowed", Boolean, "", "somebody allowed it: its points came back"),
];

const USER_COLUMNS: [SchemaColumn; 5] = [
    required("user", Text, "", "the user, as first reported"),
    required(USER_KEY, Text, "lower case, trimmed", "the form of `user` to compare by"),
    required("score", BigInt, "points, 0 to 1000", "User Confidence Index when the query began; 1000 is best"),
    required("band", Text, "Good, Moderate, Poor", "the band of the score"),
    required("firstSeen", Timestamp, "UTC", "when the user became known"),
];

const ALERT_COLUMNS: [SchemaColumn; 9] = [
    required("alertId", BigInt, "", "number of the alert; grows in the order of making"),
    required(TIME, Timestamp, "UTC", "when it was made"),
    required("name", Text, "", "kind of alert, for example `External UCI impact`"),
    required("user", Text, "", "the user, as first reported"),
    required(USER_KEY, Text, "lower case, trimmed", "the form of `user` to compare by"),
    optional(ANOMALY_ID, BigInt, "", "the anomaly that caused it"),
    required("score", BigInt, "points, 0 to 1000", "the user's score after the change"),
    optional("source", Text, "", "what reported the cause"),
    optional("reason", Text, "", "why it was reported"),
];
