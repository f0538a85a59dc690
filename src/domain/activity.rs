//! The activity record: 56 wire columns as one table, and the columns the lake adds.
//!
//! Source of the rule: wire contract of the anomaly activities, section 3. The order here is the
//! order on the wire: `timeStamp` first, the other 55 in ASCII order.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use ColumnKind::{Dimension, Metric, Tenant, Time};
use ColumnType::{Boolean, Float64, Int64, Utf8};

/// Value type of a wire column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    /// 64-bit signed integer.
    Int64,
    /// IEEE 754 double; NaN and infinities are refused on ingest.
    Float64,
    /// `true` or `false`.
    Boolean,
    /// UTF-8 text.
    Utf8,
}

/// What an absent value means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    /// `timeStamp`: required.
    Time,
    /// `tenantId`: always the tenant the row belongs to, whatever the input says.
    Tenant,
    /// Never blank: an absent value becomes [`Column::default_metric`].
    Metric,
    /// Blank when null.
    Dimension,
}

/// One of the 56 wire columns.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// Name on the wire, case-sensitive.
    pub name: &'static str,
    /// Value type.
    pub column_type: ColumnType,
    /// What an absent value means.
    pub kind: ColumnKind,
    /// One phrase for people.
    pub meaning: &'static str,
    /// Unit or form of the value; empty where there is none.
    pub unit: &'static str,
}

const fn column(
    name: &'static str,
    column_type: ColumnType,
    kind: ColumnKind,
    meaning: &'static str,
    unit: &'static str,
) -> Column {
    Column { name, column_type, kind, meaning, unit }
}

impl Column {
    /// Integer that stands for an absent metric: 1 for the two row counters, else 0.
    #[must_use]
    pub fn default_metric(&self) -> i64 {
        i64::from(matches!(self.name, "count" | "eventCount"))
    }

    /// Arrow type in the lake and in evidence files.
    #[must_use]
    pub const fn data_type(&self) -> DataType {
        match self.column_type {
            Int64 => DataType::Int64,
            Float64 => DataType::Float64,
            Boolean => DataType::Boolean,
            Utf8 => DataType::Utf8,
        }
    }

    /// Whether a stored row may lack a value.
    #[must_use]
    pub fn is_nullable(&self) -> bool {
        self.kind == Dimension || self.name == USER_COUNT
    }

    fn field(&self) -> Field {
        Field::new(self.name, self.data_type(), self.is_nullable())
    }
}

/// Number of wire columns.
pub const COLUMN_COUNT: usize = 56;

/// The wire columns in wire order.
pub const COLUMNS: [Column; COLUMN_COUNT] = [
    column("timeStamp", Int64, Time, "when it happened", "ms since epoch, UTC"),
    column("accountId", Utf8, Dimension, "cloud account (IaaS) that was touched", ""),
    column("actionName", Utf8, Dimension, "the service's own name of the event", ""),
    column("asn", Int64, Dimension, "autonomous system of sourceIP", "number"),
    column("asnName", Utf8, Dimension, "owner of the autonomous system", "lower case"),
    column("city", Utf8, Dimension, "city of sourceIP", "lower case"),
    column("clientCategory", Utf8, Dimension, "device class", ""),
    column("clientName", Utf8, Dimension, "browser or app", ""),
    column("clientOS", Utf8, Dimension, "operating system", ""),
    column("collabGroup", Utf8, Dimension, "domain of the user or collaborator", ""),
    column("collabGroupAndTarget", Utf8, Dimension, "domain of the user or collaborator, with its target", ""),
    column("count", Int64, Metric, "rows rolled up into this one", "rows"),
    column("country", Utf8, Dimension, "country of sourceIP", "ISO 3166 alpha-2, upper case"),
    column("cspId", Int64, Dimension, "id of the cloud service", ""),
    column("deviceManaged", Boolean, Dimension, "the device is managed", ""),
    column("directory", Boolean, Dimension, "the object is a directory", ""),
    column("downloadBytes", Int64, Metric, "bytes downloaded", "bytes"),
    column("eventCount", Int64, Metric, "events folded into the row", "events"),
    column("fileFolderPath", Utf8, Dimension, "folder of the file", ""),
    column("fileName", Utf8, Dimension, "name of the file", ""),
    column("fileOwner", Utf8, Dimension, "owner of the file", ""),
    column("fileSharingEnabled", Boolean, Dimension, "the file is shared", ""),
    column("fileSize", Int64, Dimension, "size of the file", "bytes"),
    column("fileType", Utf8, Dimension, "type of the file", ""),
    column("geoOrgNameV1", Utf8, Dimension, "organisation that holds sourceIP", "lower case"),
    column("httpMethod", Utf8, Dimension, "HTTP method of the request", ""),
    column("instanceId", Int64, Dimension, "connected instance of the service", ""),
    column("isSourceTrusted", Boolean, Dimension, "the source address is trusted", ""),
    column("locationId", Utf8, Dimension, "place of sourceIP", "`city::country::region`"),
    column("monitoringStatusMetric", Int64, Metric, "monitoring status", ""),
    column("networkType", Utf8, Dimension, "kind of network", "broadband, cellular, …"),
    column("noOfObjects", Float64, Metric, "objects touched", "objects"),
    column("objectType", Utf8, Dimension, "kind of record", "`ACTIVITY`"),
    column("operation", Utf8, Dimension, "operation; equals actionName in the published sample", ""),
    column("profile", Utf8, Dimension, "cloud profile or role", ""),
    column("proxyDescription", Utf8, Dimension, "what the proxy is", "cloud, vpn, tor-exit, …"),
    column("proxyServerTime", Int64, Metric, "time spent in the upstream server", "ms"),
    column("proxyTotalTime", Int64, Metric, "time spent in total", "ms"),
    column("proxyType", Utf8, Dimension, "class of proxy", "hosting, anonymous, corporate, edu, public, transparent"),
    column("region", Utf8, Dimension, "region of sourceIP", "lower case"),
    column("serviceName", Utf8, Dimension, "cloud service", ""),
    column("shnProcessTimestamp", Int64, Metric, "when the record was processed", "ms since epoch, UTC"),
    column("siteUrl", Utf8, Dimension, "site of the object", ""),
    column("sourceIP", Utf8, Dimension, "address the request came from", "IPv4 or IPv6"),
    column("sourceIdentifier", Utf8, Dimension, "feed of origin", "for example `Cloud Service API`"),
    column("subCspId", Int64, Dimension, "id of the cloud sub-service", ""),
    column("targetId", Utf8, Dimension, "what was acted on", ""),
    column("targetType", Utf8, Dimension, "kind of target", ""),
    column("tenantId", Int64, Tenant, "tenant that the row belongs to", ""),
    column("threatCategory", Utf8, Dimension, "category of threat", ""),
    column("trustEntity", Utf8, Dimension, "who declared the source trusted", ""),
    column("trustReason", Utf8, Dimension, "why the source is trusted", ""),
    column("uploadBytes", Int64, Metric, "bytes uploaded", "bytes"),
    column("url", Utf8, Dimension, "URL of the request", ""),
    column("user", Utf8, Dimension, "actor", ""),
    column("userCount", Utf8, Metric, "HyperLogLog sketch of the user", "Base64 of an Apache Druid HLLCV1 sketch"),
];

