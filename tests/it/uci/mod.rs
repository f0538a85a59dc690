//! The user confidence index over HTTP: the wire family `/api/v2`, and our own two routes beside it.

mod alerts;
mod allow;
mod batch;
mod conventions;
mod evidence;
mod examples;
mod export;
mod fuzz;
mod impacts;
mod kill;
mod rate;
mod reset;
mod reset_rules;
mod scores;
mod search;
mod users;

use serde_json::{Value, json};

use crate::support::{Answer, TestTenant};

const IMPACT: &str = "/api/v2/incidents/user/uciimpact";
const ANOMALIES: &str = "/api/v2/incidents/anomalies";
const SEARCH: &str = "/api/v2/incidents/anomalies/getanomalies";
const RESET: &str = "/api/v2/incidents/users/uci/reset";
const GET_UCI: &str = "/api/v2/incidents/uba/getuci";
const DATA: &str = "/api/v2/events/data/alert";
const EXPORT: &str = "/api/v2/events/dataexport/alerts/uba";
const FIND: &str = "/api/v2/events/datasearch/alert";

/// An impact as it is sent.
fn impact(user: &str, score: i64, timestamp: i64) -> Value {
    json!({ "user": user, "score": score, "timestamp": timestamp, "source": "OKTA", "reason": "login failed" })
}

impl TestTenant {
    /// Pushes an impact and returns its anomaly's id.
    async fn impact(&self, user: &str, score: i64, timestamp: i64) -> String {
        let answer = self.api.post_json(IMPACT, &impact(user, score, timestamp)).await.expect(200);
        answer.json()["anomalyId"].as_str().unwrap().to_owned()
    }

    /// The user's score now.
    async fn score(&self, user: &str) -> Option<i64> {
        let answer = self.api.post_json(GET_UCI, &json!({ "users": [user] })).await.expect(200).json();
        answer["usersUci"][0]["confidences"].as_array().unwrap().last().map(|c| c["confidenceScore"].as_i64().unwrap())
    }

    /// Names of all alerts, in order.
    async fn alert_names(&self) -> Vec<String> {
        let answer = self.api.get(DATA).await.expect(200).json();
        answer["result"].as_array().unwrap().iter().map(|a| a["alert_name"].as_str().unwrap().to_owned()).collect()
    }
}

/// One property of every result.
fn each(answer: &Answer, name: &str) -> Vec<Value> {
    let body = answer.json();
    let results = body.get("results").or_else(|| body.get("result")).unwrap().as_array().unwrap();
    results.iter().map(|result| result[name].clone()).collect()
}

/// The message of a refusal.
fn told(answer: &Answer) -> String {
    answer.json()["message"].as_str().unwrap().to_owned()
}
