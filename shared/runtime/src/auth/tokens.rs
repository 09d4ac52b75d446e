//! Bearer tokens: known by their SHA-256 alone.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::{ConditionallySelectable, ConstantTimeEq};

use super::{Principal, Role, UnknownRole};

/// A token made of 256 random bits, to be shown once and kept nowhere.
#[must_use]
pub fn new_token() -> String {
    format!("tk_{}", URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>()))
}

/// What the configuration keeps of a token: its SHA-256, in lowercase hexadecimal. A token of 256 random bits needs no slow hash.
#[must_use]
pub fn hash_token(token: &str) -> String {
    digest(token).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// One line of `API_TOKENS`.
#[derive(Debug, Clone)]
pub struct Token {
    principal: Principal,
    digest: [u8; 32],
}

/// Why a line of `API_TOKENS` is refused. The line itself is not repeated: a careless one holds the token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not three parts.
    #[error("entry {0} is not name:role:sha256")]
    Form(usize),
    /// No name, or one with unusual characters.
    #[error("entry {0} needs a name of up to 64 letters, digits and . _ @ -")]
    Name(usize),
    /// A name twice.
    #[error("entry {0} has the name of an earlier one")]
    Twice(usize),
    /// Another role.
    #[error("entry {0} has an unknown role: {1}")]
    Role(usize, UnknownRole),
    /// Another length or alphabet.
    #[error("entry {0} needs the token's SHA-256 as 64 hexadecimal digits, not the token itself")]
    Digest(usize),
}

/// Every token that is accepted.
#[derive(Debug, Clone, Default)]
pub struct Tokens(Arc<[Token]>);

impl Tokens {
    /// Reads `name:role:sha256` entries, one a line or joined by commas; empty lines and lines that begin with `#` are skipped.
    ///
    /// # Errors
    /// Every entry that is not of that form, by its number from 1.
    pub fn parse(text: &str) -> Result<Self, Vec<TokenError>> {
        let mut tokens: Vec<Token> = Vec::new();
        let mut errors = Vec::new();
        let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
        let entries = lines
            .flat_map(|line| line.split(','))
            .map(str::trim)
            .filter(|entry| !entry.is_empty());
        for (number, entry) in (1..).zip(entries) {
            match parse_entry(number, entry) {
                Ok(token) if tokens.iter().any(|known| known.principal.name == token.principal.name) => {
                    errors.push(TokenError::Twice(number));
                }
                Ok(token) => tokens.push(token),
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() {
            Ok(Self(tokens.into()))
        } else {
            Err(errors)
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whose token it is. Takes the same time whichever entry matches, and none.
    #[must_use]
    pub fn verify(&self, token: &str) -> Option<Principal> {
        let digest = digest(token);
        let mut found = u32::MAX;
        for (index, known) in (0u32..).zip(self.0.iter()) {
            found.conditional_assign(&index, known.digest.ct_eq(&digest));
        }
        self.0.get(found as usize).map(|token| token.principal.clone())
    }
}

fn parse_entry(number: usize, entry: &str) -> Result<Token, TokenError> {
    let mut parts = entry.split(':').map(str::trim);
    let (Some(name), Some(role), Some(hex), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err(TokenError::Form(number));
    };
    let usual = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '@' | '-');
    if name.is_empty() || name.len() > 64 || !name.chars().all(usual) {
        return Err(TokenError::Name(number));
    }
    let role: Role = role.parse().map_err(|error| TokenError::Role(number, error))?;
    let digest = parse_digest(hex).ok_or(TokenError::Digest(number))?;
    Ok(Token {
        principal: Principal::new(name, role),
        digest,
    })
}

fn parse_digest(hex: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    if hex.len() != 64 || !hex.is_ascii() {
        return None;
    }
    for (byte, pair) in digest.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(pair[1]).to_digit(16)?;
        *byte = u8::try_from(high * 16 + low).ok()?;
    }
    Some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_known_by_their_hash() {
        let (alice, bob) = (new_token(), new_token());
        assert_ne!(alice, bob);
        assert!(alice.len() >= 43);
        let text = format!(
            "# ours\nalice:admin:{}\n\n bob:viewer:{} , ",
            hash_token(&alice),
            hash_token(&bob).to_uppercase()
        );
        let tokens = Tokens::parse(&text).unwrap();
        assert_eq!(tokens.verify(&alice), Some(Principal::new("alice", Role::Admin)));
        assert_eq!(tokens.verify(&bob), Some(Principal::new("bob", Role::Viewer)));
        assert_eq!(tokens.verify("tk_other"), None);
        assert_eq!(tokens.verify(""), None);
        assert_eq!(Tokens::default().verify(&alice), None);
        assert_eq!(
            hash_token("abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn every_wrong_entry_is_named_by_number_alone() {
        let good = hash_token("x");
        let text = format!("a:admin:{good},a:admin:{good}\nb:root:{good}\nc:viewer:hunter2\n:viewer:{good}\nhunter2");
        let errors = Tokens::parse(&text).unwrap_err();
        assert_eq!(
            errors,
            [
                TokenError::Twice(2),
                TokenError::Role(3, UnknownRole),
                TokenError::Digest(4),
                TokenError::Name(5),
                TokenError::Form(6)
            ]
        );
        assert!(errors.iter().all(|error| !error.to_string().contains("hunter2")));
    }
}
