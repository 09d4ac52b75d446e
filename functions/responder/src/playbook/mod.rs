//! A playbook: what it answers, and its steps.

mod library;
mod parameters;
mod parse;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use threatstream_domain::{Severity, Threat, ThreatType};

use crate::action::{Action, ActionKind};

pub use library::{Library, SetAside};
pub(crate) use parameters::ParameterError;
pub use parse::PlaybookError;

/// A playbook as its YAML says, checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Playbook {
    /// Lower-case letters, digits and hyphens, at most 64.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// What it does and why.
    #[serde(default)]
    pub description: String,
    /// Whether a person must agree before it runs.
    #[serde(default)]
    pub approval: Approval,
    /// Which threats start it; without one it is started by hand alone.
    #[serde(default)]
    pub trigger: Option<Trigger>,
    /// What may be set when it is started by hand, with the defaults: whole numbers, texts, booleans.
    #[serde(default)]
    pub parameters: Map<String, Value>,
    /// From 1 to 20 steps, in order.
    pub(crate) steps: Vec<Step>,
}

/// Whether a person must agree first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Approval {
    /// Nobody must; the default.
    #[default]
    None,
    /// An execution waits until it is approved or declined. A dry run does not wait.
    Required,
}

/// Which threats start a playbook: all of this must hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trigger {
    /// The threat is of one of these types.
    pub threat_types: Vec<ThreatType>,
    /// It is at least this bad.
    pub min_severity: Severity,
    /// It shows one of these ATT&CK techniques or a sub-technique of them; empty asks nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub techniques: Vec<String>,
}

/// A step as it is written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Step {
    /// What people call it.
    pub(crate) name: String,
    /// What it does.
    pub(crate) action: ActionKind,
    /// What the action asks for; `$name` stands for a parameter.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub(crate) with: Map<String, Value>,
}

impl Trigger {
    fn matches(&self, threat: &Threat) -> bool {
        let technique = threat.mitre_attack_id.as_deref().unwrap_or_default();
        let of = |wanted: &String| {
            technique
                .strip_prefix(wanted.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.threat_types.contains(&threat.threat_type)
            && threat.severity >= self.min_severity
            && (self.techniques.is_empty() || self.techniques.iter().any(of))
    }
}

impl Playbook {
    /// Reads and checks a playbook.
    ///
    /// # Errors
    /// What is wrong, naming the field and what is allowed.
    pub fn parse(yaml: &str) -> Result<Self, PlaybookError> {
        parse::parse(yaml)
    }

    /// True when this threat starts it.
    #[must_use]
    pub fn answers(&self, threat: &Threat) -> bool {
        self.trigger.as_ref().is_some_and(|trigger| trigger.matches(threat))
    }

    /// What its steps do with these values over its own parameters.
    pub(crate) fn actions(&self, overrides: &Map<String, Value>) -> Result<Vec<Action>, ParameterError> {
        parameters::resolve(self, overrides)
    }
}
