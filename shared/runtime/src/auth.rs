//! Who may do what: modes, principals, roles, tokens and tickets.

mod iam;
mod mode;
mod origin;
mod tickets;
mod tokens;

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use http::request::Parts;
use serde::{Deserialize, Serialize};

use crate::problem::Problem;

pub(crate) use iam::{caller as iam_caller, checked as iam_header};
pub use mode::AuthMode;
pub(crate) use mode::auth_from_env;
pub(crate) use origin::is_same_origin;
pub use origin::{Origins, is_loopback_host};
pub use tickets::{TicketVerifier, Tickets};
pub use tokens::{Token, TokenError, Tokens, hash_token, new_token};

/// What a principal may do. `Viewer < Analyst < Admin`; `Ingest` stands apart and may only hand in events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Hands in events, sees nothing.
    Ingest,
    /// Reads everything.
    Viewer,
    /// Works on alerts.
    Analyst,
    /// May do everything.
    Admin,
}

impl Role {
    /// Every role, from the least to the most.
    pub const ALL: [Self; 4] = [Self::Ingest, Self::Viewer, Self::Analyst, Self::Admin];

    /// Whether who has this role may do what needs `needed`.
    #[must_use]
    pub fn allows(self, needed: Self) -> bool {
        match needed {
            // A viewer reads and changes nothing, and handing in events is a change.
            Self::Ingest => matches!(self, Self::Ingest | Self::Analyst | Self::Admin),
            needed => self >= needed,
        }
    }

    /// The spelling in configuration and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Viewer => "viewer",
            Self::Analyst => "analyst",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected one of viewer, analyst, admin, ingest")]
pub struct UnknownRole;

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or(UnknownRole)
    }
}

/// Who sends the request; an extension of every request that passed authentication, and an extractor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The name for logs and timelines: a token's name, an account's address, or `local`.
    pub name: Arc<str>,
    /// What they may do.
    pub role: Role,
}

impl Principal {
    /// A principal of that name and role.
    pub fn new(name: impl Into<Arc<str>>, role: Role) -> Self {
        Self {
            name: name.into(),
            role,
        }
    }

    /// Passes when the role allows it.
    ///
    /// # Errors
    /// 403 naming the role that is needed.
    pub fn require(&self, needed: Role) -> Result<(), Problem> {
        if self.role.allows(needed) {
            Ok(())
        } else {
            Err(Problem::forbidden(format!(
                "this needs the role {needed}, and {} has {}",
                self.name, self.role
            )))
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Principal {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        parts
            .extensions
            .get()
            .cloned()
            .ok_or_else(|| Problem::unauthorized("this needs a bearer token"))
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for Principal {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Option<Self>, Infallible> {
        Ok(parts.extensions.get().cloned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_what() {
        use Role::{Admin, Analyst, Ingest, Viewer};
        for (role, may) in [
            (Ingest, &[Ingest][..]),
            (Viewer, &[Viewer]),
            (Analyst, &[Ingest, Viewer, Analyst]),
            (Admin, &[Ingest, Viewer, Analyst, Admin]),
        ] {
            for needed in Role::ALL {
                assert_eq!(role.allows(needed), may.contains(&needed), "{role} for {needed}");
            }
            assert_eq!(role.as_str().parse(), Ok(role));
            assert_eq!(serde_json::to_value(role).unwrap(), role.as_str());
        }
        assert!("root".parse::<Role>().is_err());
    }
}
