//! The service account's token, from the metadata server of the machine.
//!
//! <https://docs.cloud.google.com/compute/docs/access/authenticate-workloads>

use std::time::Duration;

use reqwest::{Client, Url};
use serde::Deserialize;
use threatstream_runtime::Secret;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::error::{GeminiError, Peer};
use crate::transport::Exchange;

const PATH: &str = "computeMetadata/v1/instance/service-accounts/default/token";
/// A token is not used in the last part of its life. The metadata server has a new one 5 minutes before the end, and Google's own
/// libraries ask for it 3 minutes and 45 seconds before.
const MARGIN: Duration = Duration::from_secs(225);
/// Google's live an hour, some twelve. Whatever is promised, a day later there is a new one.
const LONGEST: Duration = Duration::from_secs(86_400);

/// Fetches the token, and keeps it while it lives.
pub(crate) struct Tokens {
    url: Option<Url>,
    limit: Duration,
    held: Mutex<Option<Held>>,
}

#[derive(Clone)]
struct Held {
    token: Secret<String>,
    until: Instant,
}

/// What the metadata server says.
#[derive(Deserialize)]
struct Answer {
    access_token: String,
    /// Seconds.
    expires_in: u64,
    token_type: String,
}

impl Tokens {
    pub(crate) fn new(metadata: &Url, limit: Duration) -> Self {
        Self {
            url: metadata.join(PATH).ok(),
            limit,
            held: Mutex::default(),
        }
    }

    /// The token. Whoever asks while it is fetched waits for that one.
    pub(crate) async fn get(&self, client: &Client) -> Result<Secret<String>, GeminiError> {
        let mut held = self.held.lock().await;
        if let Some(held) = &*held
            && Instant::now() < held.until
        {
            return Ok(held.token.clone());
        }
        let asked = Instant::now();
        let fetched = Held::parse(&self.fetch(client).await?, asked)?;
        let token = fetched.token.clone();
        *held = Some(fetched);
        Ok(token)
    }

    /// Forgets a token that was refused, so that the next request does not come with it again.
    pub(crate) async fn forget(&self, refused: &Secret<String>) {
        let mut held = self.held.lock().await;
        if held.as_ref().is_some_and(|held| held.token == *refused) {
            *held = None;
        }
    }

    async fn fetch(&self, client: &Client) -> Result<Vec<u8>, GeminiError> {
        let Some(url) = self.url.clone() else {
            return Err(malformed("its address has no path"));
        };
        let exchange = Exchange {
            peer: Peer::Metadata,
            // Without this header it does not answer: a page that makes a browser ask cannot set it.
            request: client.get(url).header("metadata-flavor", "Google"),
            what: "a service account",
            secret: None,
            limit: self.limit,
        };
        exchange.run().await
    }
}

impl Held {
    /// Life counts from before the request: the answer took its time.
    fn parse(body: &[u8], asked: Instant) -> Result<Self, GeminiError> {
        // What serde says of it could repeat the token.
        let Ok(answer) = serde_json::from_slice::<Answer>(body) else {
            return Err(malformed("no token with its type and its life"));
        };
        if !answer.token_type.eq_ignore_ascii_case("bearer") {
            return Err(malformed("a token that is not a bearer's"));
        }
        if answer.access_token.is_empty() || !answer.access_token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(malformed("a token that fits no header"));
        }
        let life = Duration::from_secs(answer.expires_in).min(LONGEST);
        Ok(Self {
            token: Secret::new(answer.access_token),
            until: asked + life.saturating_sub(MARGIN),
        })
    }
}

fn malformed(reason: &str) -> GeminiError {
    GeminiError::Malformed {
        peer: Peer::Metadata,
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_token_is_used_until_shortly_before_its_end() {
        let asked = Instant::now();
        let until = |life: u64| {
            let body = format!(r#"{{"access_token":"ya29.hush","expires_in":{life},"token_type":"Bearer"}}"#);
            Held::parse(body.as_bytes(), asked).unwrap().until - asked
        };
        assert_eq!(until(3599), Duration::from_secs(3599 - 225));
        assert_eq!(until(200), Duration::ZERO);
        assert_eq!(until(u64::MAX), LONGEST - MARGIN);
    }

    #[test]
    fn what_is_no_token_is_refused_and_not_repeated() {
        for body in [
            "",
            "hush",
            r#"{"access_token":"hush"}"#,
            r#"{"access_token":"hush","expires_in":-1,"token_type":"Bearer"}"#,
            r#"{"access_token":"hush","expires_in":60,"token_type":"MAC"}"#,
            r#"{"access_token":"hush\r\nhost: x","expires_in":60,"token_type":"Bearer"}"#,
            r#"{"access_token":"","expires_in":60,"token_type":"Bearer"}"#,
        ] {
            let Err(error) = Held::parse(body.as_bytes(), Instant::now()) else {
                panic!("{body}")
            };
            assert!(!error.is_retryable() && !error.to_string().contains("hush"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_answer_is_a_token_or_an_error(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Held::parse(&body, Instant::now());
        }
    }
}
