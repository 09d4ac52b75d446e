//! What `start` is asked for.

use serde_json::{Map, Value};
use threatstream_domain::Intensity;
use threatstream_runtime::Problem;

use crate::Config;
use crate::scenario::{Scenario, names, scenario};

/// How long a simulation may run, in seconds.
const DURATION: (u64, u64) = (10, 300);
const FIELDS: [&str; 4] = ["attack_vector", "duration_seconds", "intensity", "target_eps"];
/// The field of a scheduled order that is not the order's: when it was due.
pub(crate) const SCHEDULE_TIME: &str = "schedule_time";

/// What an order that does not name everything means.
#[derive(Clone, Copy)]
struct Defaults {
    attack_vector: Option<&'static str>,
    intensity: Intensity,
    target_eps: u64,
}

/// A simulation to start.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) scenario: &'static Scenario,
    pub(crate) duration_seconds: u32,
    pub(crate) intensity: Intensity,
    pub(crate) target_eps: u32,
}

impl Order {
    /// Reads the body of `start`. It must name the attack: nothing is attacked by mistake. What else it does not name is 60 seconds, `MEDIUM` and
    /// 20 events a second.
    ///
    /// # Errors
    /// One problem that names every field that is wrong.
    pub(crate) fn read(body: &Map<String, Value>, config: &Config) -> Result<Self, Problem> {
        let defaults = Defaults {
            attack_vector: None,
            intensity: Intensity::Medium,
            target_eps: 20,
        };
        Self::with(body, config, defaults)
    }

    /// Reads the body of a scheduled order. What it does not name is `BRUTE_FORCE`, 60 seconds, `LOW` and 5 events a second.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub(crate) fn read_scheduled(mut body: Map<String, Value>, config: &Config) -> Result<Self, Problem> {
        let defaults = Defaults {
            attack_vector: Some("BRUTE_FORCE"),
            intensity: Intensity::Low,
            target_eps: 5,
        };
        body.remove(SCHEDULE_TIME);
        Self::with(&body, config, defaults)
    }

    fn with(body: &Map<String, Value>, config: &Config, defaults: Defaults) -> Result<Self, Problem> {
        let mut wrong = Wrong(Vec::new());
        for field in body.keys().filter(|field| !FIELDS.contains(&field.as_str())) {
            wrong.add(field, format!("unknown field, expected one of {}", FIELDS.join(", ")));
        }
        let name = wrong.text(body, "attack_vector", defaults.attack_vector, &names());
        let duration = wrong.number(body, "duration_seconds", 60, DURATION);
        let intensity = wrong.text(body, "intensity", Some(defaults.intensity.as_str()), Intensity::NAMES);
        let most = u64::from(config.max_eps);
        let target_eps = wrong.number(body, "target_eps", most.min(defaults.target_eps), (1, most));
        match (
            scenario(name),
            u32::try_from(duration),
            intensity.parse(),
            u32::try_from(target_eps),
        ) {
            (Ok(scenario), Ok(duration_seconds), Ok(intensity), Ok(target_eps)) if wrong.0.is_empty() => Ok(Self {
                scenario,
                duration_seconds,
                intensity,
                target_eps,
            }),
            _ => Err(wrong.into_problem()),
        }
    }
}

/// What was found wrong so far: fields and messages.
struct Wrong(Vec<(String, String)>);

impl Wrong {
    fn add(&mut self, field: &str, message: String) {
        self.0.push((field.to_owned(), message));
    }

    /// The field's text if it is an allowed one; one without a default must be there. What is returned beside a problem does not matter.
    fn text<'a>(
        &mut self,
        body: &'a Map<String, Value>,
        field: &str,
        default: Option<&'a str>,
        allowed: &[&'static str],
    ) -> &'a str {
        match (body.get(field), default) {
            (None | Some(Value::Null), Some(default)) => default,
            (Some(Value::String(text)), _) if allowed.contains(&text.as_str()) => text,
            _ => {
                self.add(field, format!("expected one of {}", allowed.join(", ")));
                default.unwrap_or_default()
            }
        }
    }

    fn number(&mut self, body: &Map<String, Value>, field: &str, default: u64, (least, most): (u64, u64)) -> u64 {
        match body.get(field) {
            None | Some(Value::Null) => default,
            Some(value) => match value.as_u64() {
                Some(number) if (least..=most).contains(&number) => number,
                _ => {
                    self.add(field, format!("expected a whole number from {least} to {most}"));
                    default
                }
            },
        }
    }

    fn into_problem(self) -> Problem {
        let problem = Problem::bad_request("the simulation cannot be started as asked for");
        self.0
            .into_iter()
            .fold(problem, |problem, (field, message)| problem.field(field, message))
    }
}
