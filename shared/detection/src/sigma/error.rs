//! Why a rule is set aside.

/// Why a document of a rule file does not load. Reading the same text again fails again: there is nothing to retry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RuleError {
    /// The text is not YAML, or too large, or too deep.
    #[error("{0}")]
    Yaml(String),
    /// An attribute is missing or holds what it must not.
    #[error("`{attribute}`: {reason}")]
    Attribute {
        /// Its name, dotted.
        attribute: String,
        /// What is wrong.
        reason: String,
    },
    /// A test of a field cannot be evaluated faithfully.
    #[error("field `{field}`: {reason}")]
    Field {
        /// As the rule writes it, modifiers included.
        field: String,
        /// What is wrong.
        reason: String,
    },
    /// The condition does not read, or names what is not there.
    #[error("condition `{condition}`: {reason}")]
    Condition {
        /// Its beginning.
        condition: String,
        /// What is wrong.
        reason: String,
    },
    /// It leans on another document that is not there, or repeats one.
    #[error("{0}")]
    Reference(String),
    /// It is right, but the product does not evaluate it.
    #[error("{0}")]
    Unsupported(String),
}

impl RuleError {
    pub(super) fn attribute(attribute: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Attribute {
            attribute: attribute.into(),
            reason: reason.into(),
        }
    }

    pub(super) fn field(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Field {
            field: field.into(),
            reason: reason.into(),
        }
    }

    pub(super) fn condition(condition: &str, reason: impl Into<String>) -> Self {
        let mut shown: String = condition.chars().take(120).collect();
        if shown.len() < condition.len() {
            shown.push('…');
        }
        Self::Condition {
            condition: shown,
            reason: reason.into(),
        }
    }
}
