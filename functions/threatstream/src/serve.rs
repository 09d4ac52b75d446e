//! `threatstream serve`: the five functions over one set of backends, in one process.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::http::HeaderMap;
use axum::routing::get;
use threatstream_analyzer as analyzer;
use threatstream_analyzer::DetectorSource as _;
use threatstream_analyzer::rules::{LiveDetector, RulesConfig};
use threatstream_api as api;
use threatstream_backend::Store;
use threatstream_detection::enrich::Networks;
use threatstream_domain::MarkKey;
use threatstream_platform::{PlatformConfig, Start};
use threatstream_relay as relay;
use threatstream_responder as responder;
use threatstream_runtime::{ConfigErrors, Environment, Function, Reader, ServeConfig, telemetry};
use threatstream_simulator as simulator;

use crate::page;

/// How long a store that does not answer yet is asked for the key of simulations.
const KEY_PATIENCE: Duration = Duration::from_secs(30);

/// What the environment says of the functions, read before anything is opened.
pub(crate) struct Config {
    api: api::Config,
    relay: relay::Config,
    responder: responder::Config,
    simulator: simulator::Config,
    rules: RulesConfig,
}

/// What the environment says of the process.
pub(crate) struct Whole {
    serve: ServeConfig,
    platform: PlatformConfig,
    functions: Config,
}

impl Whole {
    pub(crate) fn from_env(environment: &dyn Environment) -> Result<Self, ConfigErrors> {
        let mut reader = Reader::new(environment);
        reader.absorb(telemetry::LogConfig::from_env(environment));
        let serve = reader.absorb(ServeConfig::from_env(environment));
        let platform = reader.absorb(PlatformConfig::from_env(environment));
        let api = reader.absorb(api::Config::from_env(environment));
        let responder = reader.absorb(responder::Config::from_env(environment));
        let simulator = reader.absorb(simulator::Config::from_env(environment));
        let relay = relay::Config::from_env(&mut reader);
        let rules = RulesConfig::from_env(&mut reader);
        // A part that is wrong has left its problem with the reader.
        let whole = || {
            Some(Self {
                serve: serve?,
                platform: platform?,
                functions: Config {
                    api: api?,
                    relay,
                    responder: responder?,
                    simulator: simulator?,
                    rules,
                },
            })
        };
        let whole = whole();
        reader.finish(())?;
        Ok(whole.unwrap_or_else(|| unreachable!("a part that was not read has said why")))
    }
}

/// Serves until SIGTERM or SIGINT.
pub(crate) fn serve(environment: &dyn Environment) -> anyhow::Result<()> {
    let whole = Whole::from_env(environment)?;
    let _telemetry = telemetry::init(environment)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let (serve, platform, functions) = (whole.serve, whole.platform, whole.functions);
    let build = async |start| assemble(functions, start).await;
    let served = runtime.block_on(threatstream_platform::run("ThreatStream", serve, &platform, build));
    // A client that hangs on its last words must not keep the process from ending.
    runtime.shutdown_timeout(Duration::from_millis(500));
    served
}

async fn assemble(config: Config, start: Start) -> anyhow::Result<Function> {
    let Start {
        backends,
        clock,
        tickets,
        owner,
        ..
    } = start;
    let mark_key = match config.simulator.mark_key() {
        Some(key) => key,
        None => kept_key(&*backends.store).await?,
    };
    let (rules, key) = (config.rules, mark_key.clone());
    let builtin = rules.builtin;
    let load = move || LiveDetector::load(rules, Networks::default(), key);
    let detector = Arc::new(tokio::task::spawn_blocking(load).await??);
    let (probed, followed) = (detector.clone(), detector.clone());
    let probe = move || {
        let current = probed.current();
        // What others' rules must match nobody knows.
        let summary = if builtin {
            api::probe_rules(&current)
        } else {
            api::count_rules(&current)
        };
        summary.map(|summary| api::RuleSummary {
            reload_failure: probed.failure(),
            ..summary
        })
    };
    let dependencies = api::Dependencies {
        backends: backends.clone(),
        clock: clock.clone(),
        rules: Arc::new(probe),
        tickets,
    };
    let page = relay::Page::new(config.relay.api_url.as_ref());
    let api_config = api::Config {
        mount_root: false,
        // The workers of this very process see what comes.
        wake: false,
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
        responder::Config {
            workers: true,
            ..config.responder
        },
        responder::Dependencies {
            backends: backends.clone(),
            clock: clock.clone(),
        },
    );
    let simulator = simulator::build(
        simulator::Config {
            workers: true,
            ..config.simulator
        },
        simulator::Dependencies {
            backends: backends.clone(),
            clock: clock.clone(),
            mark_key,
        },
    );
    let analyzer = analyzer::build(
        analyzer::Config::worker(),
        analyzer::Dependencies {
            backends,
            clock,
            detector,
            owner,
        },
    )
    .worker("rules", move |stop| followed.clone().follow(stop));
    Ok(root
        .merge(api)
        .merge(relay)
        .merge(responder)
        .merge(simulator)
        .merge(analyzer))
}

/// The key of simulations that is kept with the data; made at the first start.
async fn kept_key(store: &dyn Store) -> anyhow::Result<MarkKey> {
    let fresh: [u8; 32] = rand::random();
    let deadline = tokio::time::Instant::now() + KEY_PATIENCE;
    loop {
        match store.keep("simulation_key", fresh.to_vec().into()).await {
            Ok(key) => return Ok(MarkKey::new(key.to_vec())),
            Err(error) if error.is_retryable() && tokio::time::Instant::now() < deadline => {
                tracing::warn!(%error, "the store that keeps the key of simulations does not answer yet");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            Err(error) => {
                return Err(error).context("SIMULATION_KEY is not set, and the store that would keep one fails");
            }
        }
    }
}
