//! `threatstream serve`: the five functions over one set of backends, in one process.

use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use axum::http::HeaderMap;
use axum::routing::get;
use threatstream_analyzer as analyzer;
use threatstream_api as api;
use threatstream_detection::enrich::Networks;
use threatstream_detection::{Detector, Incoming};
use threatstream_domain::{Clock, MarkKey, Timestamp};
use threatstream_platform::{Platform, PlatformConfig};
use threatstream_relay as relay;
use threatstream_responder as responder;
use threatstream_runtime::{
    ConfigErrors, Environment, Function, Reader, ServeConfig, bind, serve_on, shutdown_signal, telemetry,
};
use threatstream_simulator as simulator;

use crate::page;

/// Everything that the environment says, read before anything is opened.
struct Config {
    serve: ServeConfig,
    platform: PlatformConfig,
    api: api::Config,
    relay: relay::Config,
    responder: responder::Config,
    simulator: simulator::Config,
    rules: Option<std::path::PathBuf>,
}

impl Config {
    fn from_env(environment: &dyn Environment) -> Result<Self, ConfigErrors> {
        let mut reader = Reader::new(environment);
        let serve = reader.absorb(ServeConfig::from_env(environment));
        let platform = reader.absorb(PlatformConfig::from_env(environment));
        let api = reader.absorb(api::Config::from_env(environment));
        let responder = reader.absorb(responder::Config::from_env(environment));
        let simulator = reader.absorb(simulator::Config::from_env(environment));
        let relay = relay::Config::from_env(&mut reader);
        let rules = reader.text("RULES_DIR").map(Into::into);
        // A part that is wrong has left its problem with the reader.
        let whole = || {
            Some(Self {
                serve: serve?,
                platform: platform?,
                api: api?,
                relay,
                responder: responder?,
                simulator: simulator?,
                rules,
            })
        };
        let whole = whole();
        reader.finish(())?;
        Ok(whole.unwrap_or_else(|| unreachable!("a part that was not read has said why")))
    }
}

/// Serves until SIGTERM or SIGINT.
pub(crate) fn serve(environment: &dyn Environment) -> anyhow::Result<()> {
    let _telemetry = telemetry::init(environment)?;
    let config = Config::from_env(environment)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(run(config))
}

async fn run(config: Config) -> anyhow::Result<()> {
    let clock = Clock::system();
    let shutdown = shutdown_signal().context("cannot install the signal handlers")?;
    let platform = threatstream_platform::open(&config.platform, clock.clone())?;
    let ticket_clock = clock.clone();
    let serve = config
        .serve
        .clone()
        .accept_tickets(move || ticket_clock.now().as_millis());
    let function = assemble(config, &serve, &platform, clock).await?;
    let listener = bind(&serve)?;
    let address = listener.local_addr().context("the listener has no address")?;
    eprintln!("ThreatStream is at http://{address}/");
    let served = serve_on(listener, function, serve, shutdown).await;
    platform.close().await;
    served
}

async fn assemble(config: Config, serve: &ServeConfig, platform: &Platform, clock: Clock) -> anyhow::Result<Function> {
    let backends = platform.backends();
    let mark_key = match &config.simulator.key {
        Some(key) => MarkKey::new(key.expose().as_bytes()),
        None => {
            let fresh: [u8; 32] = rand::random();
            MarkKey::new(
                backends
                    .store
                    .keep("simulation_key", fresh.to_vec().into())
                    .await?
                    .to_vec(),
            )
        }
    };
    let rules = Arc::new(analyzer::rules::load(true, config.rules.as_deref())?);
    for set_aside in rules.set_aside() {
        tracing::warn!(file = set_aside.file, reason = %set_aside.reason, "rule set aside");
    }
    tracing::info!(
        rules = rules.rules().len(),
        correlations = rules.correlations().len(),
        hash = rules.hash(),
        "rules loaded"
    );
    let detector = Arc::new(Detector::new(rules, Networks::default(), mark_key.clone()));
    let probed = detector.clone();
    let dependencies = api::Dependencies {
        backends: backends.clone(),
        clock: clock.clone(),
        rules: Arc::new(move || probe(&probed)),
        tickets: serve.tickets.clone(),
    };
    let page = relay::Page::new(config.relay.api_url.as_ref());
    let api_config = api::Config {
        mount_root: false,
        ..config.api
    };
    let information = api_config.clone();
    let at_root = get(async move |headers: HeaderMap| page::answer(&headers, &page, &information));
    let root = Function::new("threatstream", Router::new().route("/", at_root)).public("/");
    let api = api::build(api_config, dependencies);
    let relay = relay::build(
        relay::Config {
            mount_page: false,
            ..config.relay
        },
        relay::Dependencies {
            backends: backends.clone(),
            clock: clock.clone(),
        },
    );
    let responder = responder::build(
        config.responder,
        responder::Dependencies {
            backends: backends.clone(),
            clock: clock.clone(),
        },
    );
    let simulator = simulator::build(
        config.simulator,
        simulator::Dependencies {
            backends: backends.clone(),
            clock: clock.clone(),
            mark_key,
        },
    );
    let owner = format!("{:016x}", rand::random::<u64>());
    let analyzer = analyzer::build(&analyzer::Dependencies {
        backends,
        clock,
        detector,
        owner,
    });
    Ok(root
        .merge(api)
        .merge(relay)
        .merge(responder)
        .merge(simulator)
        .merge(analyzer))
}

/// An attack that the rules must find, and an ordinary login that they must leave alone.
fn probe(detector: &Detector) -> Result<api::RuleSummary, String> {
    const ATTACK: &str =
        "Nov 22 09:00:00 probe sshd[1]: Failed password for invalid user admin from 203.0.113.7 port 50538 ssh2";
    const LOGIN: &str = "Nov 22 09:00:00 probe sshd[1]: Accepted publickey for ana from 203.0.113.7 port 50538 ssh2";
    let found = |line: &str| {
        let incoming = Incoming {
            value: line.as_bytes(),
            mark: None,
            logged_at: Timestamp::EPOCH,
            origin: ("probe", 0, 0),
        };
        detector
            .open(incoming)
            .map(|opened| detector.examine(&opened).len())
            .map_err(|error| error.to_string())
    };
    if found(ATTACK)? == 0 {
        return Err("a failed login is not detected".to_owned());
    }
    if found(LOGIN)? > 0 {
        return Err("an ordinary login is taken for an attack".to_owned());
    }
    let rules = detector.rules();
    Ok(api::RuleSummary {
        loaded: rules.rules().len() + rules.correlations().len(),
        set_aside: rules.set_aside().len(),
        rules_hash: rules.hash().to_owned(),
    })
}
