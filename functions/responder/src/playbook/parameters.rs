//! Parameters: their types, what overrides them, and what steps make of them.

use serde_json::{Map, Value};
use threatstream_domain::truncated;

use super::Playbook;
use crate::action::Action;

/// What is wrong with a parameter, or with a step that uses it. Trying again changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub(crate) struct ParameterError {
    /// The field, as `override_params.block_minutes` or `steps[0].with.minutes`.
    pub(crate) field: String,
    /// What is wrong and what is allowed.
    pub(crate) message: String,
}

impl ParameterError {
    pub(super) fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            message: message.into(),
        }
    }
}

/// What kind of value a parameter takes: that of its default.
pub(super) fn kind(value: &Value) -> Option<&'static str> {
    match value {
        Value::Bool(_) => Some("true or false"),
        Value::Number(number) if number.is_i64() => Some("a whole number"),
        Value::String(_) => Some("a text"),
        _ => None,
    }
}

pub(super) fn resolve(playbook: &Playbook, overrides: &Map<String, Value>) -> Result<Vec<Action>, ParameterError> {
    let mut parameters = playbook.parameters.clone();
    for (name, value) in overrides {
        let field = format!("override_params.{}", truncated(name, 100));
        let Some(default) = parameters.get_mut(name) else {
            let names: Vec<&str> = playbook.parameters.keys().map(String::as_str).collect();
            let allowed = if names.is_empty() {
                "none".to_owned()
            } else {
                names.join(", ")
            };
            return Err(ParameterError::new(
                field,
                format!("unknown parameter; allowed: {allowed}"),
            ));
        };
        if kind(value) != kind(default) {
            let expected = kind(default).unwrap_or("a value of its default's type");
            return Err(ParameterError::new(field, format!("expected {expected}")));
        }
        *default = value.clone();
    }
    let mut actions = Vec::with_capacity(playbook.steps.len());
    for (at, step) in playbook.steps.iter().enumerate() {
        let mut with = Map::new();
        for (key, value) in &step.with {
            let value = match value.as_str().and_then(|text| text.strip_prefix('$')) {
                // `$$` is a dollar sign.
                Some(rest) if rest.starts_with('$') => Value::from(rest),
                Some(name) => parameters.get(name).cloned().ok_or_else(|| {
                    ParameterError::new(
                        format!("steps[{at}].with.{key}"),
                        format!("there is no parameter {name}"),
                    )
                })?,
                None => value.clone(),
            };
            with.insert(key.clone(), value);
        }
        actions.push(Action::new(step.action, with).map_err(|(key, message)| {
            // Whoever overrides a parameter is told of it under its own name.
            let used = step
                .with
                .get(&key)
                .and_then(Value::as_str)
                .and_then(|text| text.strip_prefix('$'));
            let field = match used.filter(|name| overrides.contains_key(*name)) {
                Some(name) => format!("override_params.{name}"),
                None if key.is_empty() => format!("steps[{at}].with"),
                None => format!("steps[{at}].with.{key}"),
            };
            ParameterError::new(field, message)
        })?);
    }
    Ok(actions)
}
