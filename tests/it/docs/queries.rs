//! `data/queries/*.sql`: worked examples, each run over generated data whose truth is known, and the page made of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;

use serde_json::{Value, json};

use anomalake::domain::time_text::format_time;
use anomalake::generate::{Company, Plan, Profile, Story};
use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use arrow::record_batch::RecordBatch;

use super::assert_page;
use crate::support::{DAY_MS, NOW_MS, TestServer, TestTenant};

const HEAD: &str = "# Worked queries

Questions of an investigation and their answers in SQL. The files are in `data/queries/`; run one with

```console
$ anomalake sql --tenant 5618 < data/queries/02-impossible-travel.sql
$ anomalake sql --tenant 5618 \"$(cat data/queries/06-rare-network.sql)\" --param since=2026-11-15
```

`$since` and the like are parameters: `--param NAME=VALUE`, or `\"params\": {\"since\": \"2026-11-15\"}` in the body of `POST /api/v1/sql`. `anomalake demo`
makes data in which every one of them finds something; the tests run them over the same data and compare what they find with what was planted.
";

/// The files in order, with their names.
fn files() -> Vec<(String, String)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("data/queries");
    let mut files: Vec<_> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let read = |path: PathBuf| {
        (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read_to_string(path).unwrap())
    };
    files.into_iter().map(read).collect()
}

#[test]
fn the_page_holds_every_query() {
    let mut page = HEAD.to_owned();
    for (name, text) in files() {
        let comments: Vec<&str> = text.lines().map_while(|line| line.strip_prefix("--")).map(str::trim).collect();
        let sql: Vec<&str> = text.lines().skip(comments.len()).collect();
        let (title, explanation) = (comments[0].strip_prefix("# ").expect("a title"), comments[1..].join("\n"));
        write!(page, "\n## {title}\n\n`{name}`. {}\n\n```sql\n{}\n```\n", explanation.trim(), sql.join("\n")).unwrap();
    }
    assert_page("queries.md", &page);
}

/// What the truth is told from.
#[derive(Clone)]
struct Record {
    time_stamp: i64,
    user: String,
    service_name: String,
    source_ip: String,
    country: String,
}

fn records(batch: &RecordBatch) -> Vec<Record> {
    let times = batch.column_by_name("timeStamp").unwrap().as_primitive::<Int64Type>();
    let texts = ["user", "serviceName", "sourceIP", "country"]
        .map(|name| cast(batch.column_by_name(name).unwrap(), &DataType::Utf8).unwrap());
    let record = |row: usize| {
        let [user, service_name, source_ip, country] =
            texts.each_ref().map(|column| column.as_string::<i32>().value(row).to_owned());
        Record { time_stamp: times.value(row), user, service_name, source_ip, country }
    };
    (0..batch.num_rows()).map(record).collect()
}

/// A company, its activities in a lake, and an anomaly for each of its stories.
struct Case {
    tenant: TestTenant,
    insider: Story,
    traveller: Story,
    records: Vec<Record>,
    /// A week before the end.
    since_ms: i64,
    queries: BTreeMap<String, String>,
    left: BTreeSet<String>,
    // It serves as long as it lives.
    _server: TestServer,
}

impl Case {
    async fn new() -> Self {
        let server = TestServer::start().await;
        let tenant = server.tenant(5618).await;
        let company =
            Company::new(Plan { seed: 7, users: 40, days: 14, end_ms: NOW_MS, rows: None, profile: Profile::Demo });
        let (insider, traveller) = company.stories().unwrap();
        let body: Vec<u8> = company.ndjson().flat_map(|chunk| chunk.unwrap()).collect();
        tenant.api.ingest(body).await.expect(200);
        let records: Vec<Record> = company.batches().flat_map(|batch| records(&batch)).collect();
        let queries: BTreeMap<String, String> = files().into_iter().collect();
        let left = queries.keys().cloned().collect();
        Self { tenant, insider, traveller, records, since_ms: NOW_MS - 7 * DAY_MS, queries, left, _server: server }
    }

