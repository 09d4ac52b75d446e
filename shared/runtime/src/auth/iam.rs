//! Behind Cloud Run's IAM: who the caller is, for the record.

use axum::http::HeaderMap;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::AUTHORIZATION;
use serde::Deserialize;

use super::{Principal, Role};

/// Cloud Run checks this header alone when it is there, and leaves `Authorization` unchecked.
const SERVERLESS: &str = "x-serverless-authorization";

/// The caller that Cloud Run let pass. It has verified the identity token and then removed its signature, so that only the claims are
/// left to read; a caller without readable claims is still one that IAM let pass.
pub(crate) fn caller(headers: &HeaderMap) -> Principal {
    let name = checked(headers).and_then(account).unwrap_or_else(|| "iam".to_owned());
    Principal::new(name, Role::Admin)
}

/// The header whose token Cloud Run has verified.
pub(crate) fn checked(headers: &HeaderMap) -> Option<&str> {
    let header = headers.get(SERVERLESS).or_else(|| headers.get(AUTHORIZATION));
    header.and_then(|value| value.to_str().ok())
}

fn account(header: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Claims {
        email: Option<String>,
        sub: Option<String>,
    }
    let (scheme, token) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let claims = URL_SAFE_NO_PAD.decode(token.trim().split('.').nth(1)?).ok()?;
    let claims: Claims = serde_json::from_slice(&claims).ok()?;
    claims
        .email
        .or(claims.sub)
        .filter(|name| name.len() <= 256 && !name.contains(char::is_control))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(claims: &str) -> String {
        format!(
            "Bearer e30.{}.SIGNATURE_REMOVED_BY_GOOGLE",
            URL_SAFE_NO_PAD.encode(claims)
        )
    }

    #[test]
    fn the_claims_of_the_header_that_was_checked_name_the_caller() {
        let mut headers = HeaderMap::new();
        assert_eq!(&*caller(&headers).name, "iam");
        headers.insert(
            AUTHORIZATION,
            token(r#"{"email":"push@p.iam.gserviceaccount.com"}"#).parse().unwrap(),
        );
        assert_eq!(&*caller(&headers).name, "push@p.iam.gserviceaccount.com");
        headers.insert(SERVERLESS, token(r#"{"sub":"117"}"#).parse().unwrap());
        assert_eq!(&*caller(&headers).name, "117");
        for odd in [
            "Bearer",
            "Bearer a.b",
            "Basic e30.e30.x",
            "Bearer ..",
            &token(r#"{"email":"a\nb"}"#),
        ] {
            headers.insert(SERVERLESS, odd.parse().unwrap());
            assert_eq!(&*caller(&headers).name, "iam", "{odd}");
        }
    }
}
