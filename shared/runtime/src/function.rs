//! What is served: a router, its workers, and what the runtime must know about single routes.

use std::collections::HashMap;
use std::future::Future;

use axum::Router;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use crate::auth::Role;

type Run = Box<dyn FnMut(CancellationToken) -> BoxFuture<'static, anyhow::Result<()>> + Send>;
type Check = Box<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// A future that runs beside the requests until its token is cancelled.
pub struct Worker {
    /// Names the worker in logs and in `/readyz`.
    pub name: &'static str,
    pub(crate) run: Run,
}

/// A question that `/readyz` asks.
pub struct Probe {
    /// Names the probe in `/readyz`.
    pub name: &'static str,
    pub(crate) check: Check,
}

/// What the runtime knows about one route, by the path it was registered under.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct RouteRule {
    pub(crate) ingest: bool,
    pub(crate) public: bool,
    pub(crate) role: Option<Role>,
    pub(crate) queries: bool,
    /// The runtime's own probes: answered even where nothing else is.
    pub(crate) probe: bool,
}

/// A router, its workers and its probes: the unit that [`serve`](crate::serve) runs.
pub struct Function {
    /// Names the function in logs and in `/readyz`.
    pub name: &'static str,
    /// The routes, without health, metrics or any layer of the runtime's.
    pub router: Router,
    /// What runs beside the requests.
    pub workers: Vec<Worker>,
    /// What must answer for the function to be ready.
    pub probes: Vec<Probe>,
    pub(crate) rules: HashMap<&'static str, RouteRule>,
}

impl Function {
    /// A function without workers; every route takes 1 MiB and needs a principal.
    #[must_use]
    pub fn new(name: &'static str, router: Router) -> Self {
        Self {
            name,
            router,
            workers: Vec::new(),
            probes: Vec::new(),
            rules: HashMap::new(),
        }
    }

    /// Adds a worker. `run` is called again, after a growing pause, whenever its future fails or panics; a future that returns `Ok` is
    /// done. It must return soon after its token is cancelled, which happens once the last request is answered, at the latest 4 seconds
    /// after the stop, and is given 3 seconds then.
    #[must_use]
    pub fn worker<F, R>(mut self, name: &'static str, mut run: R) -> Self
    where
        R: FnMut(CancellationToken) -> F + Send + 'static,
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        self.workers.push(Worker {
            name,
            run: Box::new(move |token| run(token).boxed()),
        });
        self
    }

    /// Adds a readiness probe; its error text is shown in `/readyz`, which anyone may read.
    #[must_use]
    pub fn ready<F, C>(mut self, name: &'static str, check: C) -> Self
    where
        C: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        self.probes.push(Probe {
            name,
            check: Box::new(move || check().boxed()),
        });
        self
    }

    /// Marks `path`, spelled as in the router, as a route that takes in bulk: 10 MiB a request, no rate limit, open to [`Role::Ingest`].
    /// It may take a query, as with [`Function::queries`].
    #[must_use]
    pub fn ingest(mut self, path: &'static str) -> Self {
        self.rules.entry(path).or_default().ingest = true;
        self
    }

    /// Marks `path`, spelled as in the router, as open to everyone: a page that must load before anyone can log in.
    #[must_use]
    pub fn public(mut self, path: &'static str) -> Self {
        self.rules.entry(path).or_default().public = true;
        self
    }

    /// Says that requests that change something at `path`, spelled as in the router, may have a query, which the handler reads with
    /// [`Query`](crate::Query). Under `/api/`, others that have one are refused before they change anything. Reading requests need not be
    /// named: they are refused when their handler has not read the query.
    #[must_use]
    pub fn queries(mut self, path: &'static str) -> Self {
        self.rules.entry(path).or_default().queries = true;
        self
    }

    /// Says which role `path`, spelled as in the router, needs for all its methods. Otherwise reading needs [`Role::Viewer`] and
    /// everything else [`Role::Analyst`].
    #[must_use]
    pub fn requires(mut self, path: &'static str, role: Role) -> Self {
        self.rules.entry(path).or_default().role = Some(role);
        self
    }

    /// Both functions in one process. The routers must not register one route twice.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        self.router = self.router.merge(other.router);
        self.workers.extend(other.workers);
        self.probes.extend(other.probes);
        for (path, theirs) in other.rules {
            let ours = self.rules.entry(path).or_default();
            ours.ingest |= theirs.ingest;
            ours.public |= theirs.public;
            ours.queries |= theirs.queries;
            ours.role = ours.role.max(theirs.role);
        }
        self
    }
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Function")
            .field("name", &self.name)
            .field(
                "workers",
                &self.workers.iter().map(|worker| worker.name).collect::<Vec<_>>(),
            )
            .field(
                "probes",
                &self.probes.iter().map(|probe| probe.name).collect::<Vec<_>>(),
            )
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}
