//! One bounded HTTP exchange, and what came of it.
//!
//! Redirects are not followed and proxies of the environment are not used: only the operator says who gets to see a key.

use std::time::Duration;

use http::header::{HeaderValue, RETRY_AFTER, USER_AGENT};
use reqwest::{Client, RequestBuilder, Response, StatusCode, redirect};
use serde::Deserialize;
use threatstream_runtime::{Secret, with_causes};

use crate::error::{GeminiError, Peer};

/// The most bytes of an answer that are taken.
pub(crate) const MAX_ANSWER: usize = 1024 * 1024;
/// The most bytes of a refusal that are read, for its message.
const MAX_REFUSAL: usize = 16 * 1024;
/// The most characters of it that are told.
const MAX_REASON: usize = 300;
/// The part of a request's time that connecting may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(4);

/// A request, and what of it must never be told.
pub(crate) struct Exchange<'a> {
    pub(crate) peer: Peer,
    pub(crate) request: RequestBuilder,
    /// What is asked for, should it not be there.
    pub(crate) what: &'a str,
    /// What the request proves itself with.
    pub(crate) secret: Option<&'a Secret<String>>,
    pub(crate) limit: Duration,
}

impl Exchange<'_> {
    /// Sends it, and takes the body of a success.
    pub(crate) async fn run(self) -> Result<Vec<u8>, GeminiError> {
        let (peer, limit) = (self.peer, self.limit);
        let secret = self.secret.map(|secret| secret.expose().as_str());
        let broken = |error| broken(peer, limit, secret, error);
        let request = self
            .request
            .header(USER_AGENT, concat!("threatstream/", env!("CARGO_PKG_VERSION")))
            .timeout(limit);
        let response = request.send().await.map_err(broken)?;
        if response.status() != StatusCode::OK {
            return Err(refusal(peer, self.what, secret, response).await);
        }
        let (body, whole) = read(response, MAX_ANSWER).await.map_err(broken)?;
        if whole {
            Ok(body)
        } else {
            Err(GeminiError::TooLong {
                peer,
                limit: MAX_ANSWER,
            })
        }
    }
}

/// A secret as a header's value. It was checked to be one when it was read.
pub(crate) fn header(peer: Peer, text: &str) -> Result<HeaderValue, GeminiError> {
    let mut value = HeaderValue::from_str(text).map_err(|_| GeminiError::Malformed {
        peer,
        reason: "a credential that fits no header".to_owned(),
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// Makes the client, which reads the system's certificates: files and time.
pub(crate) async fn client() -> Result<Client, GeminiError> {
    let made = tokio::task::spawn_blocking(|| {
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // Losing the race against another installer is as good.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        Client::builder()
            .connect_timeout(CONNECT_LIMIT)
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .build()
            .map_err(|error| with_causes(&error.without_url()))
    });
    match made.await {
        Ok(made) => made.map_err(|reason| GeminiError::Client { reason }),
        Err(error) => Err(GeminiError::Client {
            reason: error.to_string(),
        }),
    }
}

/// Up to so many bytes of the body, and whether that is all of it.
async fn read(mut response: Response, most: usize) -> Result<(Vec<u8>, bool), reqwest::Error> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        let room = most - bytes.len();
        bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() > room {
            return Ok((bytes, false));
        }
    }
    Ok((bytes, true))
}

fn broken(peer: Peer, limit: Duration, secret: Option<&str>, error: reqwest::Error) -> GeminiError {
    if error.is_timeout() && !error.is_connect() {
        return GeminiError::TimedOut { peer, limit };
    }
    GeminiError::Unreachable {
        peer,
        reason: tellable(&with_causes(&error.without_url()), secret),
    }
}

/// What a status other than 200 means.
async fn refusal(peer: Peer, what: &str, secret: Option<&str>, response: Response) -> GeminiError {
    let status = response.status();
    let retry_after = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.parse().ok())
        .map(Duration::from_secs);
    // A refusal whose words do not arrive is a refusal still.
    let (mut body, whole) = read(response, MAX_REFUSAL).await.unwrap_or_default();
    if !whole {
        // Half a secret at the end would not be known for one.
        body.truncate(body.len().saturating_sub(secret.map_or(0, str::len)));
    }
    let said = Said::of(&body);
    let reason = tellable(&said.text, secret);
    let code = status.as_u16();
    match code {
        401 | 403 => GeminiError::Denied {
            peer,
            status: code,
            reason,
        },
        // A key that AI Studio does not know is an invalid argument to it.
        400 if said.invalid_key => GeminiError::Denied {
            peer,
            status: code,
            reason,
        },
        404 => GeminiError::NotFound {
            peer,
            what: what.to_owned(),
            reason,
        },
        429 => GeminiError::RateLimited {
            peer,
            retry_after,
            reason,
        },
        500..=599 => GeminiError::Failed {
            peer,
            status: code,
            retry_after,
            reason,
        },
        _ => GeminiError::Refused {
            peer,
            status: code,
            reason,
        },
    }
}

/// Google's errors: `{"error": {"code", "message", "status", "details": [{"reason"}]}}`.
#[derive(Deserialize)]
struct Refusal {
    error: Status,
}

#[derive(Deserialize)]
struct Status {
    #[serde(default)]
    message: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    details: Vec<Detail>,
}

#[derive(Deserialize)]
struct Detail {
    #[serde(default)]
    reason: String,
}

struct Said {
    text: String,
    invalid_key: bool,
}

impl Said {
    fn of(body: &[u8]) -> Self {
        match serde_json::from_slice::<Refusal>(body) {
            Ok(Refusal { error }) => Self {
                invalid_key: error.details.iter().any(|detail| detail.reason == "API_KEY_INVALID"),
                text: format!("{} {}", error.status, error.message),
            },
            Err(_) => Self {
                text: String::from_utf8_lossy(body).into_owned(),
                invalid_key: false,
            },
        }
    }
}

/// A server's words on one line, cut short, and without the secret: Google repeats a key that it has suspended.
pub(crate) fn tellable(text: &str, secret: Option<&str>) -> String {
    let scrubbed = match secret {
        Some(secret) if !secret.is_empty() => text.replace(secret, "[redacted]"),
        _ => text.to_owned(),
    };
    let line: String = scrubbed.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let words: Vec<&str> = line.split_whitespace().collect();
    match words.join(" ") {
        nothing if nothing.is_empty() => "no reason was given".to_owned(),
        reason => reason.chars().take(MAX_REASON).collect(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn googles_errors_are_read_and_others_are_quoted() {
        let invalid = br#"{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID","domain":"googleapis.com"}]}}"#;
        let said = Said::of(invalid);
        assert!(said.invalid_key);
        assert_eq!(said.text, "INVALID_ARGUMENT API key not valid.");
        assert_eq!(tellable(&Said::of(b"<html>\x1b[31m  no").text, None), "<html> [31m no");
        assert_eq!(tellable(&Said::of(b"").text, None), "no reason was given");
    }

    proptest! {
        /// However long the text, wherever in it the secret stands.
        #[test]
        fn no_secret_is_told(before in "\\PC{0,320}", after in "\\PC{0,40}", secret in "AIza[A-Za-z0-9_-]{35}") {
            let told = tellable(&format!("{before}{secret}{after}"), Some(&secret));
            // Nor the greater part of it, at the cut.
            prop_assert!(!told.contains(&secret[..12]), "{}", told);
            prop_assert!(told.chars().count() <= MAX_REASON && !told.chars().any(char::is_control));
        }
    }
}