    /// The rows that a query finds.
    async fn rows(&mut self, name: &str, params: Value) -> Vec<Value> {
        let (file, sql) = self.queries.iter().find(|(file, _)| file.starts_with(name)).expect("a file");
        self.left.remove(file);
        let mut body = json!({ "sql": sql });
        if params != json!({}) {
            body["params"] = params;
        }
        let answer = self.tenant.api.with("accept", "application/json").post_json("/api/v1/sql", &body).await;
        answer.expect(200).json().as_array().unwrap().clone()
    }

    fn since(&self) -> Value {
        json!({ "since": format_time(self.since_ms) })
    }
}

/// A moment as a query tells it, in ms.
fn ms(value: &Value) -> i64 {
    anomalake::domain::time_text::parse_time(value.as_str().unwrap(), 0).unwrap()
}

fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or_else(|| panic!("{value}"))
}

#[tokio::test]
async fn every_query_finds_what_was_planted() {
    let mut case = Case::new().await;
    let (insider, traveller) = (case.insider.clone(), case.traveller.clone());
    let far: Vec<Record> = case.records.iter().filter(|record| record.country == "SG").cloned().collect();
    let first_far_ms = far.iter().map(|record| record.time_stamp).min().unwrap();

    let rows = case.rows("01", json!({})).await;
    let before: i64 = number(&rows[1]["downloadsOnLastDay"]);
    assert_eq!(rows[0]["userKey"], insider.user, "{rows:?}");
    let suspicious = i64::try_from(insider.suspicious).unwrap();
    // One file in four is empty.
    assert!(
        number(&rows[0]["downloadsOnLastDay"]) * 10 > suspicious * 7 && before * 10 < suspicious,
        "{:?}",
        &rows[..2]
    );
    assert!(rows[0]["downloadsADayBefore"].as_f64().unwrap() < 50.0, "{:?}", rows[0]);

    let rows = case.rows("02", json!({})).await;
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!((&rows[0]["userKey"], &rows[0]["toPlace"]), (&json!(traveller.user), &json!("singapore, SG")));
    assert!(ms(&rows[0]["arrived"]) == first_far_ms && (0..60).contains(&number(&rows[0]["minutes"])), "{rows:?}");

    let rows = case.rows("03", json!({})).await;
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!(
        (&rows[0]["userKey"], number(&rows[0]["activities"])),
        (&json!(traveller.user), i64::try_from(far.len()).unwrap())
    );
    assert_eq!((&rows[0]["country"], ms(&rows[0]["firstSeen"])), (&json!("SG"), first_far_ms));

    let rows = case.rows("04", json!({})).await;
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!((&rows[0]["userKey"], number(&rows[0]["failures"])), (&json!(traveller.user), 7));
    assert!(ms(&rows[0]["signedIn"]) > ms(&rows[0]["lastFailure"]), "{rows:?}");

    let since = case.since();
    let rows = case.rows("05", since.clone()).await;
    let mut firsts: BTreeMap<(&str, &str), i64> = BTreeMap::new();
    let mut known: BTreeSet<&str> = BTreeSet::new();
    for record in &case.records {
        let first = firsts.entry((&record.user, &record.service_name)).or_insert(i64::MAX);
        *first = record.time_stamp.min(*first);
        known.extend((record.time_stamp < case.since_ms).then_some(&*record.user));
    }
    let new = firsts.into_iter().filter(|((user, _), first)| *first >= case.since_ms && known.contains(user));
    let wanted: BTreeSet<_> =
        new.map(|((user, service), first)| (user.to_owned(), service.to_owned(), first)).collect();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let found: BTreeSet<_> =
        rows.iter().map(|row| (text(&row["userKey"]), text(&row["serviceName"]), ms(&row["firstUsed"]))).collect();
    assert!(!wanted.is_empty() && found == wanted, "{found:?}\n{wanted:?}");

    let rows = case.rows("06", since.clone()).await;
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!((&rows[0]["userKey"], &rows[0]["proxyType"]), (&json!(traveller.user), &json!("anonymous")));
    let stranger = rows[0]["sourceIP"].clone();
    assert_eq!(stranger, "198.51.100.77");

    let rows = case.rows("07", since.clone()).await;
    assert_eq!(rows[0]["userKey"], insider.user, "{rows:?}");
    assert!(number(&rows[0]["atUnusualHours"]) > 500, "{rows:?}");
    assert!(rows.iter().all(|row| !text(&row["userKey"]).starts_with("svc-")), "{rows:?}");

    let rows = case.rows("08", json!({})).await;
    let night = format_time(insider.from_ms)[..10].to_owned();
    let next = format_time(insider.to_ms)[..10].to_owned();
    assert_eq!(rows[0]["userKey"], insider.user, "{rows:?}");
    assert!(rows[0]["day"] == night || rows[0]["day"] == next, "{:?}", rows[0]);
    assert!(rows[0]["deviations"].as_f64().unwrap() > 1.5, "{:?}", rows[0]);

    let anomaly = json!({ "user": insider.user, "from": insider.from_ms, "to": insider.to_ms });
    let anomaly = case.tenant.anomaly(anomaly).await;
    let rows = case.rows("09", json!({ "anomaly": anomaly })).await;
    let within = rows.iter().filter(|row| row["phase"] == "within");
    assert_eq!(
        within.clone().map(|row| number(&row["activities"])).sum::<i64>(),
        i64::try_from(insider.activities).unwrap()
    );
    let downloads: Vec<i64> =
        within.filter(|row| row["actionName"] == "FILE_DOWNLOAD").map(|row| number(&row["activities"])).collect();
    assert_eq!(downloads, [suspicious]);
    assert!(rows.iter().all(|row| row["phase"] != "after"), "the account was not seen again: {rows:?}");

    let rows = case.rows("10", json!({})).await;
    let mut users: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for record in &case.records {
        users.entry(&record.source_ip).or_default().insert(&record.user);
    }
    let wanted: BTreeMap<String, i64> = users
        .into_iter()
        .filter(|(_, users)| users.len() >= 3)
        .map(|(address, users)| (address.to_owned(), i64::try_from(users.len()).unwrap()))
        .collect();
    let found: BTreeMap<String, i64> = rows.iter().map(|row| (text(&row["sourceIP"]), number(&row["users"]))).collect();
    assert!(!found.is_empty() && found == wanted, "{found:?}\n{wanted:?}");
    assert!(rows.iter().all(|row| row["trusted"] == true), "{rows:?}");

    let rows = case.rows("11", json!({ "address": stranger })).await;
    let actions: Vec<&str> = rows.iter().map(|row| row["actionName"].as_str().unwrap()).collect();
    assert_eq!(rows.len() as u64, traveller.suspicious);
    assert_eq!(actions[..7], ["UserLoginFailed"; 7]);
    assert_eq!(actions[7..10], ["UserLoggedIn", "New-InboxRule", "SearchQueryPerformed"]);
    assert!(
        rows[0].get("secondsSince").is_none() && rows[1]["secondsSince"].as_f64().unwrap() >= 3.0,
        "{:?}",
        &rows[..2]
    );

    let rows = case.rows("12", json!({})).await;
    let mut users: BTreeMap<(String, String), BTreeSet<&str>> = BTreeMap::new();
    for record in &case.records {
        let day = format_time(record.time_stamp)[..10].to_owned();
        users.entry((record.service_name.clone(), day)).or_default().insert(&record.user);
    }
    assert_eq!(rows.len(), users.len());
    for row in &rows {
        let wanted = i64::try_from(users[&(text(&row["serviceName"]), text(&row["day"]))].len()).unwrap();
        assert!((number(&row["users"]) - wanted).abs() <= 1 + wanted / 20, "{row}: {wanted}");
    }
    assert!(case.left.is_empty(), "not run: {:?}", case.left);
}
