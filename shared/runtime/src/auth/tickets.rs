//! Short-lived tickets: what a browser shows when it opens a WebSocket, because there it cannot send a header.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

use super::{Principal, Role};
use crate::environment::Secret;

/// Tells whose ticket it is, at the time of asking.
pub trait TicketVerifier: Send + Sync {
    /// The principal the ticket was issued to, or `None` when it is forged or too old.
    fn verify(&self, ticket: &str) -> Option<Principal>;
}

impl<F: Fn(&str) -> Option<Principal> + Send + Sync> TicketVerifier for F {
    fn verify(&self, ticket: &str) -> Option<Principal> {
        self(ticket)
    }
}

/// Issues and verifies tickets under one key. A ticket is `payload.mac`, both base64url, so that it fits into a WebSocket subprotocol;
/// it may be used until it expires.
#[derive(Debug, Clone)]
pub struct Tickets {
    key: Secret<[u8; 32]>,
    lifetime: Duration,
}

impl Tickets {
    /// How long a ticket is good for unless told otherwise.
    pub const LIFETIME: Duration = Duration::from_secs(60);

    /// Tickets under a key that every process knows which issues or verifies them.
    #[must_use]
    pub fn with_key(key: &[u8]) -> Self {
        Self {
            key: Secret::new(Sha256::digest(key).into()),
            lifetime: Self::LIFETIME,
        }
    }

    /// Tickets under a key that this process alone knows.
    #[must_use]
    pub fn random() -> Self {
        Self {
            key: Secret::new(rand::random()),
            lifetime: Self::LIFETIME,
        }
    }

    /// How long a ticket is good for.
    #[must_use]
    pub fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// A ticket for `principal`. `now_ms` is Unix time in milliseconds.
    #[must_use]
    pub fn issue(&self, principal: &Principal, now_ms: i64) -> String {
        let lifetime = i64::try_from(self.lifetime.as_millis()).unwrap_or(i64::MAX);
        let payload = format!(
            "{}:{}:{}",
            now_ms.saturating_add(lifetime),
            principal.role,
            principal.name
        );
        let mac = self.mac(payload.as_bytes()).finalize().into_bytes();
        format!("{}.{}", URL_SAFE_NO_PAD.encode(payload), URL_SAFE_NO_PAD.encode(mac))
    }

    /// Whom the ticket was issued to, unless it is forged or expired at `now_ms`.
    #[must_use]
    pub fn verify(&self, ticket: &str, now_ms: i64) -> Option<Principal> {
        let (payload, mac) = ticket.split_once('.')?;
        let payload = URL_SAFE_NO_PAD.decode(payload).ok()?;
        let mac = URL_SAFE_NO_PAD.decode(mac).ok()?;
        // Compares in constant time.
        self.mac(&payload).verify_slice(&mac).ok()?;
        let payload = String::from_utf8(payload).ok()?;
        let mut parts = payload.splitn(3, ':');
        let expires_ms: i64 = parts.next()?.parse().ok()?;
        let role: Role = parts.next()?.parse().ok()?;
        (now_ms < expires_ms).then(|| Some(Principal::new(parts.next()?, role)))?
    }

    /// A verifier that takes the time from `now_ms`.
    pub fn verifier<N>(&self, now_ms: N) -> impl TicketVerifier + use<N>
    where
        N: Fn() -> i64 + Send + Sync + 'static,
    {
        let tickets = self.clone();
        move |ticket: &str| tickets.verify(ticket, now_ms())
    }

    fn mac(&self, payload: &[u8]) -> Hmac<Sha256> {
        let mut key = [0; 64];
        key[..32].copy_from_slice(self.key.expose());
        let mut mac = <Hmac<Sha256> as hmac::digest::KeyInit>::new(&key.into());
        mac.update(payload);
        mac
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_ticket_is_good_for_its_lifetime_and_its_key() {
        let tickets = Tickets::with_key(b"shared by api and relay");
        let alice = Principal::new("alice:with colons", Role::Analyst);
        let ticket = tickets.issue(&alice, 1_000_000);
        assert!(
            ticket
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
        );
        assert_eq!(tickets.verify(&ticket, 1_059_999), Some(alice.clone()));
        assert_eq!(tickets.verify(&ticket, 1_060_000), None);
        assert_eq!(
            Tickets::with_key(b"shared by api and relay").verify(&ticket, 0),
            Some(alice)
        );
        assert_eq!(Tickets::random().verify(&ticket, 0), None);
        assert_eq!(
            tickets.verify(&tickets.issue(&Principal::new("x", Role::Admin), i64::MAX), 5),
            Some(Principal::new("x", Role::Admin))
        );
    }

    proptest! {
        #[test]
        fn a_changed_ticket_is_refused(at in 0usize..100, with in any::<char>()) {
            let tickets = Tickets::random();
            let ticket = tickets.issue(&Principal::new("alice", Role::Viewer), 0);
            let mut changed: Vec<char> = ticket.chars().collect();
            let at = at % changed.len();
            changed[at] = with;
            let changed: String = changed.into_iter().collect();
            // Base64 without padding leaves spare bits in the last character, which its decoder insists are zero.
            prop_assert_eq!(tickets.verify(&changed, 1).is_some(), changed == ticket);
        }

        #[test]
        fn any_text_is_refused(text in any::<String>()) {
            prop_assert_eq!(Tickets::random().verify(&text, 0), None);
        }
    }
}
