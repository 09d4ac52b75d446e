//! One call of the operator's webhook: tried again only while it is certain that nobody has acted on it.
//!
//! A try that could not connect, or that was answered with 429 or 5xx, is repeated under the same `idempotency-key`. One that
//! may have arrived and was not answered is not: its outcome is unknown. Redirects are not followed, because only the operator
//! says whom to call; proxies of the environment are not used.

use std::time::Duration;

use hmac::{Hmac, Mac};
use http::header::{CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use reqwest::{Client, Response, StatusCode, redirect};
use sha2::Sha256;
use threatstream_domain::{Timestamp, hex};
use threatstream_runtime::{CancellationToken, with_causes};
use tokio::sync::OnceCell;

use crate::config::WebhookConfig;

/// The longest time for one try, from the name's look-up to the answer.
const TRY_LIMIT: Duration = Duration::from_secs(10);
/// The part of it for connecting. Shorter, so that a try that reaches its limit has been connected.
const CONNECT_LIMIT: Duration = Duration::from_secs(4);
/// How often a call is tried.
const TRIES: u32 = 3;
/// The most bytes of a refusal that are read, for its message.
const MAX_ANSWER: usize = 2048;

/// `sha256=` and the HMAC in hexadecimal.
const SIGNATURE: &str = "x-threatstream-signature";
/// When the call was made, in seconds since 1970: part of what is signed.
const TIMESTAMP: &str = "x-threatstream-timestamp";

/// The wait between tries.
#[derive(Clone, Copy, Debug)]
struct Backoff {
    first: Duration,
    longest: Duration,
}

/// Calls the webhook. The TLS client is made at the first call: it reads the system's certificates, and starting up must not wait
/// for that.
pub(crate) struct WebhookClient {
    config: WebhookConfig,
    client: OnceCell<Client>,
    backoff: Backoff,
    try_limit: Duration,
}

/// What is sent.
pub(crate) struct Call {
    /// The same for the same step of the same execution.
    pub(crate) idempotency_key: String,
    pub(crate) timestamp: Timestamp,
    /// JSON.
    pub(crate) body: Vec<u8>,
}

/// What came of a call.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Called {
    /// Answered with 2xx.
    Accepted { status: u16, tries: u32 },
    /// Not accepted, for certain.
    Refused { reason: String, tries: u32 },
    /// It may have arrived.
    Unknown { reason: String },
    /// The process stops before the next try; no try was accepted.
    Postponed,
}

/// What came of one try.
enum Tried {
    Ended(Called),
    Again {
        reason: String,
        not_before: Option<Duration>,
    },
}

impl WebhookClient {
    pub(crate) fn new(config: WebhookConfig) -> Self {
        let backoff = Backoff {
            first: Duration::from_secs(1),
            longest: Duration::from_secs(5),
        };
        Self {
            config,
            client: OnceCell::new(),
            backoff,
            try_limit: TRY_LIMIT,
        }
    }

    /// A client that does not make a test wait.
    #[cfg(test)]
    pub(crate) fn impatient(config: WebhookConfig, try_limit: Duration) -> Self {
        let backoff = Backoff {
            first: Duration::from_millis(1),
            longest: Duration::from_millis(2),
        };
        Self {
            backoff,
            try_limit,
            ..Self::new(config)
        }
    }

    /// Makes the call. Takes at most three tries of ten seconds and two waits of five.
    pub(crate) async fn call(&self, call: &Call, stop: &CancellationToken) -> Called {
        let client = match self.client.get_or_try_init(|| make_client(self.try_limit)).await {
            Ok(client) => client,
            Err(reason) => {
                return Called::Refused {
                    reason: format!("nothing was sent: {reason}"),
                    tries: 0,
                };
            }
        };
        let mut wait = self.backoff.first;
        let mut tries = 1;
        loop {
            let (reason, not_before) = match self.attempt(client, call, tries).await {
                Tried::Ended(called) => return called,
                Tried::Again { reason, not_before } => (reason, not_before),
            };
            if tries == TRIES {
                return Called::Refused { reason, tries };
            }
            tracing::warn!(
                key = call.idempotency_key,
                tries,
                reason,
                "webhook not reached, trying again"
            );
            let pause = wait.max(not_before.unwrap_or_default()).min(self.backoff.longest);
            tokio::select! {
                biased;
                () = stop.cancelled() => return Called::Postponed,
                () = tokio::time::sleep(pause) => {}
            }
            wait *= 2;
            tries += 1;
        }
    }

