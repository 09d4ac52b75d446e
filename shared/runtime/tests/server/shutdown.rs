//! Stopping loses no request, leaves no worker, and takes no longer than it may.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::support::{Client, Server};
use axum::routing::{get, post};
use axum::{Extension, Router};
use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use threatstream_runtime::{CancellationToken, Function, ProcessEnvironment, ServeConfig, Shutdown, serve, telemetry};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;

/// Answers once the server is stopping: a request that is in flight for as long as the test needs.
fn router(began: Arc<Notify>, answered: Arc<AtomicBool>) -> Router {
    let patient = async move |Extension(shutdown): Extension<Shutdown>| {
        began.notify_one();
        shutdown.stopping().await;
        // Lets whatever else the shutdown woke go first.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        answered.store(true, Ordering::SeqCst);
        "answered"
    };
    let forever = async |Extension(began): Extension<Arc<Notify>>| {
        began.notify_one();
        std::future::pending::<()>().await;
    };
    Router::new()
        .route("/patient", get(patient))
        .route("/forever", get(forever))
        .route("/quick", get(async || "quick"))
        .route("/large", get(async || Bytes::from(vec![b'a'; LARGE])))
        .route("/upload", post(async |body: Bytes| body.len().to_string()))
}

/// More than the buffers of two sockets hold, in bytes.
const LARGE: usize = 32 * 1024 * 1024;

/// A caller that has sent this much, and been answered this often.
async fn caller(server: &Server, sent: &str, answers: usize) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(sent.as_bytes()).await.unwrap();
    let mut answered = String::new();
    while answered.matches("HTTP/1.1 ").count() < answers {
        let mut bytes = [0; 1024];
        let read = stream.read(&mut bytes).await.unwrap();
        assert_ne!(read, 0, "closed after {answered}");
        answered.push_str(&String::from_utf8_lossy(&bytes[..read]));
    }
    stream
}

#[tokio::test]
async fn callers_that_do_not_go_on_do_not_delay_the_stop() {
    let quick = "GET /quick HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let upload = "POST /upload HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: 100\r\n\r\n";
    for (sent, answers, limit) in [
        (String::new(), 0, 1),
        ("GET /quick HTTP/1.1\r\nhost:".to_owned(), 0, 1),
        (quick.to_owned(), 1, 1),
        (format!("{quick}GET /qu"), 1, 1),
        // The 100 says that the handler waits for the body.
        (upload.to_owned(), 1, 2),
        (format!("{upload}half of it"), 1, 2),
    ] {
        let mut server = Server::start(
            Function::new("test", router(Arc::default(), Arc::default())),
            ServeConfig::local(),
        )
        .await;
        let mut stream = caller(&server, &sent, answers).await;
        // Whoever is answered came later, so that the connection above has been accepted.
        assert_eq!(server.get("/quick").await.status, 200);
        let started = Instant::now();
        server.shutdown.cancel();
        (&mut server.served).await.unwrap().unwrap();
        let took = started.elapsed();
        assert!(took < Duration::from_secs(limit), "{took:?} for {sent:?}");
        let closed = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut Vec::new())).await;
        assert!(closed.is_ok(), "left open: {sent:?}");
    }
}

