//! Evidence for the benchmarks: two users' activities of 15 days, ascending, shaped after a busy tenant.

#![allow(unreachable_pub, dead_code, reason = "each benchmark uses its part")]

use std::sync::Arc;

use anomalake::domain::activity::{COLUMNS, ColumnType, wire_schema};
use arrow::array::{ArrayRef, BooleanBuilder, Float64Builder, Int64Builder, StringBuilder, StringViewBuilder};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;

/// Rows of the evidence.
pub const ROWS: usize = 100_000;
const BATCH_ROWS: usize = 8_192;
/// End of the 15 days that the rows fill, ms since epoch.
pub const NEWEST_MS: i64 = 1_763_510_400_000;

/// A value of a cell; the text is made only for text.
enum Value {
    Null,
    Integer(i64),
    Double(f64),
    Boolean(bool),
    Text(String),
}

/// A small generator of its own keeps the rows the same for ever.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    #[allow(clippy::cast_precision_loss)]
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

/// What a row is derived from.
struct Draw {
    time: i64,
    user: u64,
    action: u64,
    service: i64,
    place: u64,
    address: u64,
    r1: f64,
    r2: f64,
    r3: f64,
}

impl Draw {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn new(random: &mut Random, time: i64) -> Self {
        let user = u64::from(random.unit() > 0.79);
        let action = (random.unit().powf(2.5) * 400.0) as u64;
        let service = (random.unit().powi(3) * 60.0) as i64;
        let address = random.below(4);
        let (r1, r2, r3) = (random.unit(), random.unit(), random.unit());
        Self { time, user, action, service, place: mix(user * 7 + address), address, r1, r2, r3 }
    }

    fn is_file(&self) -> bool {
        (1..=6).contains(&(self.action % 8))
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_possible_wrap)]
    fn value(&self, column: &str) -> Value {
        let text = |value: &str| Value::Text(value.to_owned());
        let pick = |choices: &[&str], n: u64| Value::Text(choices[n as usize % choices.len()].to_owned());
        let file = |value: Value| if self.is_file() { value } else { Value::Null };
        let bytes_if = |is: bool| Value::Integer(if is { (self.r2 * 1e7) as i64 } else { 0 });
        let organisation = self.place % 900;
        match column {
            "timeStamp" => Value::Integer(self.time),
            "actionName" => Value::Text(format!(
                "USER_{}_OBJECT_TYPE_{}",
                ["AUTHENTICATE", "DOWNLOAD", "UPLOAD", "SHARE", "DELETE", "VIEW", "EDIT", "ADMIN"]
                    [self.action as usize % 8],
                self.action
            )),
            "asn" => Value::Integer(16_000 + organisation as i64),
            "asnName" => Value::Text(format!("autonomous system {organisation} inc.")),
            "city" => Value::Text(format!("city {}", self.place % 700)),
            "clientName" => pick(&["Chrome", "Edge", "Firefox", "Safari", "OneDrive Sync"], self.user),
            "clientOS" => pick(&["Windows 11", "macOS", "iOS", "Android", "Linux"], self.user),
            "collabGroup" => Value::Text(format!("example{}.com", self.user)),
            "count" | "eventCount" => Value::Integer(1),
            "country" => pick(&["US", "DE", "IN", "GB", "FR", "JP", "BR"], self.place),
            "cspId" | "subCspId" => Value::Integer(2_000 + self.service),
            "deviceManaged" => Value::Boolean(self.r1 < 0.7),
            "directory" => Value::Boolean(true),
            "downloadBytes" => bytes_if(self.action % 8 == 1),
            "fileFolderPath" => file(Value::Text(format!(
                "/sites/team{}/Shared Documents/folder{}",
                self.user,
                (self.r3 * 50.0) as u64
            ))),
            "fileName" => file(Value::Text(format!("report-{}.xlsx", (self.r3 * 200_000.0) as u64))),
            "fileOwner" => file(Value::Text(format!("user{}@example{}.com", (self.r2 * 20_000.0) as u64, self.user))),
            "fileSharingEnabled" => Value::Boolean(self.action % 8 == 3),
            "fileSize" => file(Value::Integer((self.r2 * 1e7) as i64)),
            "fileType" => file(text("xlsx")),
            "geoOrgNameV1" => Value::Text(format!("geo org {organisation} llc")),
            "httpMethod" => pick(&["GET", "POST", "PUT", "DELETE"], self.action),
            "instanceId" => Value::Integer(11_000 + self.service),
            "isSourceTrusted" => Value::Boolean(self.r1 < 0.9),
            "locationId" => Value::Text(format!("city {}::US::ca", self.place % 700)),
            "monitoringStatusMetric" | "proxyServerTime" | "proxyTotalTime" => Value::Integer(0),
            "networkType" => pick(&["broadband", "cellular", "corporate"], self.user),
            "noOfObjects" => Value::Double(0.0),
            "objectType" => text("ACTIVITY"),
            "operation" => Value::Text(format!("USER_OPERATION_{}", self.action)),
            "proxyDescription" if self.address % 3 < 2 => pick(&["cloud", "vpn"], self.address % 3),
            "proxyType" if self.address % 3 < 2 => pick(&["hosting", "anonymizer"], self.address % 3),
            "region" => pick(&["ca", "or", "he", "ny"], self.place),
            "serviceName" => Value::Text(format!("Service {}", self.service)),
            "shnProcessTimestamp" => Value::Integer(self.time / 60_000 * 60_000),
            "siteUrl" => file(Value::Text(format!("https://tenant.example.com/sites/team{}", self.user))),
            "sourceIP" => Value::Text(format!("{}.0.{}.{}", 10 + self.user, self.address, self.user)),
            "sourceIdentifier" => text("Cloud Service API"),
            "targetId" if self.r1 < 0.3 => Value::Text(format!("target-{}", (self.r2 * 1e6) as u64)),
            "targetType" if self.r1 < 0.3 => text("FILE"),
            "tenantId" => Value::Integer(5_618),
            "threatCategory" if self.action % 4 < 3 => {
                pick(&["Insider Threats", "Compromised Accounts", "Privileged Access Misuse"], self.action % 4)
            }
            "trustEntity" => text("Skyhigh"),
            "trustReason" => text("Trusted Organization"),
            "uploadBytes" => bytes_if(self.action % 8 == 2),
            "user" => Value::Text(format!("user{0}@example{0}.com", self.user)),
            "userCount" => text("AQAAAQAAAAIsAQ=="),
            _ => Value::Null,
        }
    }
}