    async fn attempt(&self, client: &Client, call: &Call, tries: u32) -> Tried {
        let seconds = call.timestamp.as_secs().to_string();
        let mut request = client
            .post(self.config.url.expose().clone())
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, concat!("threatstream/", env!("CARGO_PKG_VERSION")))
            .header("idempotency-key", &call.idempotency_key)
            .header(TIMESTAMP, &seconds);
        if let Some(secret) = &self.config.secret {
            request = request.header(SIGNATURE, sign(secret.expose(), &seconds, &call.body));
        }
        // The address is taken out of every error, because it may hold a token.
        match request
            .body(call.body.clone())
            .send()
            .await
            .map_err(reqwest::Error::without_url)
        {
            Ok(response) => answered(response, tries).await,
            Err(error) if error.is_connect() => Tried::Again {
                reason: format!("the webhook could not be reached: {}", with_causes(&error)),
                not_before: None,
            },
            Err(error) if error.is_builder() => Tried::Ended(Called::Refused {
                reason: format!("nothing was sent: {}", with_causes(&error)),
                tries,
            }),
            Err(error) => Tried::Ended(Called::Unknown {
                reason: with_causes(&error),
            }),
        }
    }
}

async fn answered(response: Response, tries: u32) -> Tried {
    let status = response.status();
    if status.is_success() {
        return Tried::Ended(Called::Accepted {
            status: status.as_u16(),
            tries,
        });
    }
    let not_before = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.parse().ok())
        .map(Duration::from_secs);
    let again = status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error();
    let mut reason = format!("the webhook answered {}", status.as_u16());
    if status.is_redirection() {
        reason.push_str(", and redirects are not followed");
    }
    let said = excerpt(response).await;
    if !said.is_empty() {
        reason = format!("{reason}: {said}");
    }
    if again {
        Tried::Again { reason, not_before }
    } else {
        Tried::Ended(Called::Refused { reason, tries })
    }
}

/// The beginning of what a refusal says, on one line.
async fn excerpt(mut response: Response) -> String {
    let mut bytes = Vec::new();
    while bytes.len() < MAX_ANSWER
        && let Ok(Some(chunk)) = response.chunk().await
    {
        bytes.extend_from_slice(&chunk[..chunk.len().min(MAX_ANSWER - bytes.len())]);
    }
    let text: String = String::from_utf8_lossy(&bytes)
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(200)
        .collect();
    text.trim().to_owned()
}

/// `sha256=` and the HMAC-SHA256, in hexadecimal, of the timestamp, a full stop and the body.
fn sign(secret: &str, seconds: &str, body: &[u8]) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        unreachable!("a MAC takes a key of any length")
    };
    mac.update(seconds.as_bytes());
    mac.update(b".");
    mac.update(body);
    format!("sha256={}", hex(&mac.finalize().into_bytes()))
}

async fn make_client(try_limit: Duration) -> Result<Client, String> {
    // Reading the system's certificates takes files and time.
    tokio::task::spawn_blocking(move || {
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // Losing the race against another installer is as good.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        Client::builder()
            .timeout(try_limit)
            .connect_timeout(CONNECT_LIMIT)
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            // A kept connection may be closed by the receiver just as it is used, and then nobody knows what arrived.
            .pool_max_idle_per_host(0)
            .no_proxy()
            .build()
            .map_err(|error| with_causes(&error.without_url()))
    })
    .await
    .map_err(|error| error.to_string())?
}

#[cfg(test)]
mod tests;
