//! `POST queryIncidentGroups`, `POST queryIncidentInformationKeys`, `GET groups`.

use serde_json::{Value, json};

use super::{FAMILY, anomaly_then_tick};
use crate::support::TestServer;

fn shown(mut answer: Value) -> String {
    answer["body"]["responseInfo"]["apiElapsedMillis"] = json!("[ms]");
    serde_json::to_string(&answer).unwrap()
}

#[tokio::test]
async fn groups_that_occur_are_counted() {
    let server = TestServer::start().await;
    let (tenant, other) = (server.tenant(5618).await, server.tenant(99).await);
    for category in ["Login Failure", "login failure ", "Insider Threats", "Cryptomining"] {
        anomaly_then_tick(&server, &tenant, "ann@example.com", json!({ "category": category })).await;
        anomaly_then_tick(&server, &other, "ann@example.com", json!({ "category": "Data Access" })).await;
    }
    let path = format!("{FAMILY}/queryIncidentGroups");
    let answer = tenant.api.post_json(&path, &json!({})).await.expect(200).json();
    insta::assert_snapshot!(shown(answer), @r#"{"body":{"incidentGroups":[{"count":1,"incidentGroup":"Alert.Access.Other","incidentGroupId":100},{"count":2,"incidentGroup":"Alert.Access.LoginFailure","incidentGroupId":103},{"count":1,"incidentGroup":"Alert.Data.InsiderThreats","incidentGroupId":309}],"responseInfo":{"actualLimit":10000,"apiElapsedMillis":"[ms]","error":null,"nextOffset":null,"nextStartTime":"2026-11-22T00:00:00.007Z"}},"headers":{},"statusCode":"OK","statusCodeValue":200}"#);
    let access = json!({ "incidentCriteria": { "categories": [{ "incidentType": "Alert", "category": "Data" }] } });
    let answer = tenant.api.post_json(&path, &access).await.expect(200).json();
    let groups = json!([{ "incidentGroup": "Alert.Data.InsiderThreats", "incidentGroupId": 309, "count": 1 }]);
    assert_eq!(answer["body"]["incidentGroups"], groups);
}

#[tokio::test]
async fn keys_of_information_are_those_of_an_incident() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    anomaly_then_tick(&server, &tenant, "ann@example.com", json!({})).await;
    let body = super::query(&tenant.api, "", &json!({})).await;
    let mut expected: Vec<_> = body["incidents"][0]["information"].as_object().unwrap().keys().collect();
    let answer = tenant.api.post_json(&format!("{FAMILY}/queryIncidentInformationKeys"), &json!({})).await.expect(200);
    let answer = answer.json();
    let mut keys: Vec<_> = answer["body"]["informationKeys"].as_array().unwrap().iter().collect();
    keys.sort_by_key(|key| key.as_str());
    expected.sort();
    assert_eq!(keys, expected);
    insta::assert_snapshot!(shown(answer), @r#"{"body":{"informationKeys":["anomalyCategory","anomalyCause","anomalyCount","anomalyValue","activityCount","isPartOfThreat","source","reason"],"responseInfo":{"actualLimit":10000,"apiElapsedMillis":"[ms]","error":null,"nextOffset":null,"nextStartTime":"2026-11-22T00:00:00.001Z"}},"headers":{},"statusCode":"OK","statusCodeValue":200}"#);
}

#[tokio::test]
async fn every_group_is_listed() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let answer = tenant.api.get(&format!("{FAMILY}/groups")).await.expect(200).json();
    let groups = answer["body"]["groups"].as_array().unwrap();
    assert_eq!(groups.len(), 21);
    insta::assert_snapshot!(groups[1], @r#"{"category":"Access","incidentGroup":"Alert.Access.AnomalousAccessLocation","incidentGroupId":101,"incidentType":"Alert","title":"Anomalous Access Location"}"#);
}