/// A column of some rows. Views repeat for repeated values, as they do when Parquet's dictionaries are read.
fn column(name: &str, column_type: ColumnType, view: bool, draws: &[Draw]) -> ArrayRef {
    let values = draws.iter().map(|draw| draw.value(name));
    match column_type {
        ColumnType::Int64 => {
            let mut builder = Int64Builder::new();
            values.for_each(|v| builder.append_option(if let Value::Integer(v) = v { Some(v) } else { None }));
            Arc::new(builder.finish())
        }
        ColumnType::Float64 => {
            let mut builder = Float64Builder::new();
            values.for_each(|v| builder.append_option(if let Value::Double(v) = v { Some(v) } else { None }));
            Arc::new(builder.finish())
        }
        ColumnType::Boolean => {
            let mut builder = BooleanBuilder::new();
            values.for_each(|v| builder.append_option(if let Value::Boolean(v) = v { Some(v) } else { None }));
            Arc::new(builder.finish())
        }
        ColumnType::Utf8 if view => {
            let mut builder = StringViewBuilder::new().with_deduplicate_strings();
            values.for_each(|v| builder.append_option(if let Value::Text(v) = v { Some(v) } else { None }));
            Arc::new(builder.finish())
        }
        ColumnType::Utf8 => {
            let mut builder = StringBuilder::new();
            values.for_each(|v| builder.append_option(if let Value::Text(v) = v { Some(v) } else { None }));
            Arc::new(builder.finish())
        }
    }
}

/// The evidence in batches, strings as views or plain.
pub fn evidence(view: bool) -> Vec<RecordBatch> {
    let mut random = Random(42);
    let step = 15 * 86_400_000 / i64::try_from(ROWS).unwrap_or(i64::MAX);
    let mut time = NEWEST_MS - 15 * 86_400_000;
    let draws: Vec<Draw> = (0..ROWS)
        .map(|_| {
            time += i64::try_from(random.below(2 * step.unsigned_abs())).unwrap_or_default();
            Draw::new(&mut random, time)
        })
        .collect();
    let text = if view { DataType::Utf8View } else { DataType::Utf8 };
    let fields = wire_schema()
        .fields()
        .iter()
        .map(|field| match field.data_type() {
            DataType::Utf8 => Field::new(field.name(), text.clone(), true),
            other => Field::new(field.name(), other.clone(), true),
        })
        .collect::<Vec<_>>();
    let schema = Arc::new(Schema::new(fields));
    draws
        .chunks(BATCH_ROWS)
        .map(|draws| {
            let columns = COLUMNS.iter().map(|c| column(c.name, c.column_type, view, draws)).collect();
            RecordBatch::try_new(Arc::clone(&schema), columns).unwrap()
        })
        .collect()
}
