//! Answers threats: runs response playbooks, each step once.
//!
//! A threat arrives as a task. Every playbook whose trigger matches becomes an execution, whose id follows from playbook and
//! threat, so that the same task delivered twice makes one execution. Its steps run in order, and after each its state is saved
//! together with what the step did in the product, all or nothing. After a crash, completed steps are not repeated; a call to the
//! outside that was under way has an unknown outcome, and is not made again.
//!
//! | module | |
//! |---|---|
//! | [`Config`] | what the environment says |
//! | [`Library`], `playbook` | playbooks: their YAML, their parameters, and those set aside |
//! | `action` | what a step can do, one file an action |
//! | `address` | which addresses are never blocked |
//! | `execution` | the state machine of an execution: begin, step, undo |
//! | `task`, `worker` | how work arrives from the queue |
//! | `sweep`, `minute` | what is due each minute: executions whose worker is gone, and the minute's metrics |
//! | `http` | the routes, one file each |
//!
//! # A new playbook
//! A file `playbooks/<id>.yml`, built in; or one in `PLAYBOOKS_DIR`, which wins over a built-in one of the same id. A step's `with`
//! holds what its action asks for; `$name` stands for the playbook's parameter of that name, which whoever starts it by hand
//! may override.
//!
//! # A new action
//! A file in `src/action/` with the type that its `with` is read into, and a variant in `ActionKind` and `Action`; the compiler
//! points at what is then missing. An action that touches nothing but the store gives its effects, and they are written with the
//! step; one that touches the outside says so when it begins, is saved as RUNNING, and runs after that save.

mod action;
mod address;
mod config;
mod execution;
mod http;
mod minute;
mod playbook;
mod sweep;
mod task;
#[cfg(test)]
mod testing;
mod worker;

use std::sync::Arc;

use threatstream_backend::Backends;
use threatstream_domain::Clock;
use threatstream_runtime::{Function, Role};

pub use config::{Config, WebhookConfig};
pub use playbook::{Approval, Library, Playbook, PlaybookError, SetAside, Trigger};

use execution::Engine;

/// What the function works with.
#[derive(Clone)]
pub struct Dependencies {
    /// Where threats, executions, the blocklist and tasks are.
    pub backends: Backends,
    /// The time.
    pub clock: Clock,
}

/// The function: its routes and, if [`Config::workers`] says so, the workers `respond`, which takes tasks from the queue, and `minute`,
/// which sweeps.
#[must_use]
pub fn build(config: Config, dependencies: Dependencies) -> Function {
    let workers = config.workers;
    let engine = Arc::new(Engine::new(config, dependencies));
    let function = Function::new("responder", http::router(Arc::clone(&engine)))
        .requires("/tasks/respond", Role::Admin)
        .requires("/tasks/sweep", Role::Admin);
    if !workers {
        return function;
    }
    let queue = Arc::clone(&engine);
    function
        .worker("respond", move |stop| worker::respond(Arc::clone(&queue), stop))
        .worker("minute", move |stop| sweep::every_minute(Arc::clone(&engine), stop))
}
