//! The api as the process that a container runs: how it starts, and what it says when it cannot.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// The binary in a folder of its own, with nothing of this machine's environment.
fn command(folder: &tempfile::TempDir) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_api"));
    command.env_clear().current_dir(folder.path()).stdout(Stdio::null());
    command
}

struct Api {
    child: Child,
    address: SocketAddr,
    /// From the start of the process until its port took a connection.
    listened_after: Duration,
}

impl Api {
    /// Starts it with backends at this address.
    fn start(folder: &tempfile::TempDir, backends: &str) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = free.local_addr().expect("it has an address");
        drop(free);
        let started = Instant::now();
        let child = command(folder)
            .env("PORT", address.port().to_string())
            .env("CONFLUENT_BOOTSTRAP_SERVERS", backends)
            .env("GOOGLE_CLOUD_PROJECT", "test")
            .env("FIRESTORE_EMULATOR_HOST", backends)
            .env("PUBSUB_EMULATOR_HOST", backends)
            .env("LOG_LEVEL", "ERROR")
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary starts");
        while TcpStream::connect(address).is_err() {
            assert!(started.elapsed() < PATIENCE, "it does not listen");
            std::thread::yield_now();
        }
        Self {
            child,
            address,
            listened_after: started.elapsed(),
        }
    }

    /// The status line and the body.
    fn get(&self, path: &str) -> (String, String) {
        let mut stream = TcpStream::connect(self.address).expect("it takes connections");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
        )
        .expect("it is sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        (head.lines().next().unwrap_or_default().to_owned(), body.to_owned())
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn it_listens_at_once_and_says_what_does_not_answer() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut times: Vec<Duration> = (0..5)
        .map(|_| Api::start(&folder, "127.0.0.1:1").listened_after)
        .collect();
    times.sort_unstable();
    println!("listens after {times:?}");
    // On an idle machine it is a few milliseconds; this leaves room for busy ones, and none for a TLS client or a connection.
    assert!(times[0] < Duration::from_millis(500), "{times:?}");

    // Refused at once, and taken without ever being answered.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let silent = silent
        .local_addr()
        .map(|address| (silent, address.to_string()))
        .expect("it has an address");
    for backends in ["127.0.0.1:1", &silent.1] {
        let api = Api::start(&folder, backends);
        let (status, _) = api.get("/healthz");
        assert!(status.contains("200"), "{status}");
        let (status, body) = api.get("/readyz");
        assert!(status.contains("503"), "{status}: {body}");
        for probe in ["event_log", "store"] {
            assert!(
                body.contains(&format!("\"{probe}\":\"does not answer\"")),
                "{probe}: {body}"
            );
        }
        let (status, body) = api.get("/api/health");
        assert!(status.contains("503"), "{status}: {body}");
        for part in ["event_log", "store", "task_queue"] {
            assert!(body.contains(&format!("\"{part}\":\"down\"")), "{part}: {body}");
        }
        assert!(body.contains("\"rules\":\"up\""), "{body}");
    }
}

#[test]
fn it_ends_in_time_whatever_does_not_answer() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut api = Api::start(&folder, "127.0.0.1:1");
    assert!(api.get("/healthz").0.contains("200"));
    let pid = api.child.id().to_string();
    let asked = Instant::now();
    Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs");
    let status = api.child.wait().expect("it ends");
    assert!(status.success(), "{status}");
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
}

#[test]
fn every_missing_variable_is_named_and_the_exit_is_3() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = command(&folder).output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{text}");
    for variable in [
        "CONFLUENT_BOOTSTRAP_SERVERS",
        "GOOGLE_CLOUD_PROJECT",
        "EVENT_LOG",
        "STORE",
        "TASK_QUEUE",
    ] {
        assert!(text.contains(variable), "{variable} in {text}");
    }

    let output = command(&folder)
        .env("K_SERVICE", "api")
        .env("EVENT_LOG", "embedded")
        .env("CONFLUENT_API_KEY", "key")
        .env("PORT", "many")
        .output()
        .expect("it runs");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{text}");
    for variable in ["EVENT_LOG", "GOOGLE_CLOUD_PROJECT", "AUTH_MODE", "PORT"] {
        assert!(text.contains(variable), "{variable} in {text}");
    }
}
