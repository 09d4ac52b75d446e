//! The five functions as one deployment: what is pushed where, and what asks on a schedule.

use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinHandle;

use super::connector::Connector;
use super::harness::{client, until};
use super::outcome::Outcome;
use super::process::{Process, free_port};
use super::proxy::Proxy;
use super::watcher::Watcher;
use super::world::{Trigger, World};

/// What differs between deployments.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) trigger: Trigger,
    /// How often the safety nets are asked: `/drain` and `/tasks/sweep`.
    pub(crate) schedule: Duration,
    /// Where the analyzer finds Firestore; the emulator's own address otherwise.
    pub(crate) analyzer_firestore: Option<String>,
    /// The same for the relay.
    pub(crate) relay_firestore: Option<String>,
    /// How often the connector delivers each push.
    pub(crate) deliveries: usize,
}

impl Plan {
    pub(crate) fn of(trigger: Trigger) -> Self {
        Self {
            trigger,
            schedule: Duration::from_secs(1),
            analyzer_firestore: None,
            relay_firestore: None,
            deliveries: 1,
        }
    }
}

/// A deployment. The analyzer can be taken out and put back.
pub(crate) struct Site<'world> {
    pub(crate) world: &'world World,
    pub(crate) plan: Plan,
    pub(crate) api: Process,
    pub(crate) analyzer: Option<Process>,
    analyzer_port: u16,
    pub(crate) relay: Process,
    pub(crate) responder: Process,
    _simulator: Process,
    pub(crate) connector: Option<Connector>,
    _schedule: Vec<Schedule>,
}

impl<'world> Site<'world> {
    /// A deployment whose analyzer has a wire of its own to Firestore.
    pub(crate) async fn wired(world: &'world World, trigger: Trigger) -> (Self, Proxy) {
        let wire = Proxy::to(&world.emulators.firestore).await;
        let plan = Plan {
            analyzer_firestore: Some(wire.address.clone()),
            ..Plan::of(trigger)
        };
        (Self::start(world, plan).await, wire)
    }

    pub(crate) async fn start(world: &'world World, plan: Plan) -> Self {
        let [analyzer_port, responder_port, simulator_port] = [free_port(), free_port(), free_port()];
        let url = |port: u16, path: &str| format!("http://127.0.0.1:{port}{path}");
        let pushed = plan.trigger != Trigger::Worker;
        if pushed {
            // As the infrastructure: the functions make no subscription that pushes.
            let queues = [
                ("drain", url(analyzer_port, "/drain")),
                ("respond", url(responder_port, "/tasks/respond")),
                ("simulate", url(simulator_port, "/tasks/simulate")),
            ];
            for (queue, endpoint) in &queues {
                world.emulators.push(&world.project, queue, endpoint).await;
            }
        }
        let workers = [("WORKERS", if pushed { "false" } else { "true" })];
        let relay_firestore = plan.relay_firestore.clone();
        let relay_more: Vec<(&str, &str)> = relay_firestore
            .iter()
            .map(|host| ("FIRESTORE_EMULATOR_HOST", host.as_str()))
            .collect();
        let (api, relay, responder, simulator) = tokio::join!(
            world.start("api", plan.trigger, &[]),
            world.start("relay", plan.trigger, &relay_more),
            world.start_at("responder", responder_port, plan.trigger, &workers),
            world.start_at("simulator", simulator_port, plan.trigger, &workers),
        );
        let mut asked = vec![url(responder_port, "/tasks/sweep")];
        if pushed {
            asked.push(url(analyzer_port, "/drain"));
        }
        let schedule = asked.into_iter().map(|url| Schedule::of(url, plan.schedule)).collect();
        let connector =
            (plan.trigger == Trigger::Push).then(|| Connector::start(world, &url(analyzer_port, "/"), plan.deliveries));
        let mut site = Self {
            world,
            plan,
            api,
            analyzer: None,
            analyzer_port,
            relay,
            responder,
            _simulator: simulator,
            connector,
            _schedule: schedule,
        };
        site.start_analyzer().await;
        site
    }

