//! The function: its dependencies, its routes, and what the runtime must know about them.

use std::sync::Arc;

use serde::Serialize;
use threatstream_backend::Backends;
use threatstream_domain::Clock;
use threatstream_runtime::{Function, Role, Tickets};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::config::Config;
use crate::events::{FreshIds, Meters};
use crate::model::Model;
use crate::{alerts, analytics, docs, events, health, information, kafka, openapi, simulate, threats, wake, ws_ticket};

/// What the loaded rule set is, once it has proven that it matches what it must and nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleSummary {
    /// Rules that are loaded.
    pub loaded: usize,
    /// Rules that could not be loaded.
    pub set_aside: usize,
    /// The hash that threats carry.
    pub rules_hash: String,
    /// Why the rules are not those of their files as they are now: the last reload was refused.
    pub reload_failure: Option<String>,
}

/// Matches a known attack and a known harmless event against the loaded rules, and says what the rule set is; an error's text says what was wrong.
pub type RulesProbe = Arc<dyn Fn() -> Result<RuleSummary, String> + Send + Sync>;

/// What the API works with.
#[derive(Clone)]
pub struct Dependencies {
    /// Log, store, task queue and the names of the topics.
    pub backends: Backends,
    /// Where time comes from.
    pub clock: Clock,
    /// Health's question to the rules. It runs on a request's thread: a millisecond, no more.
    pub rules: RulesProbe,
    /// Issues the tickets that the relay verifies.
    pub tickets: Tickets,
}

/// What handlers share.
pub(crate) struct Api {
    pub(crate) config: Config,
    pub(crate) backends: Backends,
    pub(crate) clock: Clock,
    pub(crate) rules: RulesProbe,
    pub(crate) tickets: Tickets,
    pub(crate) model: Arc<Model>,
    pub(crate) ids: FreshIds,
    pub(crate) meters: Meters,
    pub(crate) rates: kafka::Rates,
    pub(crate) wake: wake::Wake,
}

/// The API as a function. It has no workers: whatever a request starts is finished before it is answered.
#[must_use]
pub fn build(config: Config, dependencies: Dependencies) -> Function {
    let mount_root = config.mount_root;
    let Dependencies {
        backends,
        clock,
        rules,
        tickets,
    } = dependencies;
    let (probed, probed_log) = (backends.clone(), backends.clone());
    let model = Model::new(config.gemini.clone(), config.probe_timeout, clock.clone());
    model.announce();
    let api = Arc::new(Api {
        wake: wake::Wake::new(config.wake),
        config,
        backends,
        clock,
        rules,
        tickets,
        model,
        ids: FreshIds::new(),
        meters: Meters::new(),
        rates: kafka::Rates::default(),
    });
    let mut routes = routes().split_for_parts().0;
    if mount_root {
        routes = routes.route("/", axum::routing::get(information::get_information));
    }
    let mut function = Function::new("api", routes.with_state(api).merge(docs::router()))
        .ingest("/api/events")
        .ingest("/api/ingest/pubsub")
        .requires("/api/ws-ticket", Role::Viewer)
        .ready("event_log", move || {
            let log = probed_log.log.clone();
            async move { log.check().await.map_err(|_| "does not answer".to_owned()) }
        })
        .ready("store", move || {
            let store = probed.store.clone();
            async move { store.check().await.map_err(|_| "does not answer".to_owned()) }
        });
    for page in docs::PUBLIC {
        function = function.public(page);
    }
    if mount_root { function.public("/") } else { function }
}

/// The routes with their descriptions, `GET /` excepted.
pub(crate) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::with_openapi(openapi::frame())
        .routes(routes!(health::health))
        .routes(routes!(events::post_events))
        .routes(routes!(events::pubsub::ingest_pubsub))
        .routes(routes!(simulate::simulate_event))
        .routes(routes!(threats::recent::recent_threats))
        .routes(routes!(threats::stats::threat_statistics))
        .routes(routes!(threats::one::one_threat))
        .routes(routes!(threats::originals::threat_events))
        .routes(routes!(alerts::active::active_alerts))
        .routes(routes!(alerts::all::all_alerts))
        .routes(routes!(alerts::one::one_alert))
        .routes(routes!(alerts::acknowledge::acknowledge_alert))
        .routes(routes!(alerts::assign::assign_alert))
        .routes(routes!(alerts::investigate::investigate_alert))
        .routes(routes!(alerts::resolve::resolve_alert))
        .routes(routes!(alerts::notes::note_alert))
        .routes(routes!(analytics::dashboard::dashboard))
        .routes(routes!(analytics::risk_index::risk_index))
        .routes(routes!(analytics::timeline::timeline))
        .routes(routes!(analytics::summary::summary))
        .routes(routes!(analytics::ledger::ledger))
        .routes(routes!(kafka::cluster::cluster))
        .routes(routes!(kafka::stream_status::stream_status))
        .routes(routes!(ws_ticket::ws_ticket))
}
