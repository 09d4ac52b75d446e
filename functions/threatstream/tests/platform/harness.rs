//! Starting the binary, and talking to it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long anything may take before a test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// The platform as a process; killed when dropped.
pub(crate) struct Platform {
    child: Child,
    pub(crate) base: String,
    /// What it said on its standard error until then.
    pub(crate) said: Vec<String>,
}

/// The binary with nothing of this machine's environment but the path.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_threatstream"));
    command
        .env_clear()
        .env("PATH", std::env::var("PATH").unwrap_or_default());
    command
}

impl Platform {
    /// Starts it over a folder, with variables, and waits until it says where it is.
    pub(crate) fn start(data: &Path, variables: &[(&str, &str)]) -> Self {
        let mut command = command();
        command
            .current_dir(data)
            .env("PORT", "0")
            .env("THREATSTREAM_DATA", data)
            .env("LOG_LEVEL", "WARN");
        command
            .envs(variables.iter().copied())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let mut lines = BufReader::new(child.stderr.take().expect("stderr is piped")).lines();
        let mut said = Vec::new();
        let base = loop {
            let Some(Ok(line)) = lines.next() else {
                panic!("the platform did not start:\n{}", said.join("\n"))
            };
            if let Some(rest) = line.strip_prefix("ThreatStream is at ") {
                break rest.trim_end_matches('/').to_owned();
            }
            said.push(line);
        };
        // What it says from here on is for whoever reads a failed test.
        std::thread::spawn(move || {
            lines
                .map_while(Result::ok)
                .for_each(|line| eprintln!("platform: {line}"));
        });
        Self { child, base, said }
    }

    /// The process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL, at once.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
    }

    /// SIGTERM: the exit code.
    pub(crate) fn terminate(mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs");
        self.child.wait().expect("it ends").code()
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A client of the platform.
pub(crate) fn client() -> reqwest::Client {
    // The second of two tests finds the provider installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .timeout(Duration::from_secs(20))
        .build()
        .expect("a client")
}

/// A JSON answer of status 200.
pub(crate) async fn get(client: &reqwest::Client, base: &str, path: &str) -> Value {
    let response = client.get(format!("{base}{path}")).send().await.expect("it answers");
    let status = response.status();
    let text = response.text().await.expect("a body");
    assert!(status.is_success(), "GET {path}: {status} {text}");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("GET {path}: {error}: {text}"))
}

/// Posts log lines as text, all of which must be taken.
pub(crate) async fn post_lines(client: &reqwest::Client, base: &str, lines: &[String], key: Option<&str>) {
    for (number, chunk) in lines.chunks(1000).enumerate() {
        let mut request = client
            .post(format!("{base}/api/events"))
            .header("content-type", "text/plain");
        if let Some(key) = key {
            request = request.header("idempotency-key", format!("{key}-{number}"));
        }
        let response = request.body(chunk.join("\n")).send().await.expect("it answers");
        assert_eq!(response.status(), 202, "{}", response.text().await.unwrap_or_default());
        let answer: Value = response.json().await.expect("JSON");
        assert_eq!(answer["accepted"], chunk.len(), "{answer}");
    }
}

/// Polls until something holds.
pub(crate) async fn until<T>(what: &str, mut check: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = check().await {
            return value;
        }
        assert!(Instant::now() < deadline, "still waiting until {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The ledger once both stages have worked everything.
pub(crate) async fn settled(client: &reqwest::Client, base: &str) -> Value {
    until("everything is analysed", async || {
        let ledger = get(client, base, "/api/analytics/ledger").await;
        (ledger["pending"] == 0).then_some(ledger)
    })
    .await
}

/// Both equations of the ledger.
pub(crate) fn assert_balanced(ledger: &Value) {
    let part = |half: &str, name: &str| {
        ledger[half][name]
            .as_u64()
            .unwrap_or_else(|| panic!("{half}.{name}: {ledger}"))
    };
    let events: u64 = ["clean", "matched", "duplicate", "dead_lettered"]
        .iter()
        .map(|name| part("match", name))
        .sum();
    assert_eq!(part("match", "ingested"), events, "{ledger}");
    let matches: u64 = ["stored", "counted", "suppressed", "duplicate"]
        .iter()
        .map(|name| part("judge", name))
        .sum();
    assert_eq!(part("judge", "matches"), matches, "{ledger}");
}

/// Every item of a paged list.
pub(crate) async fn all(client: &reqwest::Client, base: &str, path: &str, list: &str) -> Vec<Value> {
    let mut items = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = get(client, base, &format!("{path}?limit=500{cursor}")).await;
        items.extend(page[list].as_array().expect("a list").iter().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return items,
        }
    }
}

/// What came of a run, without what differs between runs of the same events: times of the clock, order, durations.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) threats: BTreeSet<String>,
    pub(crate) alerts: BTreeMap<String, u64>,
}

impl Outcome {
    pub(crate) async fn of(client: &reqwest::Client, base: &str) -> Self {
        let text = |value: &Value, name: &str| value[name].as_str().unwrap_or_default().to_owned();
        let threats = all(client, base, "/api/threats/recent", "threats").await;
        let alerts = all(client, base, "/api/alerts", "alerts").await;
        let unique: BTreeSet<String> = threats.iter().map(|threat| text(threat, "id")).collect();
        assert_eq!(unique.len(), threats.len(), "a threat was stored twice");
        Self {
            threats: unique,
            alerts: alerts
                .iter()
                .map(|alert| (text(alert, "id"), alert["event_count"].as_u64().unwrap_or_default()))
                .collect(),
        }
    }
}

/// Real data, if this machine has it.
pub(crate) fn corpus(name: &str) -> Option<Vec<Value>> {
    let Some(folder) = std::env::var_os("THREATSTREAM_CORPORA") else {
        eprintln!("skipped: THREATSTREAM_CORPORA is not set");
        return None;
    };
    let file = std::fs::File::open(Path::new(&folder).join(name)).expect("the corpus");
    let lines = BufReader::new(flate2::read::GzDecoder::new(file)).lines();
    Some(
        lines
            .map(|line| serde_json::from_str(&line.expect("text")).expect("JSON"))
            .collect(),
    )
}

/// A number from the environment: the size of a long test.
pub(crate) fn size(variable: &str, default: usize) -> usize {
    std::env::var(variable)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}
