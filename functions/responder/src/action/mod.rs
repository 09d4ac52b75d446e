//! What a step can do: a closed set, one file an action.

mod block_source;
mod call;
mod webhook;

use ipnet::IpNet;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use threatstream_backend::Effect;
use threatstream_domain::{BlockEntry, Execution, ExecutionStep, StepStatus, Threat, Timestamp};
use threatstream_runtime::CancellationToken;

use block_source::BlockSource;
pub(crate) use call::WebhookClient;
use webhook::Webhook;

/// The actions there are, as playbooks name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ActionKind {
    /// Blocks the threat's source address for a while, in the product's own blocklist.
    BlockSource,
    /// Calls the operator's webhook with the threat and the execution.
    Webhook,
}

impl ActionKind {
    /// As playbooks and executions spell it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::BlockSource => "block_source",
            Self::Webhook => "webhook",
        }
    }
}

/// An action with what its step asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    BlockSource(BlockSource),
    Webhook(Webhook),
}

/// What an action may look at.
pub(crate) struct Context<'a> {
    pub(crate) threat: &'a Threat,
    /// As it was last saved.
    pub(crate) execution: &'a Execution,
    /// Which step this is, from 0.
    pub(crate) step: usize,
    pub(crate) now: Timestamp,
    pub(crate) webhook: Option<&'a WebhookClient>,
    pub(crate) never_block: &'a [IpNet],
}

/// How a step ended, and what it does in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) status: StepStatus,
    pub(crate) detail: String,
    pub(crate) effects: Vec<Effect>,
}

impl Outcome {
    pub(crate) fn completed(detail: impl Into<String>) -> Self {
        Self {
            status: StepStatus::Completed,
            detail: detail.into(),
            effects: Vec::new(),
        }
    }

    pub(crate) fn skipped(detail: impl Into<String>) -> Self {
        Self {
            status: StepStatus::Skipped,
            detail: detail.into(),
            effects: Vec::new(),
        }
    }

    pub(crate) fn failed(detail: impl Into<String>) -> Self {
        Self {
            status: StepStatus::Failed,
            detail: detail.into(),
            effects: Vec::new(),
        }
    }
}

/// How a step begins.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Begin {
    /// It is decided; its effects are written together with the step's state.
    Done(Outcome),
    /// It touches the outside: the step is saved as RUNNING first, then [`Action::reach_out`] is called.
    ReachOut,
}

/// How a call to the outside ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reached {
    /// The step has ended.
    Done(Outcome),
    /// Nobody outside has accepted anything, and the process is stopping: the step may begin again later.
    Postponed,
}

impl Action {
    /// Reads what the step asks for.
    ///
    /// # Errors
    /// The key of `with` that is wrong (empty: `with` itself) and what is allowed.
    pub(crate) fn new(kind: ActionKind, with: Map<String, Value>) -> Result<Self, (String, String)> {
        match kind {
            ActionKind::BlockSource => {
                let action: BlockSource = read(with)?;
                action.check()?;
                Ok(Self::BlockSource(action))
            }
            ActionKind::Webhook => read(with).map(Self::Webhook),
        }
    }

    /// Decides the step, or says that it must reach out. Nothing outside is touched here, and nothing at all in a dry run.
    pub(crate) fn begin(&self, context: &Context<'_>) -> Begin {
        match self {
            Self::BlockSource(action) => Begin::Done(action.decide(context)),
            Self::Webhook(action) => action.begin(context),
        }
    }

    /// True when a step of this action that is found RUNNING may have touched the outside.
    pub(crate) fn reaches_out(&self) -> bool {
        match self {
            Self::BlockSource(_) => false,
            Self::Webhook(_) => true,
        }
    }

    /// Touches the outside, within [`REACH_OUT_LIMIT`](crate::execution::REACH_OUT_LIMIT).
    pub(crate) async fn reach_out(&self, context: &Context<'_>, stop: &CancellationToken) -> Reached {
        match self {
            // Decided when it began.
            Self::BlockSource(action) => Reached::Done(action.decide(context)),
            Self::Webhook(action) => action.call(context, stop).await,
        }
    }
}

/// What takes a completed step back; `None` when it cannot be taken back. Told by the step alone, because its playbook may be gone.
/// `blocklist` is what is blocked now.
pub(crate) fn undo(step: &ExecutionStep, execution: &Execution, blocklist: &[BlockEntry]) -> Option<Vec<Effect>> {
    let completed = step.status == StepStatus::Completed;
    (completed && step.action == ActionKind::BlockSource.as_str()).then(|| block_source::lift(execution, blocklist))
}

fn read<T: DeserializeOwned>(with: Map<String, Value>) -> Result<T, (String, String)> {
    serde_path_to_error::deserialize(Value::Object(with)).map_err(|error| {
        let path = error.path().to_string();
        let message = error.inner().to_string();
        // Serde reports an unknown or missing field at the map that should (not) have it.
        (if path == "." { String::new() } else { path }, message)
    })
}
