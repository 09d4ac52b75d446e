//! A function as a process of its own.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::harness::{client, until};

/// Cloud Run gives a function so long after SIGTERM.
const GRACE: Duration = Duration::from_secs(10);
/// Lines of its log that a failed test shows.
const LAST_LINES: usize = 25;

/// A function that runs; killed when dropped.
pub(crate) struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    /// Where it answers, as `http://host:port`.
    pub(crate) base: String,
    ended: bool,
}

/// A port of loopback that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}

/// A function's binary, beside the folder of the test's own.
fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    let folder = test.parent().and_then(Path::parent).expect("a folder of builds");
    let path = folder.join(name);
    assert!(
        path.is_file(),
        "{} is not there; build it with `cargo build --workspace --features cloud --bins`, or run `infra/ci/cloud-tests`",
        path.display()
    );
    path
}

impl Process {
    /// Starts a function with these variables and no others; what it says goes to a file in `logs`.
    pub(crate) fn start(name: &str, port: u16, variables: &[(String, String)], logs: &Path) -> Self {
        let number = (0u32..).find(|number| !logs.join(format!("{name}-{number}.log")).exists());
        let log = logs.join(format!("{name}-{}.log", number.unwrap_or_default()));
        let output = File::create(&log).expect("a log file");
        let child = Command::new(binary(name))
            .env_clear()
            .env("PATH", std::env::var("PATH").unwrap_or_default())
            .env("PORT", port.to_string())
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .current_dir(logs)
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("a second handle"))
            .stderr(output)
            .spawn()
            .expect("the function starts");
        Self {
            name: name.to_owned(),
            child,
            log,
            base: format!("http://127.0.0.1:{port}"),
            ended: false,
        }
    }

    /// Waits until it answers.
    pub(crate) async fn listening(&mut self) {
        let client = client();
        let url = format!("{}/healthz", self.base);
        until("the function listens", async || {
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("{} ended: {status}\n{}", self.name, self.last_lines());
            }
            let answer = client.get(&url).timeout(Duration::from_secs(5)).send().await;
            answer.is_ok_and(|answer| answer.status().is_success()).then_some(())
        })
        .await;
    }

    /// SIGKILL, at once.
    pub(crate) fn kill(mut self) {
        self.end();
    }

    /// SIGTERM, and its exit code, which has to come within Cloud Run's grace.
    pub(crate) async fn terminate(mut self) -> Option<i32> {
        self.signal("TERM");
        let asked = Instant::now();
        let status = until("the function has ended", async || self.child.try_wait().ok().flatten()).await;
        assert!(
            asked.elapsed() < GRACE,
            "{} took {:?} to end",
            self.name,
            asked.elapsed()
        );
        self.ended = true;
        status.code()
    }

    /// SIGSTOP: it is there, and does nothing.
    pub(crate) fn freeze(&self) {
        self.signal("STOP");
    }

    /// SIGCONT: it goes on as if nothing had happened.
    pub(crate) fn thaw(&self) {
        self.signal("CONT");
    }

    /// Everything that it has said.
    pub(crate) fn said(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([&format!("-{name}"), &self.child.id().to_string()])
            .status()
            .expect("kill runs");
        assert!(status.success(), "{} is gone:\n{}", self.name, self.last_lines());
    }

    fn last_lines(&self) -> String {
        let said = self.said();
        let lines: Vec<&str> = said.lines().collect();
        lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.ended = true;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.ended {
            self.end();
        }
        if std::thread::panicking() {
            eprintln!("--- {} last said:\n{}", self.name, self.last_lines());
        }
    }
}
