//! `GET /docs`: served whole, from this server only.

use crate::support::TestServer;

#[tokio::test]
async fn the_page_loads_nothing_from_elsewhere() {
    let server = TestServer::start().await;
    let anyone = server.anyone();
    let redirect = anyone.get("/docs").await;
    assert!([301, 302, 303, 307, 308].contains(&redirect.status), "{}", redirect.status);
    let page = anyone.get("/docs/").await.expect(200);
    assert!(page.header("content-type").unwrap().starts_with("text/html"));
    let assets: Vec<&str> = ["src=\"", "href=\""]
        .iter()
        .flat_map(|attribute| page.text().split(attribute).skip(1))
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    assert!(assets.len() >= 3, "{}", page.text());
    for asset in assets {
        assert!(!asset.contains("//"), "{asset} lies elsewhere");
        let path = format!("/docs/{}", asset.trim_start_matches("./"));
        anyone.get(&path).await.expect(200);
    }
    let start = anyone.get("/docs/swagger-initializer.js").await.expect(200);
    assert!(start.text().contains("/openapi.json"), "{}", start.text());
    assert!(!start.text().contains("http://") && !start.text().contains("https://"), "{}", start.text());
}
