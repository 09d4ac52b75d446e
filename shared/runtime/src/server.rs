//! The port, the accept loop and the shutdown.

mod connection;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::TokioTimer;
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::assemble;
use crate::config::ServeConfig;
use crate::function::Function;
use crate::health::Health;
use crate::supervise::{WorkerStatus, supervise};

/// For the requests in flight. Cloud Run kills 10 s after SIGTERM.
const REQUEST_GRACE: Duration = Duration::from_secs(4);
/// For the workers afterwards, who may have sockets to say goodbye to. What remains is for whoever closes the stores.
const WORKER_GRACE: Duration = Duration::from_millis(3250);
/// For a request's head; also how long an idle connection is kept.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);
const BACKLOG: u32 = 1024;

/// Says that the server is stopping, from the moment it does: an extension of every request, for answers that would otherwise go on (streams, sockets).
#[derive(Debug, Clone, Default)]
pub struct Shutdown(CancellationToken);

impl Shutdown {
    /// Whether the server is stopping.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Waits until it is.
    pub async fn stopping(&self) {
        self.0.cancelled().await;
    }
}

/// Listens on the configured address. From now on connections queue up, so that a slow start loses none.
///
/// # Errors
/// The address is in use or not ours; the error names it.
pub fn bind(config: &ServeConfig) -> anyhow::Result<TcpListener> {
    let address = config.address();
    let listen = || -> io::Result<TcpListener> {
        let socket = if address.is_ipv4() {
            TcpSocket::new_v4()
        } else {
            TcpSocket::new_v6()
        }?;
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    listen().with_context(|| format!("cannot listen on {address}"))
}

/// A token that SIGTERM and SIGINT cancel.
///
/// # Errors
/// The signals' handlers cannot be installed.
pub fn shutdown_signal() -> io::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let token = CancellationToken::new();
    let shutdown = token.clone();
    tokio::spawn(async move {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        tracing::info!(signal = name, "stopping");
        shutdown.cancel();
    });
    Ok(token)
}

/// Listens, answers, runs the workers, and returns after SIGTERM or SIGINT, within 8 seconds.
///
/// # Errors
/// The address cannot be listened on.
pub async fn serve(function: Function, config: ServeConfig) -> anyhow::Result<()> {
    let listener = bind(&config)?;
    let shutdown = shutdown_signal().context("cannot install the signal handlers")?;
    serve_on(listener, function, config, shutdown).await
}

/// The same on a listener that exists, until `shutdown` is cancelled: then it accepts no more, lets requests finish for 4 seconds,
/// cancels the workers, and returns within 8. Callers that are waited for in vain, for the rest of a head or the next bytes of a body, are
/// cut off sooner.
///
/// # Errors
/// The listener is not one.
pub async fn serve_on(
    listener: TcpListener,
    function: Function,
    config: ServeConfig,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let address = listener.local_addr().context("the listener has no address")?;
    let Function {
        name,
        router,
        workers,
        probes,
        rules,
    } = function;

    let stop_workers = CancellationToken::new();
    // Should this future be dropped, the workers end with it.
    let _stop_workers = stop_workers.clone().drop_guard();
    let mut running = JoinSet::new();
    let mut statuses = Vec::new();
    for worker in workers {
        let status = WorkerStatus::new(worker.name);
        statuses.push(Arc::clone(&status));
        running.spawn(supervise(worker, status, stop_workers.clone()));
    }

    let health = Health::new(name, probes, statuses);
    let app = assemble(router, rules, health, &config, Shutdown(shutdown.clone()));
    tracing::info!(function = name, %address, auth = config.auth.as_str(), "listening");
    let connections = Connections::new(app, shutdown);
    connections.accept(listener).await;

    connections.finish(Instant::now() + REQUEST_GRACE).await;
    stop_workers.cancel();
    let stopped = async { while running.join_next().await.is_some() {} };
    if tokio::time::timeout(WORKER_GRACE, stopped).await.is_err() {
        tracing::warn!("a worker did not stop in time");
    }
    tracing::info!(function = name, "stopped");
    Ok(())
}

/// The connections being served.
struct Connections {
    app: Router,
    tasks: TaskTracker,
    /// Ends the connections that are idle, and the others with the request they are at.
    shutdown: CancellationToken,
    /// Ends the connections that outlive their grace.
    abort: CancellationToken,
}

impl Connections {
    fn new(app: Router, shutdown: CancellationToken) -> Self {
        // Resolves the state once instead of for each request.
        Self {
            app: app.with_state(()),
            tasks: TaskTracker::new(),
            shutdown,
            abort: CancellationToken::new(),
        }
    }

    /// Accepts until `shutdown`; then the listener is closed.
    async fn accept(&self, listener: TcpListener) {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
        loop {
            let accepted = tokio::select! {
                biased;
                () = self.shutdown.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            let accepted = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    if !is_of_the_connection(&error) {
                        // No descriptors left, most likely: closing connections free some.
                        tracing::warn!(%error, "cannot accept connections");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                    continue;
                }
            };
            self.tasks.spawn(connection::serve(
                accepted,
                self.app.clone(),
                http.clone(),
                self.shutdown.clone(),
                self.abort.clone(),
            ));
        }
    }

    /// Lets requests finish until `deadline`, and cuts off the others.
    async fn finish(self, deadline: Instant) {
        self.tasks.close();
        if tokio::time::timeout_at(deadline, self.tasks.wait()).await.is_err() {
            tracing::warn!("requests were cut off because they did not finish in time");
        }
        self.abort.cancel();
    }
}

fn is_of_the_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
