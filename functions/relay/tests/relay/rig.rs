//! A running relay, a partition to commit to, and clients.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use threatstream_backend::{Backends, Checkpoint, Commit, NewThreat, PartitionId, StateChange};
use threatstream_domain::{AuditRef, Clock, Frame, FrameKind, MinuteStats, Severity, Tally, Threat, ThreatType};
use threatstream_embedded::{Embedded, Options};
use threatstream_relay::{Config, Dependencies, build};
use threatstream_runtime::auth::Origins;
use threatstream_runtime::{CancellationToken, ServeConfig, serve_on};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// Longer than anything here takes, on the busiest machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Rig {
    pub(crate) address: SocketAddr,
    pub(crate) backends: Backends,
    server: JoinHandle<anyhow::Result<()>>,
    shutdown: CancellationToken,
    _embedded: Embedded,
    _folder: tempfile::TempDir,
}

impl Rig {
    pub(crate) async fn new(config: Config) -> Self {
        Self::with(config, |_| {}).await
    }

    pub(crate) async fn with(config: Config, adjust: impl FnOnce(&mut Options)) -> Self {
        Self::over(config, adjust, |backends| backends).await
    }

    /// A relay that sees the backends through `glass`; what is committed goes to them directly.
    pub(crate) async fn over(
        config: Config,
        adjust: impl FnOnce(&mut Options),
        glass: impl FnOnce(Backends) -> Backends,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut options = Options::new(folder.path());
        adjust(&mut options);
        let embedded = threatstream_embedded::open(options).unwrap();
        let backends = embedded.backends();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let function = build(
            config,
            Dependencies {
                backends: glass(backends.clone()),
                clock: Clock::system(),
            },
        );
        let serve = ServeConfig {
            rate_limit_requests: 0,
            cors_origins: Origins::new(["http://localhost:3000".to_owned()]).unwrap(),
            ..ServeConfig::local()
        };
        let server = tokio::spawn(serve_on(listener, function, serve, shutdown.clone()));
        Self {
            address,
            backends,
            server,
            shutdown,
            _embedded: embedded,
            _folder: folder,
        }
    }

    pub(crate) async fn client(&self) -> Client {
        self.try_client().await.unwrap()
    }

    pub(crate) async fn try_client(&self) -> Result<Client, Error> {
        let (socket, _) = connect_async(format!("ws://{}/ws/live", self.address)).await?;
        Ok(Client(socket))
    }

    /// A client that has its state, and everything from there on.
    pub(crate) async fn greeted(&self) -> Client {
        let mut client = self.client().await;
        client.send(json!({"type": "handshake", "epoch": null})).await;
        client.until("initial_state").await;
        client
    }

    pub(crate) async fn partition(&self) -> Partition {
        let id = PartitionId {
            topic: self.backends.topics.matches.clone(),
            partition: 0,
        };
        let now = Clock::system().now();
        let leases = self
            .backends
            .store
            .acquire(&id, 4, "test", Duration::from_secs(600), now)
            .await
            .unwrap();
        Partition {
            backends: self.backends.clone(),
            id,
            checkpoint: leases.unwrap(),
            made: 0,
        }
    }

    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        tokio::time::timeout(PATIENCE, self.server)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
    }
}

/// A leased partition; commits go through the one door that results go through.
pub(crate) struct Partition {
    backends: Backends,
    id: PartitionId,
    checkpoint: Checkpoint,
    /// Threats made so far; the next one's number.
    pub(crate) made: usize,
}

impl Partition {
    /// Commits `count` threats as one record of the feed.
    pub(crate) async fn threats(&mut self, count: usize, severity: Severity) {
        let now = Clock::system().now();
        let threats: Vec<Threat> = (self.made..self.made + count).map(|n| threat(n, severity)).collect();
        let frame = |threat: &Threat| Frame::new(FrameKind::NewThreat, Some(threat.severity), threat).unwrap();
        let mut minute = MinuteStats {
            minute: now.minute(),
            detected: count as u64,
            detect_ms: count as f64,
            ..MinuteStats::default()
        };
        minute.threats[severity as usize] = count as u64;
        self.made += count;
        let frames = threats.iter().map(frame).collect();
        let threats = threats
            .into_iter()
            .map(|threat| NewThreat {
                threat,
                originals: Vec::new(),
            })
            .collect();
        self.commit(frames, threats, vec![minute]).await;
    }

