//! What can go wrong, and whether to try again.

use std::fmt;
use std::time::Duration;

/// Who was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// The model's interface.
    Gemini,
    /// The machine's metadata server, which knows the service account.
    Metadata,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gemini => "gemini",
            Self::Metadata => "the metadata server",
        })
    }
}

/// Why the model was not reached, or what was wrong with its answer. No message holds a key or a token; what a server said is
/// cut short and holds no control characters, and is still a server's word: shown, never believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GeminiError {
    /// The client could not be made, as without the system's certificates.
    #[error("the HTTP client cannot be made: {reason}")]
    Client {
        /// What is missing.
        reason: String,
    },
    /// No connection, or it broke before the answer was complete.
    #[error("{peer} could not be reached: {reason}")]
    Unreachable {
        /// Who was asked.
        peer: Peer,
        /// What the connection says.
        reason: String,
    },
    /// No complete answer in time.
    #[error("{peer} did not answer within {limit:?}")]
    TimedOut {
        /// Who was asked.
        peer: Peer,
        /// The time it had.
        limit: Duration,
    },
    /// The key or the service account is not known, or may not.
    #[error("{peer} refused the credentials: {status} {reason}")]
    Denied {
        /// Who was asked.
        peer: Peer,
        /// The HTTP status.
        status: u16,
        /// What the server says.
        reason: String,
    },
    /// No such model, or not there; at the metadata server: no service account.
    #[error("{peer} does not know {what}: {reason}")]
    NotFound {
        /// Who was asked.
        peer: Peer,
        /// What it was asked for.
        what: String,
        /// What the server says.
        reason: String,
    },
    /// Too much was asked.
    #[error("{peer} asks to wait: {reason}")]
    RateLimited {
        /// Who was asked.
        peer: Peer,
        /// How long to wait, where the server says.
        retry_after: Option<Duration>,
        /// What the server says.
        reason: String,
    },
    /// The server's own failure: 5xx.
    #[error("{peer} failed: {status} {reason}")]
    Failed {
        /// Who was asked.
        peer: Peer,
        /// The HTTP status.
        status: u16,
        /// How long to wait, where the server says.
        retry_after: Option<Duration>,
        /// What the server says.
        reason: String,
    },
    /// Another status, redirects included: they are not followed.
    #[error("{peer} answered {status}: {reason}")]
    Refused {
        /// Who was asked.
        peer: Peer,
        /// The HTTP status.
        status: u16,
        /// What the server says.
        reason: String,
    },
    /// More than is taken.
    #[error("{peer} answered with more than {limit} bytes")]
    TooLong {
        /// Who was asked.
        peer: Peer,
        /// How much is taken, in bytes.
        limit: usize,
    },
    /// The answer is not what the interface documents.
    #[error("{peer} answered what it should not: {reason}")]
    Malformed {
        /// Who was asked.
        peer: Peer,
        /// What is wrong with it.
        reason: String,
    },
}

impl GeminiError {
    /// Whether the same request may succeed later, nothing having been changed.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. } | Self::TimedOut { .. } | Self::RateLimited { .. } | Self::Failed { .. }
        )
    }

    /// How long to wait before that, where the server says.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after, .. } | Self::Failed { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Who was asked, unless nobody was.
    #[must_use]
    pub fn peer(&self) -> Option<Peer> {
        match self {
            Self::Client { .. } => None,
            Self::Unreachable { peer, .. }
            | Self::TimedOut { peer, .. }
            | Self::Denied { peer, .. }
            | Self::NotFound { peer, .. }
            | Self::RateLimited { peer, .. }
            | Self::Failed { peer, .. }
            | Self::Refused { peer, .. }
            | Self::TooLong { peer, .. }
            | Self::Malformed { peer, .. } => Some(*peer),
        }
    }
}