#[tokio::test]
async fn an_answer_that_is_read_slowly_is_finished() {
    let mut server = Server::start(
        Function::new("test", router(Arc::default(), Arc::default())),
        ServeConfig::local(),
    )
    .await;
    let mut stream = caller(&server, "GET /large HTTP/1.1\r\nhost: localhost\r\n\r\n", 1).await;
    server.shutdown.cancel();
    let early = tokio::time::timeout(Duration::from_millis(700), &mut server.served).await;
    assert!(early.is_err(), "stopped before the answer was read");
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    assert!(rest.len() > LARGE - 1024, "{} bytes", rest.len());
    (&mut server.served).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_body_that_keeps_coming_is_taken() {
    let mut server = Server::start(
        Function::new("test", router(Arc::default(), Arc::default())),
        ServeConfig::local(),
    )
    .await;
    let head = "POST /upload HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n";
    let mut stream = caller(&server, head, 1).await;
    server.shutdown.cancel();
    for byte in [b"a", b"b", b"c", b"d"] {
        let early = tokio::time::timeout(Duration::from_millis(400), &mut server.served).await;
        assert!(early.is_err(), "stopped before the body had come");
        stream.write_all(byte).await.unwrap();
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(
        answer.contains(" 200 OK\r\n") && answer.ends_with("\r\n\r\n4"),
        "{answer}"
    );
    (&mut server.served).await.unwrap().unwrap();
}

#[tokio::test]
async fn workers_have_time_to_say_goodbye_whatever_requests_do() {
    let (began, done) = (Arc::new(Notify::new()), Arc::new(AtomicBool::new(false)));
    let router = router(Arc::default(), Arc::default()).layer(Extension(Arc::clone(&began)));
    let set = Arc::clone(&done);
    let polite = move |token: CancellationToken| {
        let set = Arc::clone(&set);
        async move {
            token.cancelled().await;
            tokio::time::sleep(Duration::from_secs(3)).await;
            set.store(true, Ordering::SeqCst);
            Ok(())
        }
    };
    let mut server = Server::start(
        Function::new("test", router).worker("polite", polite),
        ServeConfig::local(),
    )
    .await;
    let mut client: Client<Full<Bytes>> = server.connect().await;
    let pending = tokio::spawn(async move {
        let forever = Request::get("/forever").body(Full::default()).unwrap();
        client.send(forever).await
    });
    began.notified().await;
    tokio::time::pause();
    let started = tokio::time::Instant::now();
    server.shutdown.cancel();
    (&mut server.served).await.unwrap().unwrap();
    assert!(
        started.elapsed() < Duration::from_millis(7500),
        "{:?}",
        started.elapsed()
    );
    assert!(done.load(Ordering::SeqCst), "the worker was not waited for");
    assert!(pending.await.unwrap().is_err());
}

#[tokio::test]
async fn a_request_in_flight_is_answered_and_then_the_workers_stop() {
    let began = Arc::new(Notify::new());
    let (answered, stopped) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (seen, set) = (Arc::clone(&answered), Arc::clone(&stopped));
    let worker = move |token: CancellationToken| {
        let (seen, set) = (Arc::clone(&seen), Arc::clone(&set));
        async move {
            token.cancelled().await;
            assert!(
                seen.load(Ordering::SeqCst),
                "the worker was cancelled before the request was answered"
            );
            set.store(true, Ordering::SeqCst);
            Ok(())
        }
    };
    let function = Function::new("test", router(Arc::clone(&began), answered)).worker("last", worker);
    let mut server = Server::start(function, ServeConfig::local()).await;

    let mut idle: Client<Full<Bytes>> = server.connect().await;
    let request = |path: &str| Request::get(path).body(Full::default()).unwrap();
    assert_eq!(idle.send(request("/quick")).await.unwrap().status, 200);
    let mut client: Client<Full<Bytes>> = server.connect().await;
    let pending = tokio::spawn(async move { client.send(request("/patient")).await.unwrap() });
    began.notified().await;

    let started = Instant::now();
    server.shutdown.cancel();
    let answer = pending.await.unwrap();
    assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, &b"answered"[..]));
    (&mut server.served).await.unwrap().unwrap();
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "an idle connection kept it up"
    );
    assert!(stopped.load(Ordering::SeqCst));
    assert!(
        Client::<Full<Bytes>>::connect(server.address).await.is_err(),
        "the port is closed"
    );
    assert!(
        idle.send(request("/quick")).await.is_err(),
        "the idle connection is closed"
    );
}

#[tokio::test]
async fn what_does_not_end_is_cut_off_within_eight_seconds() {
    let began = Arc::new(Notify::new());
    let router = router(Arc::default(), Arc::default()).layer(Extension(Arc::clone(&began)));
    let stubborn = |_| std::future::pending::<anyhow::Result<()>>();
    let mut server = Server::start(
        Function::new("test", router).worker("stubborn", stubborn),
        ServeConfig::local(),
    )
    .await;
    let mut client: Client<Full<Bytes>> = server.connect().await;
    let pending = tokio::spawn(async move {
        client
            .send(Request::get("/forever").body(Full::default()).unwrap())
            .await
    });
    began.notified().await;

    // From here only timers are waited for, and the paused clock jumps to them.
    tokio::time::pause();
    let started = tokio::time::Instant::now();
    server.shutdown.cancel();
    (&mut server.served).await.unwrap().unwrap();
    let took = started.elapsed();
    assert!(
        took >= Duration::from_secs(7) && took < Duration::from_millis(7500),
        "{took:?}"
    );
    assert!(pending.await.unwrap().is_err());
}