    pub(crate) async fn commit(&mut self, frames: Vec<Frame>, threats: Vec<NewThreat>, minutes: Vec<MinuteStats>) {
        let next = self.checkpoint.next_offset + 1;
        let commit = Commit {
            id: self.id.clone(),
            owner_epoch: self.checkpoint.owner_epoch,
            expected_offset: self.checkpoint.next_offset,
            next_offset: next,
            batch_id: format!("batch-{next}"),
            unpublished: Vec::new(),
            tally: Tally::default(),
            lost: 0,
            minutes,
            threats,
            alerts: Vec::new(),
            state: StateChange::default(),
            frames,
            lease_until: self.checkpoint.lease_until,
            now: Clock::system().now(),
        };
        self.backends.store.commit(commit).await.unwrap();
        self.checkpoint.next_offset = next;
    }
}

pub(crate) fn threat(n: usize, severity: Severity) -> Threat {
    let now = Clock::system().now();
    Threat {
        id: format!("THR-{n:020}"),
        event_id: format!("event-{n}"),
        timestamp: now,
        severity,
        threat_type: ThreatType::BruteForce,
        risk_score: 80,
        source_ip: Some("203.0.113.7".into()),
        source_country: None,
        source_country_code: None,
        source_zone: None,
        source_asn: None,
        coordinates: None,
        destination_ip: None,
        destination_port: Some(22),
        user: Some("root".into()),
        host: Some("web-1".into()),
        confidence: 0.9,
        description: "<img src=x onerror=alert(1)> twenty guesses \u{1b}[31m".into(),
        contextual_analysis: "a".repeat(600),
        contributing_signals: vec!["many failures".into()],
        recommended_actions: vec!["block the source".into()],
        mitre_attack_id: Some("T1110".into()),
        mitre_attack_name: Some("Brute Force".into()),
        mitre_tactic: Some("credential-access".into()),
        rule_ids: vec!["rule".into()],
        rules_hash: "hash".into(),
        event_count: 20,
        evidence: Vec::new(),
        auto_blocked: false,
        simulated: false,
        processing_time_ms: 1.0,
        analyzed_at: now,
        audit_ref: AuditRef::RuleEngine,
        triage: None,
    }
}

/// The number of the threat that a frame tells of.
pub(crate) fn number(frame: &Value) -> usize {
    frame["data"]["id"].as_str().unwrap()[4..].parse().unwrap()
}

pub(crate) struct Client(pub(crate) WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Client {
    pub(crate) async fn send(&mut self, frame: Value) {
        self.send_text(frame.to_string()).await;
    }

    pub(crate) async fn send_text(&mut self, text: String) {
        self.0.send(Message::text(text)).await.unwrap();
    }

    /// The next message of any kind; `None` when the connection is over.
    pub(crate) async fn message(&mut self) -> Option<Message> {
        tokio::time::timeout(PATIENCE, self.0.next())
            .await
            .expect("a message in time")?
            .ok()
    }

    /// The next frame.
    pub(crate) async fn next(&mut self) -> Value {
        loop {
            match self.message().await.expect("an open connection") {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// The next frame of a type, whatever comes before.
    pub(crate) async fn until(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.next().await;
            if frame["type"] == kind {
                return frame;
            }
        }
    }

    /// The next frame of one of these types.
    pub(crate) async fn until_any(&mut self, kinds: &[&str]) -> Value {
        loop {
            let frame = self.next().await;
            if kinds.iter().any(|kind| frame["type"] == *kind) {
                return frame;
            }
        }
    }

    /// The code that the relay closes with, whatever comes before.
    pub(crate) async fn close_code(&mut self) -> u16 {
        loop {
            match self.message().await.expect("a close frame") {
                Message::Close(Some(frame)) => return frame.code.into(),
                Message::Close(None) => panic!("a close without a code"),
                _ => {}
            }
        }
    }
}
