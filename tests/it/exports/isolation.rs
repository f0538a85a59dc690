//! Who sees whose exports.

use serde_json::{Value, json};

use super::{PATH, ask, make, tenant_with};
use crate::support::{Api, TestServer, TestTenant};

async fn ids(api: &Api, query: &str) -> (Vec<i64>, Value) {
    let page = api.get(&format!("{PATH}{query}")).await.expect(200).json();
    let ids = page["exports"].as_array().unwrap().iter().map(|export| export["id"].as_i64().unwrap()).collect();
    (ids, page["next"].clone())
}

#[tokio::test]
async fn callers_see_their_own_and_administrators_the_tenants() {
    let server = TestServer::start().await;
    let (tenant, anomaly) = tenant_with(&server, 5).await;
    let token = async |scopes: &str| -> Api {
        server.anyone().bearer(server.token(tenant.id, scopes, None).await.token.expose())
    };
    let second = TestTenant { api: token("sql:read").await, ..tenant.clone() };
    let (mine, theirs) = (ask(&tenant, anomaly).await, ask(&second, anomaly).await);
    make(&server).await;
    let admin = token("sql:read,admin").await;
    assert_eq!(ids(&tenant.api, "").await.0, [mine]);
    assert_eq!(ids(&second.api, "").await.0, [theirs]);
    assert_eq!(ids(&admin, "").await.0, [theirs, mine]);
    assert_eq!(ids(&admin, "?limit=1").await, (vec![theirs], json!(theirs)));
    assert_eq!(ids(&admin, &format!("?limit=1&before={theirs}")).await, (vec![mine], Value::Null));

    let neighbour = server.tenant(7).await;
    let neighbours_admin = server.token(neighbour.id, "sql:read,admin", None).await;
    let neighbours_admin = server.anyone().bearer(neighbours_admin.token.expose());
    for stranger in [&second.api, &neighbour.api, &neighbours_admin] {
        for (method, path) in [("GET", ""), ("GET", "/content"), ("DELETE", "")] {
            let answer = stranger.send(method, &format!("{PATH}/{mine}{path}"), "").await.expect(404).json();
            assert_eq!(answer["target"], "export");
        }
    }
    for nothing in ["0", "-1", "x", "99999999999999999999"] {
        tenant.api.get(&format!("{PATH}/{nothing}")).await.expect(404);
    }
    for wrong in ["?limit=0", "?limit=1001", "?before=x", "?state=ready"] {
        tenant.api.get(&format!("{PATH}{wrong}")).await.expect(400);
    }
    admin.send("DELETE", &format!("{PATH}/{mine}"), "").await.expect(204);
    assert_eq!(ids(&admin, "").await.0, [theirs]);
    assert_eq!(server.export_files().len(), 1);
}

#[tokio::test]
async fn a_dropped_tenant_leaves_no_file() {
    let server = TestServer::start().await;
    let (tenant, anomaly) = tenant_with(&server, 5).await;
    ask(&tenant, anomaly).await;
    make(&server).await;
    assert_eq!(server.export_files().len(), 1);
    server.control().send("DELETE", "/control/tenants/5618", "").await.expect(204);
    assert_eq!(server.exports_folder().read_dir().unwrap().count(), 0);
    let again = server.tenant(5618).await;
    assert_eq!(ids(&again.api, "").await.0, Vec::<i64>::new());
}
