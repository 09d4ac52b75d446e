//! The mark of a simulated event.
//!
//! A drill proves something only if the detector cannot tell it from an attack. So the mark lies in the record's header,
//! where no rule, window or model looks, and is a keyed hash that a sender without the key cannot make.

use std::fmt;

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

use crate::ids::hex;

/// The header that carries a mark.
pub const MARK_HEADER: &str = "threatstream-simulation";

/// The key that marks are made with.
#[derive(Clone)]
pub struct MarkKey(Vec<u8>);

/// Why a mark is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the simulation mark was not made with this deployment's key")]
pub struct ForgedMark;

impl MarkKey {
    /// A key of any length; 32 random bytes are right.
    #[must_use]
    pub fn new(key: impl Into<Vec<u8>>) -> Self {
        Self(key.into())
    }

    fn mac(&self, nonce: &str, raw: &str) -> Hmac<Sha256> {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else {
            unreachable!("a MAC takes a key of any length")
        };
        mac.update(nonce.as_bytes());
        mac.update(&Sha256::digest(raw.as_bytes()));
        mac
    }

    /// The header's value for an event of a simulation: `simulation_id/nonce:hmac`.
    #[must_use]
    pub fn mark(&self, simulation_id: &str, nonce: u64, raw: &str) -> String {
        let nonce = format!("{simulation_id}/{nonce:x}");
        let mac = hex(&self.mac(&nonce, raw).finalize().into_bytes());
        format!("{nonce}:{mac}")
    }

    /// The simulation's id, if the mark was made with this key for this event.
    ///
    /// # Errors
    /// [`ForgedMark`] for anything else.
    pub fn verify<'a>(&self, mark: &'a str, raw: &str) -> Result<&'a str, ForgedMark> {
        let (nonce, mac) = mark.rsplit_once(':').ok_or(ForgedMark)?;
        let bytes = unhex(mac).ok_or(ForgedMark)?;
        self.mac(nonce, raw).verify_slice(&bytes).map_err(|_| ForgedMark)?;
        nonce.rsplit_once('/').map(|(id, _)| id).ok_or(ForgedMark)
    }
}

impl fmt::Debug for MarkKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MarkKey(redacted)")
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_holds_for_its_event_and_its_key_alone() {
        let key = MarkKey::new("secret");
        let mark = key.mark("SIM-1", 7, "line");
        assert_eq!(key.verify(&mark, "line"), Ok("SIM-1"));
        assert_eq!(key.verify(&mark, "other line"), Err(ForgedMark));
        assert_eq!(MarkKey::new("guess").verify(&mark, "line"), Err(ForgedMark));
        for forged in [
            "",
            ":",
            "SIM-1/7:",
            "SIM-1/7:00",
            "SIM-1/7:zz",
            "SIM-1/7:é",
            &mark.replace("/7", "/8"),
        ] {
            assert_eq!(key.verify(forged, "line"), Err(ForgedMark), "{forged}");
        }
        assert_eq!(format!("{key:?}"), "MarkKey(redacted)");
    }
}
