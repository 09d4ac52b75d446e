//! The document, and the pages that show it.

use http::Request;

use crate::world::World;

/// Routes of other functions, which their own tests hold to the document.
const ELSEWHERE: [&str; 5] = [
    "/api/simulation/",
    "/api/playbooks",
    "/api/blocklist",
    "/tasks/",
    "/ws/live",
];

#[tokio::test]
async fn every_documented_route_of_ours_answers() {
    let world = World::new();
    let document = world.get("/openapi.json").await.json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut seen = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        if ELSEWHERE.iter().any(|prefix| path.starts_with(prefix)) {
            continue;
        }
        for method in item.as_object().unwrap().keys() {
            let request = Request::builder()
                .method(method.to_uppercase().as_str())
                .uri(path.replace("{id}", "none"));
            let answer = world.send(request.body(axum::body::Body::empty()).unwrap()).await;
            let routed = answer.status != 405 && (answer.status != 404 || answer.fields() == ["id"]);
            assert!(routed, "{method} {path}: {}", answer.status);
            seen += 1;
        }
    }
    assert!(seen >= 28, "{seen}");
}

#[tokio::test]
async fn pages_fetch_nothing_from_elsewhere() {
    let world = World::new();
    for (path, kind) in [
        ("/docs/", "text/html"),
        ("/docs/swagger-ui-bundle.js", "javascript"),
        ("/docs/swagger-initializer.js", "javascript"),
        ("/redoc", "text/html"),
        ("/redoc/redoc.standalone.js", "javascript"),
    ] {
        let answer = world.get(path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(
            answer.headers["content-type"].to_str().unwrap().contains(kind),
            "{path}: {:?}",
            answer.headers
        );
        let policy = answer.headers["content-security-policy"].to_str().unwrap();
        assert!(
            policy.starts_with("default-src 'none'") && !policy.contains("http"),
            "{path}"
        );
        if kind == "text/html" {
            let page = String::from_utf8(answer.body).unwrap();
            assert!(!page.contains("http:") && !page.contains("https:"), "{page}");
        }
    }
    assert_eq!(world.get("/docs").await.status, 303);
}
