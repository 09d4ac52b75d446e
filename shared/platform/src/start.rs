//! From the environment to a function that serves: what every process does at its start and at its end, once.

use std::process::ExitCode;

use anyhow::Context as _;
use threatstream_backend::Backends;
use threatstream_domain::{Clock, MarkKey};
use threatstream_runtime::{
    CancellationToken, Environment, Function, ProcessEnvironment, Reader, ServeConfig, Tickets, bind, serve_on,
    shutdown_signal, telemetry,
};

use crate::config::{Needs, PlatformConfig};

/// Wrong variables, or something the function needs is not there.
const BAD_CONFIGURATION: u8 = 3;

/// What a function is built with.
#[derive(Clone)]
pub struct Start {
    /// The backends, open, and perhaps not reached yet.
    pub backends: Backends,
    /// The time.
    pub clock: Clock,
    /// Issues WebSocket tickets.
    pub tickets: Tickets,
    /// Names this process among those that take leases; unique.
    pub owner: String,
    /// Cancelled when the process is asked to end.
    pub shutdown: CancellationToken,
}

/// `main` of a function in a process of its own: reads the environment (`read` reads the function's own part of it), listens,
/// opens the backends, builds, and serves until SIGTERM or SIGINT. Exits with 3, every problem named, when it cannot start.
pub fn main<C, R, B>(function: &'static str, needs: Needs, read: R, build: B) -> ExitCode
where
    R: FnOnce(&dyn Environment, &mut Reader<'_>) -> Option<C>,
    B: AsyncFnOnce(C, Start) -> anyhow::Result<Function>,
{
    match served(function, needs, read, build) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{function}: {error:#}");
            ExitCode::from(BAD_CONFIGURATION)
        }
    }
}

fn served<C, R, B>(function: &'static str, needs: Needs, read: R, build: B) -> anyhow::Result<()>
where
    R: FnOnce(&dyn Environment, &mut Reader<'_>) -> Option<C>,
    B: AsyncFnOnce(C, Start) -> anyhow::Result<Function>,
{
    let environment = ProcessEnvironment::load()?;
    let mut reader = Reader::new(&environment);
    reader.absorb(telemetry::LogConfig::from_env(&environment));
    let serve = reader.absorb(ServeConfig::from_env(&environment));
    let platform = reader.absorb(PlatformConfig::of_function(&environment, needs));
    let config = read(&environment, &mut reader);
    reader.finish(())?;
    let _telemetry = telemetry::init(&environment)?;
    let (Some(serve), Some(platform), Some(config)) = (serve, platform, config) else {
        unreachable!("a part that was not read has said why")
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let served = runtime.block_on(run(function, serve, &platform, async |start| {
        build(config, start).await
    }));
    // A client that hangs on its last words must not keep the container from ending.
    runtime.shutdown_timeout(std::time::Duration::from_millis(500));
    served
}

/// Listens, opens the backends, builds, and serves until SIGTERM or SIGINT. Connections that come while it builds wait.
///
/// # Errors
/// The port cannot be listened on, the backends cannot be opened, or `build` failed.
pub async fn run<B>(name: &'static str, serve: ServeConfig, platform: &PlatformConfig, build: B) -> anyhow::Result<()>
where
    B: AsyncFnOnce(Start) -> anyhow::Result<Function>,
{
    let shutdown = shutdown_signal().context("cannot install the signal handlers")?;
    let listener = bind(&serve)?;
    let address = listener.local_addr().context("the listener has no address")?;
    // TLS clients take the provider of the process; that one is installed already is fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
    tracing::info!(
        event_log = platform.event_log.as_str(),
        store = platform.store.as_str(),
        task_queue = platform.task_queue.as_str(),
        "backends"
    );

    let clock = Clock::system();
    let opened = crate::open(platform, &clock)?;
    let warming = tokio::spawn(opened.warm());
    let ticket_clock = clock.clone();
    let serve = serve.accept_tickets(move || ticket_clock.now().as_millis());
    let start = Start {
        backends: opened.backends(),
        clock,
        tickets: serve.tickets.clone(),
        owner: format!("{:016x}", rand::random::<u64>()),
        shutdown: shutdown.clone(),
    };
    let built = tokio::select! {
        built = build(start) => Some(built?),
        () = shutdown.cancelled() => None,
    };
    let served = match built {
        Some(function) => {
            announce(name, address, serve.on_cloud_run);
            serve_on(listener, function, serve, shutdown).await
        }
        None => Ok(()),
    };
    warming.abort();
    opened.close().await;
    served
}

/// Tells a person at a terminal, and whoever starts processes, where it is. Cloud Run knows, and reads the log as JSON.
pub fn announce(name: &str, address: std::net::SocketAddr, on_cloud_run: bool) {
    if !on_cloud_run {
        eprintln!("{name} is at http://{address}/");
    }
}

/// `SIMULATION_KEY`, which the functions in processes of their own must share, so that one verifies what another marked. With
/// `SIMULATION_ENABLED=false` none is needed, and no mark is believed.
pub fn mark_key(reader: &mut Reader<'_>) -> Option<MarkKey> {
    if let Some(key) = reader.secret("SIMULATION_KEY") {
        return Some(MarkKey::new(key.expose().as_bytes()));
    }
    if !reader.boolean("SIMULATION_ENABLED", true) {
        return Some(MarkKey::new(rand::random::<[u8; 32]>().to_vec()));
    }
    reader.problem(
        "SIMULATION_KEY",
        "is not set; simulator and analyzer must share one, or set SIMULATION_ENABLED=false",
    );
    None
}
