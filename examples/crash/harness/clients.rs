//! Clients that work until the server is gone.

use serde_json::json;

use crate::support::api::Api;
use crate::support::records::Seeded;

use super::ledger::{Anomaly, Ledger, Sent};

/// Answers that refuse a write for now and store nothing, or do not know.
const LATER: [u16; 3] = [429, 503, 507];

/// Sends a request with its key.
pub(super) async fn send(api: &Api, sent: &Sent) -> std::io::Result<crate::support::Answer> {
    let api = api.with("idempotency-key", &*sent.key).with("content-type", "application/x-ndjson");
    api.try_send("POST", "/api/v1/activities", sent.body.clone()).await
}

/// New requests, and repeats of those without an answer.
pub(super) async fn ingest(api: Api, ledger: Ledger, seed: u64) {
    let mut chance = Seeded::new(seed);
    loop {
        let (number, sent) = ledger.begin(&mut chance);
        let Ok(answer) = send(&api, &sent).await else { return };
        match answer.status {
            200 => ledger.finish(number, Some(answer.body)),
            status => {
                if LATER.contains(&status) {
                    ledger.books().refused += 1;
                } else {
                    ledger.accuse(format!("an ingest was answered {status}: {}", answer.text()));
                }
                ledger.finish(number, None);
            }
        }
    }
}

/// Sorting, retention and vacuum by hand, one after the other.
pub(super) async fn keep_up(control: Api, ledger: Ledger) {
    loop {
        for command in ["compact", "retain", "vacuum"] {
            let path = format!("/control/tenants/5618/lake/{command}");
            let Ok(answer) = control.try_send("POST", &path, "").await else { return };
            // An answer that breaks off has no such line.
            match answer.text().lines().last() {
                Some("{\"end\":{\"error\":null}}") => ledger.books().upkeep += 1,
                _ => ledger.accuse(format!("{command} was answered {}: {}", answer.status, answer.text())),
            }
        }
    }
}

/// Anomalies and exports of their activities.
pub(super) async fn investigate(api: Api, ledger: Ledger, seed: u64) {
    let mut chance = Seeded::new(seed);
    loop {
        let known = ledger.books().anomalies.len() as u64;
        let going_on = if known == 0 || chance.below(4) == 0 {
            create(&api, &ledger, format!("user-{}", chance.below(8))).await
        } else {
            let anomaly = ledger.books().anomalies[usize::try_from(chance.below(known)).unwrap()].clone();
            export(&api, &ledger, &anomaly).await.map(|_| ())
        };
        if going_on.is_err() {
            return;
        }
    }
}

async fn create(api: &Api, ledger: &Ledger, user: String) -> std::io::Result<()> {
    let anomaly = json!({ "user": user, "from": 0, "to": "2200-01-01T00:00:00Z" });
    let answer = api.try_send("POST", "/api/v1/anomalies", anomaly.to_string()).await?;
    match answer.status {
        201 => {
            let id = answer.json()["id"].as_i64().unwrap();
            ledger.books().anomalies.push(Anomaly { id, user });
        }
        status => ledger.accuse(format!("an anomaly was answered {status}: {}", answer.text())),
    }
    Ok(())
}

/// Names of an anomaly's activities from its evidence; the answer must hold as many rows as it announces.
pub(super) async fn export(api: &Api, ledger: &Ledger, anomaly: &Anomaly) -> std::io::Result<Option<Vec<String>>> {
    let body = json!({ "incident_id": anomaly.id }).to_string();
    let answer = api.try_send("POST", crate::support::api::QUERY, body).await?;
    if answer.status != 200 {
        if !LATER.contains(&answer.status) {
            ledger.accuse(format!("an export was answered {}: {}", answer.status, answer.text()));
        }
        return Ok(None);
    }
    let names = answer.column("fileName");
    if answer.header("anomalake-rows") != Some(&*names.len().to_string()) {
        ledger.accuse(format!("an export of {:?} rows has {}", answer.header("anomalake-rows"), names.len()));
    }
    ledger.books().exports += 1;
    Ok(Some(names))
}
