//! The document, and the pages that show it.

use http::Request;

use serde_json::Value;
use threatstream_api::documented;

use crate::world::World;

/// Routes of other functions, which their own tests hold to the document.
const ELSEWHERE: [&str; 7] = [
    "/api/simulation/",
    "/api/playbooks",
    "/api/blocklist",
    "/tasks/",
    "/tick",
    "/drain",
    "/ws/live",
];

#[tokio::test]
async fn every_documented_route_of_ours_answers() {
    let world = World::new();
    let document = world.get("/openapi.json").await.json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut seen = 0;
    for (method, path) in documented() {
        let push = method == http::Method::POST && path == "/";
        if push || ELSEWHERE.iter().any(|prefix| path.starts_with(prefix)) {
            continue;
        }
        let request = Request::builder().method(&method).uri(path.replace("{id}", "none"));
        let answer = world.send(request.body(axum::body::Body::empty()).unwrap()).await;
        let routed = answer.status != 405 && (answer.status != 404 || answer.fields() == ["id"]);
        assert!(routed, "{method} {path}: {}", answer.status);
        seen += 1;
    }
    assert!(seen >= 28, "{seen}");
}

#[tokio::test]
async fn what_the_runtime_answers_is_as_described() {
    let world = World::new();
    let document = world.get("/openapi.json").await.json();
    let names = |object: &Value| -> Vec<String> { object.as_object().unwrap().keys().cloned().collect() };
    for path in ["/healthz", "/readyz"] {
        let answer = world.get(path).await;
        assert_eq!(answer.headers["content-type"], "application/json");
        let schema = &document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"];
        let name = schema["$ref"]
            .as_str()
            .unwrap_or_else(|| panic!("{path} has no schema"));
        let schema = document.pointer(name.trim_start_matches('#')).unwrap();
        assert_eq!(names(&schema["properties"]), names(&answer.json()), "{path}");
    }
    let described = names(&document["paths"]["/metrics"]["get"]["responses"]["200"]["content"]);
    for accepted in ["*/*", "text/plain", "application/openmetrics-text"] {
        let request = Request::get("/metrics").header("accept", accepted);
        let answer = world.send(request.body(axum::body::Body::empty()).unwrap()).await;
        let answered = answer.headers["content-type"].to_str().unwrap();
        let kind = answered.split(';').next().unwrap();
        assert!(
            described.iter().any(|described| described == kind),
            "{accepted}: {kind}"
        );
    }
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