/// When it happened, in ms since epoch, UTC.
pub const TIME_STAMP: &str = "timeStamp";
/// The tenant of the row.
pub const TENANT_ID: &str = "tenantId";
/// The actor as the source spells it.
pub const USER: &str = "user";
/// HyperLogLog sketch of the user.
pub const USER_COUNT: &str = "userCount";
/// The anomaly's category, on evidence rows.
pub const THREAT_CATEGORY: &str = "threatCategory";

/// The record's own id, or a `UUIDv7` given on ingest.
pub const ACTIVITY_ID: &str = "activityId";
/// `user` trimmed and lower-cased; all matching by user goes through it.
pub const USER_KEY: &str = "userKey";
/// Name of the source mapping that made the row, `activities` for native input.
pub const SOURCE: &str = "source";
/// When the row was accepted, in ms since epoch, UTC.
pub const INGESTED_AT: &str = "ingestedAt";
/// The original record, kept only where a source asks for it.
pub const RAW: &str = "raw";
/// UTC date of `timeStamp`; the partition column.
pub const DAY: &str = "day";

/// Columns that carry file statistics, so that a selective query opens few files.
pub const STATISTICS_COLUMNS: [&str; 8] =
    [TIME_STAMP, USER_KEY, USER, "sourceIP", "actionName", "serviceName", ACTIVITY_ID, INGESTED_AT];

/// Columns besides the wire's that an input record may bring.
pub const EXTRA_INPUT_COLUMNS: [&str; 1] = [ACTIVITY_ID];

static INDEX: LazyLock<HashMap<&'static str, usize>> =
    LazyLock::new(|| COLUMNS.iter().enumerate().map(|(i, c)| (c.name, i)).collect());

/// Position of a wire column by its exact name.
#[must_use]
pub fn column_index(name: &str) -> Option<usize> {
    INDEX.get(name).copied()
}

/// The 56 wire columns as an Arrow schema.
#[must_use]
pub fn wire_schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> =
        LazyLock::new(|| Arc::new(Schema::new(COLUMNS.iter().map(Column::field).collect::<Vec<_>>())));
    Arc::clone(&SCHEMA)
}

/// Columns of an evidence file: the wire's, then `activityId`, `userKey`, `source`, `ingestedAt`.
#[must_use]
pub fn evidence_schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let mut fields: Vec<Field> = COLUMNS.iter().map(Column::field).collect();
        fields.push(Field::new(ACTIVITY_ID, DataType::Utf8, false));
        fields.push(Field::new(USER_KEY, DataType::Utf8, true));
        fields.push(Field::new(SOURCE, DataType::Utf8, false));
        fields.push(Field::new(INGESTED_AT, DataType::Int64, false));
        Arc::new(Schema::new(fields))
    });
    Arc::clone(&SCHEMA)
}

/// Columns of the activities table: those of evidence, then `raw`, then the partition column `day`.
#[must_use]
pub fn lake_schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let mut fields: Vec<Field> = evidence_schema().fields().iter().map(|f| f.as_ref().clone()).collect();
        fields.push(Field::new(RAW, DataType::Utf8, true));
        fields.push(Field::new(DAY, DataType::Date32, false));
        Arc::new(Schema::new(fields))
    });
    Arc::clone(&SCHEMA)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_time_stamp_then_ascii() {
        assert_eq!(COLUMNS[0].name, TIME_STAMP);
        assert!(COLUMNS[1..].windows(2).all(|w| w[0].name.as_bytes() < w[1].name.as_bytes()));
    }

    #[test]
    fn only_the_row_counters_default_to_one() {
        let ones: Vec<_> = COLUMNS.iter().filter(|c| c.default_metric() == 1).map(|c| c.name).collect();
        assert_eq!(ones, ["count", "eventCount"]);
    }

    #[test]
    fn statistics_columns_exist() {
        let schema = lake_schema();
        assert!(STATISTICS_COLUMNS.iter().all(|name| schema.field_with_name(name).is_ok()));
    }
}
