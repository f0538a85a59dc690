//! `GET /healthz`, `GET /readyz`.

use crate::support::TestServer;

#[tokio::test]
async fn anyone_may_ask_whether_it_lives_and_is_ready() {
    let server = TestServer::start().await;
    for path in ["/healthz", "/readyz"] {
        let answer = server.anyone().get(path).await.expect(200).json();
        assert_eq!(answer["status"], "ok");
        assert_eq!(answer["version"], env!("CARGO_PKG_VERSION"));
    }
}

#[tokio::test]
async fn it_is_not_ready_without_its_registry() {
    let server = TestServer::start().await;
    server.owner.services.registry.close().await;
    server.anyone().get("/healthz").await.expect(200);
    let answer = server.anyone().get("/readyz").await.expect(503).json();
    assert_eq!(answer["code"], "not_ready");
}
