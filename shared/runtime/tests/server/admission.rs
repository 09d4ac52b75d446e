//! Who may pass: tokens, tickets, roles, pages of strangers, and those who ask too often.

use std::time::Duration;

use crate::support::Server;
use axum::Router;
use axum::routing::{any, get, post};
use http::Request;
use threatstream_runtime::auth::{Origins, Tokens, hash_token};
use threatstream_runtime::{AuthMode, Function, Principal, Role, ServeConfig};

fn function() -> Function {
    let router = Router::new()
        .route(
            "/who",
            get(async |principal: Principal| format!("{} {}", principal.name, principal.role)).post(async || "changed"),
        )
        .route("/ingest", post(async || "taken"))
        .route(
            "/page",
            get(async |principal: Option<Principal>| format!("{}", principal.is_some())),
        )
        .route("/ticket", post(async |principal: Principal| principal.role.to_string()))
        .route("/ws/live", any(async |principal: Principal| principal.name.to_string()));
    Function::new("test", router)
        .ingest("/ingest")
        .public("/page")
        .requires("/ticket", Role::Viewer)
}

fn tokens() -> ServeConfig {
    let entries: Vec<String> = ["viewer", "analyst", "admin", "ingest"]
        .map(|role| format!("{role}:{role}:{}", hash_token(&format!("{role}-token"))))
        .to_vec();
    let auth = AuthMode::Token(Tokens::parse(&entries.join(",")).unwrap());
    ServeConfig {
        auth,
        ..ServeConfig::local()
    }
}

#[tokio::test]
async fn tokens_and_roles() {
    let server = Server::start(function(), tokens()).await;
    let as_role = |method: &str, path: &str, role: &str| {
        Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {role}-token"))
    };
    for (method, path, viewer, analyst, admin, ingest) in [
        ("GET", "/who", 200, 200, 200, 403),
        ("POST", "/who", 403, 200, 200, 403),
        ("POST", "/ingest", 403, 200, 200, 200),
        ("POST", "/ticket", 200, 200, 200, 403),
        ("GET", "/page", 200, 200, 200, 200),
        ("GET", "/metrics", 200, 200, 200, 403),
        ("GET", "/none", 404, 404, 404, 403),
        ("GET", "/healthz", 200, 200, 200, 200),
    ] {
        for (role, status) in [
            ("viewer", viewer),
            ("analyst", analyst),
            ("admin", admin),
            ("ingest", ingest),
        ] {
            let answer = server.send(as_role(method, path, role)).await;
            assert_eq!(answer.status.as_u16(), status, "{method} {path} as {role}");
            if status >= 400 {
                answer.problem(status);
            }
        }
    }
    assert_eq!(server.send(as_role("GET", "/who", "admin")).await.body, "admin admin");
    for (header, path) in [
        ("", "/who"),
        ("Bearer wrong", "/who"),
        ("Basic YTpi", "/who"),
        ("Bearer", "/none"),
        ("", "/metrics"),
    ] {
        let answer = server.send(Request::get(path).header("authorization", header)).await;
        answer.problem(401);
        assert_eq!(answer.header("www-authenticate"), "Bearer");
    }
    assert_eq!(server.get("/page").await.body, "false");
    assert_eq!(server.get("/readyz").await.status, 200);
}

#[tokio::test]
async fn tickets_open_sockets_and_nothing_else() {
    let config = tokens().accept_tickets(|| 1_000_000);
    let tickets = config.tickets.clone();
    let server = Server::start(function(), config).await;
    let alice = Principal::new("alice", Role::Viewer);
    let with = |path: &str, ticket: &str| {
        Request::get(path).header("sec-websocket-protocol", format!("threatstream.v1, ticket.{ticket}"))
    };
    let ticket = tickets.issue(&alice, 1_000_000);
    assert_eq!(server.send(with("/ws/live", &ticket)).await.body, "alice");
    server.send(with("/who", &ticket)).await.problem(401);
    server
        .send(with("/ws/live", &tickets.issue(&alice, 900_000)))
        .await
        .problem(401);
    server.send(with("/ws/live", "forged")).await.problem(401);
    server.get("/ws/live").await.problem(401);
    let bearer = Request::get("/ws/live").header("authorization", "bearer admin-token");
    assert_eq!(server.send(bearer).await.body, "admin");
}

