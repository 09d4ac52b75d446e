//! Which authentication is in force, from the environment.

use std::net::IpAddr;

use super::{Tickets, Tokens};
use crate::environment::Reader;

/// How callers are told apart.
#[derive(Debug, Clone)]
pub enum AuthMode {
    /// Everyone who reaches the port is admin; only on loopback.
    Open,
    /// Cloud Run's IAM stands in front and lets only its invokers pass.
    Iam,
    /// Bearer tokens, and tickets for WebSockets.
    Token(Tokens),
}

impl AuthMode {
    /// The spelling in `AUTH_MODE`.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Iam => "iam",
            Self::Token(_) => "token",
        }
    }
}

#[derive(Clone, Copy)]
enum Choice {
    Open,
    Iam,
    Token,
    Oidc,
}

/// Reads `AUTH_MODE`, `API_TOKENS` and `TICKET_KEY`. Where the mode is refused, the problem is recorded and the mode returned admits
/// nobody.
pub(crate) fn auth_from_env(reader: &mut Reader<'_>, host: IpAddr, on_cloud_run: bool) -> (AuthMode, Tickets) {
    let choices = [
        ("open", Choice::Open),
        ("iam", Choice::Iam),
        ("token", Choice::Token),
        ("oidc", Choice::Oidc),
    ];
    let loopback = host.is_loopback() && !on_cloud_run;
    let choice = match (reader.text("AUTH_MODE"), loopback) {
        (None, true) => Some(Choice::Open),
        (None, false) => {
            let message = format!(
                "is not set, and {host} can be reached from other machines; set token with API_TOKENS, or iam on Cloud Run behind its IAM"
            );
            reader.problem("AUTH_MODE", message);
            None
        }
        (Some(_), _) => reader.one_of("AUTH_MODE", &choices),
    };
    let refusal = match choice {
        Some(Choice::Open) if loopback => return (AuthMode::Open, tickets_from_env(reader, false)),
        Some(Choice::Iam) if on_cloud_run => return (AuthMode::Iam, tickets_from_env(reader, false)),
        Some(Choice::Token) => {
            let tokens = tokens_from_env(reader);
            return (AuthMode::Token(tokens), tickets_from_env(reader, on_cloud_run));
        }
        Some(Choice::Open) => Some(format!(
            "open lets everyone in and is allowed on a loopback address only, and the host is {host}; set token, or API_HOST=127.0.0.1"
        )),
        Some(Choice::Iam) => Some(
            "iam trusts Cloud Run to check every caller, and without K_SERVICE this is not Cloud Run; set token"
                .to_owned(),
        ),
        Some(Choice::Oidc) => Some("oidc is not available in this build; set open, iam or token".to_owned()),
        None => None,
    };
    if let Some(message) = refusal {
        reader.problem("AUTH_MODE", message);
    }
    (AuthMode::Token(Tokens::default()), Tickets::random())
}

/// A key of the process's own serves where one process issues and verifies. Containers must be given the same one.
fn tickets_from_env(reader: &mut Reader<'_>, shared: bool) -> Tickets {
    match reader.secret("TICKET_KEY") {
        Some(key) if key.expose().len() < 32 => {
            reader.problem(
                "TICKET_KEY",
                "is too short; expected at least 32 characters, the same for every container",
            );
            Tickets::random()
        }
        Some(key) => Tickets::with_key(key.expose().as_bytes()),
        None => {
            if shared {
                reader.problem("TICKET_KEY", "is not set; tokens on Cloud Run need it, because one container issues WebSocket tickets and another verifies them");
            }
            Tickets::random()
        }
    }
}

fn tokens_from_env(reader: &mut Reader<'_>) -> Tokens {
    let text = reader.required(
        "API_TOKENS",
        "AUTH_MODE=token needs name:role:sha256 a line, or the path of a file of such lines",
    );
    if text.is_empty() {
        return Tokens::default();
    }
    let lines = match std::fs::read_to_string(&text) {
        Ok(lines) => lines,
        // An entry has colons and a path rarely does: the intent decides which error is shown.
        Err(error) if !text.contains(':') => {
            reader.problem(
                "API_TOKENS",
                format!("is no name:role:sha256, and as a file cannot be read: {error}"),
            );
            return Tokens::default();
        }
        Err(_) => text,
    };
    match Tokens::parse(&lines) {
        Ok(tokens) if tokens.is_empty() => {
            reader.problem("API_TOKENS", "has no entry; expected name:role:sha256 a line");
            tokens
        }
        Ok(tokens) => tokens,
        Err(errors) => {
            for error in errors {
                reader.problem("API_TOKENS", error.to_string());
            }
            Tokens::default()
        }
    }
}
