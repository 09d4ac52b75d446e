//! What the description says is there, is there.

use super::harness::{Platform, client, get};

#[tokio::test(flavor = "multi_thread")]
async fn every_described_route_answers_and_every_contract_route_is_described() {
    let data = tempfile::tempdir().expect("a folder");
    let platform = Platform::start(data.path(), &[]);
    let client = client();
    let description = get(&client, &platform.base, "/openapi.json").await;
    assert_eq!(description["openapi"], "3.1.0");
    let paths = description["paths"].as_object().expect("paths");
    for route in [
        "/",
        "/api/health",
        "/api/events",
        "/api/simulate/event",
        "/api/threats/recent",
        "/api/threats/{id}",
        "/api/threats/{id}/events",
        "/api/threats/stats/summary",
        "/api/alerts/active",
        "/api/alerts/{id}/acknowledge",
        "/api/alerts/{id}/resolve",
        "/api/analytics/dashboard",
        "/api/analytics/risk-index",
        "/api/analytics/timeline",
        "/api/analytics/summary",
        "/api/analytics/ledger",
        "/metrics",
        "/docs",
        "/redoc",
        "/openapi.json",
        "/ws/live",
        "/api/simulation/start",
        "/api/simulation/stop",
        "/api/simulation/state",
        "/api/playbooks",
        "/api/playbooks/history",
        "/api/playbooks/execute",
        "/api/blocklist",
        "/healthz",
        "/readyz",
    ] {
        assert!(paths.contains_key(route), "{route} is not described");
    }
    for (path, methods) in paths {
        for method in methods.as_object().expect("methods").keys() {
            // What wakes the analyzer where it does not stand: here it does.
            if matches!((method.as_str(), path.as_str()), ("post", "/" | "/drain")) {
                continue;
            }
            let path = path.replace("{id}", "nobody").replace("{threat_id}", "nobody");
            let method: http::Method = method.to_uppercase().parse().expect("a method");
            let answer = client
                .request(method.clone(), format!("{}{path}", platform.base))
                .send()
                .await
                .expect("an answer");
            let status = answer.status();
            let text = answer.text().await.unwrap_or_default();
            assert!(
                status != 405 && !text.contains("no such route"),
                "{method} {path}: {status} {text}"
            );
            assert!(!status.is_server_error(), "{method} {path}: {status} {text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_root_is_a_page_to_a_browser_and_json_to_a_program() {
    let data = tempfile::tempdir().expect("a folder");
    let platform = Platform::start(data.path(), &[]);
    let client = client();
    let page = client
        .get(&platform.base)
        .header("accept", "text/html,*/*")
        .send()
        .await
        .expect("an answer");
    let policy = page.headers()["content-security-policy"]
        .to_str()
        .expect("text")
        .to_owned();
    assert!(
        policy.contains("default-src 'none'") && !policy.contains("unsafe"),
        "{policy}"
    );
    let html = page.text().await.expect("a page");
    assert!(html.contains("<html"));
    for reference in [
        "src=\"http",
        "href=\"http",
        "url(http",
        "@import",
        "src=\"//",
        "href=\"//",
    ] {
        assert!(!html.contains(reference), "nothing from elsewhere: {reference}");
    }
    let information = get(&client, &platform.base, "/").await;
    assert!(information.is_object(), "{information}");
}