#[tokio::test]
async fn in_open_mode_pages_of_strangers_are_kept_out() {
    let origins = Origins::new(["http://localhost:3000".to_owned(), "https://soc.example".to_owned()]).unwrap();
    let server = Server::start(
        function(),
        ServeConfig {
            cors_origins: origins,
            ..ServeConfig::local()
        },
    )
    .await;
    assert_eq!(server.get("/who").await.body, "local admin");
    let own = format!("http://{}", server.address);
    for (method, path, host, origin, upgrade, status) in [
        ("GET", "/who", "localhost:8000", "", false, 200),
        ("GET", "/who", "soc.example", "", false, 200),
        ("GET", "/who", "evil.example", "", false, 403),
        ("GET", "/who", "127.0.0.1.evil.example:8000", "", false, 403),
        ("GET", "/healthz", "evil.example", "", false, 200),
        ("POST", "/who", "", "https://evil.example", false, 403),
        ("POST", "/who", "", "null", false, 403),
        ("POST", "/who", "", "http://localhost:3000", false, 200),
        ("POST", "/who", "", own.as_str(), false, 200),
        ("POST", "/who", "", "", false, 200),
        ("GET", "/who", "", "https://evil.example", false, 200),
        ("GET", "/ws/live", "", "https://evil.example", true, 403),
        ("GET", "/ws/live", "", "http://localhost:3000", true, 200),
    ] {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in [
            ("host", host),
            ("origin", origin),
            ("upgrade", if upgrade { "websocket" } else { "" }),
        ] {
            if !value.is_empty() {
                request = request.header(name, value);
            }
        }
        let answer = server.send(request).await;
        assert_eq!(
            answer.status.as_u16(),
            status,
            "{method} {path} host={host} origin={origin}"
        );
    }
}

#[tokio::test]
async fn cross_origin_requests_are_answered_to_allowed_origins_only() {
    let origins = Origins::new(["http://localhost:3000".to_owned()]).unwrap();
    let server = Server::start(
        function(),
        ServeConfig {
            cors_origins: origins,
            ..tokens()
        },
    )
    .await;
    let preflight = |origin: &str| {
        Request::options("/who")
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization,idempotency-key")
    };
    let allowed = server.send(preflight("http://localhost:3000")).await;
    assert_eq!(allowed.status, 200);
    assert_eq!(allowed.header("access-control-allow-origin"), "http://localhost:3000");
    assert!(
        allowed
            .header("access-control-allow-headers")
            .contains("idempotency-key")
    );
    assert_eq!(
        server
            .send(preflight("https://evil.example"))
            .await
            .header("access-control-allow-origin"),
        ""
    );
    // A page must be able to read why it was refused.
    let refused = server
        .send(Request::get("/who").header("origin", "http://localhost:3000"))
        .await;
    refused.problem(401);
    assert_eq!(refused.header("access-control-allow-origin"), "http://localhost:3000");
}

#[tokio::test]
async fn each_principal_has_a_rate_and_ingest_has_none() {
    let config = ServeConfig {
        rate_limit_requests: 3,
        rate_limit_window: Duration::from_secs(3600),
        ..tokens()
    };
    let server = Server::start(function(), config).await;
    let as_role = |method: &str, path: &str, role: &str| {
        Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {role}-token"))
    };
    for status in [200, 200, 200, 429] {
        let answer = server.send(as_role("GET", "/who", "admin")).await;
        assert_eq!(answer.status.as_u16(), status);
        if status == 429 {
            answer.problem(429);
            assert!(
                (1000..=1200).contains(&answer.header("retry-after").parse::<u32>().unwrap()),
                "{answer:?}"
            );
        }
    }
    assert_eq!(server.send(as_role("GET", "/who", "viewer")).await.status, 200);
    for _ in 0..10 {
        assert_eq!(server.send(as_role("POST", "/ingest", "admin")).await.status, 200);
        assert_eq!(server.get("/healthz").await.status, 200);
    }
    for status in [401, 401, 401, 429] {
        server.send(as_role("GET", "/who", "guessed")).await.problem(status);
    }

    // Sockets are counted elsewhere; what only looks like one is not let off.
    let socket = |method: &str, path: &str| {
        as_role(method, path, "analyst")
            .header("connection", "keep-alive, Upgrade")
            .header("upgrade", "websocket")
    };
    for _ in 0..10 {
        assert_eq!(server.send(socket("GET", "/ws/live")).await.status, 200);
    }
    for (request, status) in [
        (socket("GET", "/who"), 200),
        (socket("POST", "/ws/live"), 200),
        (as_role("GET", "/ws/live", "analyst"), 200),
        (socket("GET", "/who"), 429),
        (as_role("GET", "/ws/live", "analyst"), 429),
        (socket("GET", "/ws/live"), 200),
    ] {
        assert_eq!(server.send(request).await.status, status);
    }

    let open = ServeConfig {
        rate_limit_requests: 1,
        ..ServeConfig::local()
    };
    let server = Server::start(function(), open).await;
    for _ in 0..5 {
        assert_eq!(server.get("/who").await.status, 200);
    }
}

#[tokio::test]
async fn behind_iam_the_caller_is_named_for_the_record() {
    let config = ServeConfig {
        auth: AuthMode::Iam,
        on_cloud_run: true,
        ..ServeConfig::local()
    };
    let server = Server::start(function(), config).await;
    // {"email":"push@p.iam.gserviceaccount.com"}
    let token = "Bearer e30.eyJlbWFpbCI6InB1c2hAcC5pYW0uZ3NlcnZpY2VhY2NvdW50LmNvbSJ9.SIGNATURE_REMOVED_BY_GOOGLE";
    let answer = server.send(Request::get("/who").header("authorization", token)).await;
    assert_eq!(answer.body, "push@p.iam.gserviceaccount.com admin");
}
