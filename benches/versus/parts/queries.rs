use std::cell::RefCell;

use serde_json::{Map, Value, json};

use crate::Run;
use crate::client::Client;
use crate::lake::Lake;
use crate::measure::{Contestant, rounds};
use crate::report::Line;
use crate::suite::{Query, queries};

/// Names of the parameters there are.
const PARAMETERS: [&str; 5] = ["user", "address", "from", "to", "since"];

/// The parameters that a statement has.
fn parameters(sql: &str, known: &Value) -> Value {
    let own = Query::parameters(sql, &PARAMETERS);
    Value::Object(own.into_iter().map(|name| (name.to_owned(), known[name].clone())).collect::<Map<_, _>>())
}

/// A statement as the route takes it; it takes no parameters where a statement has none.
pub fn body(sql: &str, known: &Value) -> Value {
    let parameters = parameters(sql, known);
    if parameters == json!({}) { json!({ "sql": sql }) } else { json!({ "sql": sql, "params": parameters }) }
}

/// Whether two values are the same; of those that are no whole numbers, four digits: `DataFusion` interpolates
/// percentiles between two neighbours in steps of a millionth of their distance.
fn same(ours: &Value, theirs: &Value) -> bool {
    match (ours.as_f64(), theirs.as_f64()) {
        (Some(a), Some(b)) if ours.is_f64() || theirs.is_f64() => (a - b).abs() <= 1e-4 * a.abs().max(b.abs()).max(1.0),
        _ => ours == theirs,
    }
}

/// Ends the run where the answers differ.
fn compare(query: &Query, ours: &Value, theirs: &Value) {
    let (ours, theirs) = (ours.as_array().unwrap(), theirs.as_array().unwrap());
    assert_eq!(ours.len(), theirs.len(), "{}: rows", query.name);
    for (row, (own, other)) in ours.iter().zip(theirs).enumerate() {
        for (name, value) in other.as_object().unwrap() {
            // A null has no key in our rows.
            let own = own.get(name).unwrap_or(&Value::Null);
            assert!(same(own, value), "{}: row {row}, {name}: {own} and {value}", query.name);
        }
    }
}

/// The anomalies as `DuckDB` gets them: id, user, begin and end in ms.
async fn anomalies(client: &mut Client) -> Value {
    let sql = "SELECT anomalyId, userKey, windowFrom, windowTo FROM anomalies";
    let rows = client.json(axum::http::Method::POST, "/api/v1/sql", Some(&json!({ "sql": sql }))).await;
    let ms = |moment: &Value| anomalake::domain::time_text::parse_time(moment.as_str().unwrap(), 0).unwrap();
    let row = |row: &Value| json!([row["anomalyId"], row["userKey"], ms(&row["windowFrom"]), ms(&row["windowTo"])]);
    rows.as_array().unwrap().iter().map(row).collect()
}

pub fn run(run: &mut Run) -> Vec<Line> {
    let lake = Lake::open(&run.args.work, run.args.rows);
    let known = lake.parameters();
    let (runtime, pairs) = (&run.runtime, usize::from(run.args.pairs));
    let mut client = runtime.block_on(Client::connect(lake.server.address, &lake.server.token));
    let has_duckdb = run.peers.has("duckdb");
    if has_duckdb {
        let files = runtime.block_on(lake.server.data_files());
        let anomalies = runtime.block_on(anomalies(&mut client));
        run.peers.ask(&json!({ "op": "attach", "files": files, "anomalies": anomalies }));
    }
    let (client, peers) = (RefCell::new(client), RefCell::new(&mut run.peers));
    let (mut lines, mut logarithms) = (Vec::new(), Vec::new());
    for query in queries() {
        let statement = body(&query.sql, &known);
        let other = |op: &str| json!({ "op": op, "sql": query.duckdb, "params": parameters(&query.duckdb, &known) });
        let (asked, asked_other) = (statement.clone(), other("query"));
        let (client, peers) = (&client, &peers);
        let mut contestants: Vec<Contestant<'_>> = vec![(
            "ours".to_owned(),
            Box::new(move || runtime.block_on(client.borrow_mut().sql(&asked)).whole.as_secs_f64()),
        )];
        let work = format!("{}: {}", query.name, query.question.trim());
        if has_duckdb {
            let post = axum::http::Method::POST;
            let ours = runtime.block_on(client.borrow_mut().json(post, "/api/v1/sql", Some(&statement)));
            compare(&query, &ours, &peers.borrow_mut().ask(&other("rows"))["rows"]);
            contestants.push(("duckdb".to_owned(), Box::new(move || peers.borrow_mut().seconds(&asked_other))));
        }
        let times = rounds(pairs, &mut contestants);
        drop(contestants);
        match times.get(1) {
            Some((_, theirs)) => {
                let line = Line { bar: Some(2.0), ..Line::times(work, &times[0].1, "DuckDB", theirs) };
                logarithms.push(line.measure().ln());
                lines.push(line);
            }
            None => lines.push(Line::figure(work, times[0].1.median(), "s")),
        }
    }
    if !logarithms.is_empty() {
        let mean = (logarithms.iter().sum::<f64>() / logarithms.len() as f64).exp();
        let work = format!("geometric mean of the {} ratios, lake of {} rows", logarithms.len(), lake.rows);
        lines.push(Line::figure(work, mean, "×").bar(1.3, 1.0));
    }
    lines
}