    /// Puts an analyzer where the others expect it.
    pub(crate) async fn start_analyzer(&mut self) {
        let firestore = self.plan.analyzer_firestore.clone();
        let process = self.another_analyzer(self.analyzer_port, firestore.as_deref()).await;
        self.analyzer = Some(process);
    }

    /// An analyzer more, at a port of its own.
    pub(crate) async fn another_analyzer(&self, port: u16, firestore: Option<&str>) -> Process {
        let more: Vec<(&str, &str)> = firestore
            .iter()
            .map(|host| ("FIRESTORE_EMULATOR_HOST", *host))
            .collect();
        self.world.start_at("analyzer", port, self.plan.trigger, &more).await
    }

    /// The ledger; `None` while what it is read from is out of reach.
    async fn ledger(&self) -> Option<Value> {
        let url = format!("{}/api/analytics/ledger", self.api.base);
        let response = client().get(url).send().await.ok()?;
        let status = response.status();
        assert!(status.is_success() || status == 503, "the ledger: {status}");
        if status == 503 {
            return None;
        }
        response.json().await.ok()
    }

    /// Waits until everything sent is analysed: the ledger.
    pub(crate) async fn settled(&self, events: usize) -> Value {
        until("every event is analysed", async || {
            let ledger = self.ledger().await?;
            let read = ledger["match"]["ingested"].as_u64()? + ledger["match"]["lost"].as_u64()?;
            (read >= events as u64 && ledger["pending"] == 0).then_some(ledger)
        })
        .await
    }

    /// Waits, and takes what came of it.
    pub(crate) async fn outcome(&self, events: usize) -> Outcome {
        let ledger = self.settled(events).await;
        Outcome::of(self.world.store().as_ref(), &ledger).await
    }

    /// Waits until a dashboard knows every threat of an outcome, and asserts that it was told of each once, of nothing else, and
    /// that nothing is missing.
    ///
    /// Frames come in the order of their places, but for those of a record that the emulator's snapshots had left out: the relay
    /// says so of each, and gives it late rather than not at all. Clients apply by id and version, so it does no harm.
    pub(crate) async fn assert_told(&self, watcher: &Watcher, expected: &Outcome) {
        watcher.assert_once(expected.threats.keys()).await;
        let backwards = watcher.seen().backwards;
        let late: Vec<String> = self
            .relay
            .said()
            .lines()
            .filter(|line| line.contains("a record of the feed comes after a later one"))
            .map(str::to_owned)
            .collect();
        late.iter()
            .for_each(|line| eprintln!("the emulator left out of a snapshot: {line}"));
        assert!(
            backwards as usize <= late.len(),
            "frames went backwards {backwards} times, and {} records came late",
            late.len()
        );
    }

    /// How far the raw partitions are, in all.
    pub(crate) async fn analysed(&self) -> u64 {
        let ledger = until("the ledger can be read", async || self.ledger().await).await;
        ledger["match"]["ingested"].as_u64().expect("a number")
    }

    /// Waits until more is analysed than is now.
    pub(crate) async fn at_work(&self) {
        let before = self.analysed().await;
        until("the analyzer is at work", async || {
            (self.analysed().await > before).then_some(())
        })
        .await;
    }
}

/// Cloud Scheduler: posts to one place again and again.
pub(crate) struct Schedule(JoinHandle<()>);

impl Schedule {
    pub(crate) fn of(url: String, every: Duration) -> Self {
        Self(tokio::spawn(async move {
            let client = client();
            loop {
                tokio::time::sleep(every).await;
                // What fails is asked again the next time.
                let _ = client.post(&url).timeout(Duration::from_secs(300)).send().await;
            }
        }))
    }
}

impl Drop for Schedule {
    fn drop(&mut self) {
        self.0.abort();
    }
}