#[tokio::test]
async fn readiness_tells_of_probes_and_failing_workers() {
    let broken = Arc::new(AtomicBool::new(false));
    let state = Arc::clone(&broken);
    let probe = move || {
        let down = state.load(Ordering::SeqCst);
        async move {
            if down {
                Err("cannot reach it".to_owned())
            } else {
                Ok(())
            }
        }
    };
    let function = Function::new("test", Router::new())
        .ready("store", probe)
        .worker("done", async |_| Ok(()));
    let server = Server::start(function, ServeConfig::local()).await;
    let ready = server.get("/readyz").await;
    assert_eq!(ready.status, 200, "{ready:?}");
    assert_eq!(
        (&ready.json()["status"], &ready.json()["probes"]["store"]),
        (&"ready".into(), &"up".into())
    );
    assert_eq!(server.get("/healthz").await.status, 200);

    broken.store(true, Ordering::SeqCst);
    let deadline = Instant::now() + Duration::from_secs(10);
    let unready = loop {
        let answer = server.get("/readyz").await;
        if answer.status == 503 {
            break answer;
        }
        assert!(Instant::now() < deadline, "{answer:?}");
    };
    assert_eq!(unready.json()["probes"]["store"], "cannot reach it");

    let failing = Function::new("test", Router::new()).worker("failing", async |_| anyhow::bail!("always"));
    let server = Server::start(failing, ServeConfig::local()).await;
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let answer = server.get("/readyz").await;
        if answer.status == 503 {
            assert!(
                answer.json()["workers"]["failing"]["failures"].as_u64().unwrap() >= 3,
                "{answer:?}"
            );
            break;
        }
        assert!(Instant::now() < deadline, "{answer:?}");
    }
}

const CHILD: &str = "RUNTIME_TEST_CHILD";

/// The process that the next test starts and kills; by itself it does nothing.
#[test]
fn child() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let environment = ProcessEnvironment::load().unwrap();
        let _telemetry = telemetry::init(&environment).unwrap();
        let began = Arc::new(Notify::new());
        let log = Arc::clone(&began);
        tokio::spawn(async move {
            log.notified().await;
            tracing::info!("the request began");
        });
        let config = ServeConfig::from_env(&environment).unwrap();
        serve(Function::new("child", router(began, Arc::default())), config)
            .await
            .unwrap();
    });
}

#[test]
fn sigterm_ends_the_process_after_the_request_in_flight() {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "shutdown::child", "--nocapture", "--test-threads=1"])
        .envs([
            (CHILD, "1"),
            ("PORT", "0"),
            ("LOG_LEVEL", "INFO"),
            ("LOG_FORMAT", "text"),
            ("NO_COLOR", "1"),
        ])
        .env_remove("K_SERVICE")
        .env_remove("AUTH_MODE")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let listening = lines.find(|line| line.contains("listening")).unwrap();
    let address = listening
        .split("address=")
        .nth(1)
        .unwrap()
        .split_whitespace()
        .next()
        .unwrap()
        .parse()
        .unwrap();

    let runtime = tokio::runtime::Runtime::new().unwrap();
    let request = runtime.spawn(async move {
        let mut client: Client<Full<Bytes>> = Client::connect(address).await.unwrap();
        client
            .send(Request::get("/patient").body(Full::default()).unwrap())
            .await
            .unwrap()
    });
    lines.find(|line| line.contains("the request began")).unwrap();
    let started = Instant::now();
    assert!(
        Command::new("kill")
            .args(["-TERM", &child.id().to_string()])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(&runtime.block_on(request).unwrap().body[..], b"answered");
    assert!(lines.any(|line| line.contains("SIGTERM")));
    assert!(child.wait().unwrap().success());
    assert!(started.elapsed() < Duration::from_secs(8));
}
