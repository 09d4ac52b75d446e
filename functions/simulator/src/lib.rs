//! Attacks written as the logs that real ones leave.
//!
//! A simulation is a scenario (an attack, or ordinary traffic) whose log lines are appended to the raw topic at an even
//! rate. A detector cannot tell them from those of a real host: what marks them lies in the record's header, where no rule
//! looks. Line `n` of a simulation follows from its id alone, its time included, so that a process which starts again
//! continues the attack where it was, and what it sends a second time is known for a duplicate.
//!
//! | module | |
//! |---|---|
//! | [`scenario`] | the scenarios, and the [`Generator`] of their lines; adding one is a file and a line in its registry |
//! | `control` | the one simulation that runs or ran last: start, stop, state |
//! | `run`, `plan` | the running simulation: what is appended when, and what was measured |
//! | `worker`, `slices` | who drives it: a worker of the process, or tasks, where a process gets no time outside its requests |
//! | `pace` | how many lines are due: evenly, and never more than twice the rate when catching up |
//! | `routes`, `order` | the HTTP interface, and the reading of what `start` is asked for |

mod config;
mod control;
mod order;
mod pace;
mod plan;
mod routes;
mod run;
pub mod scenario;
mod slices;
#[cfg(test)]
mod tests;
mod worker;

use std::sync::Arc;

use threatstream_backend::Backends;
use threatstream_domain::{Clock, MarkKey};
use threatstream_runtime::{Function, Role};

pub use config::{Config, MAX_EPS};
pub use scenario::{Generator, SCENARIOS, Scenario, Script, UnknownScenario, generate, scenario};

/// What the simulator works with.
pub struct Dependencies {
    /// Where lines are appended and the state is kept.
    pub backends: Backends,
    /// The time.
    pub clock: Clock,
    /// What lines are marked with: [`Config::mark_key`], or the one that is kept with the data.
    pub mark_key: MarkKey,
}

/// The simulator: the routes under `/api/simulation`, `/tick` for a scheduler, `/tasks/simulate` for a queue that pushes, and, if
/// [`Config::workers`] says so, the worker that appends.
#[must_use]
pub fn build(config: Config, dependencies: Dependencies) -> Function {
    let workers = config.workers;
    let simulator = Arc::new(control::Simulator::new(config, dependencies));
    let function = Function::new("simulator", routes::router(Arc::clone(&simulator)))
        .requires("/tick", Role::Admin)
        .requires("/tasks/simulate", Role::Admin);
    if !workers {
        return function;
    }
    function.worker("simulate", move |stop| worker::work(Arc::clone(&simulator), stop))
}
