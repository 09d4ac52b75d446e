//! Who pushes: the claims of the OIDC token that Pub/Sub and Cloud Scheduler send.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;

use crate::auth::iam_header;
use crate::environment::{ConfigErrors, Environment, Reader};
use crate::problem::Problem;

/// Clocks of two machines may differ by this much.
const LEEWAY_SECS: i64 = 60;

/// Which callers may push.
///
/// Only behind Cloud Run's IAM is there anything to check: it verifies the token's signature and removes it, so that what remains to be
/// looked at are the claims. Everywhere else a token's claims prove nothing, and the mode's own authentication decides; there
/// [`PushAuth::authorize`] lets everyone pass that came so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PushAuth(Option<Expected>);

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Expected {
    audience: Option<String>,
    service_accounts: Vec<String>,
}

/// The claims that are looked at. What is of another type is as good as missing.
#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    exp: i64,
    email: Option<String>,
    email_verified: Option<bool>,
}

impl PushAuth {
    /// Checks nothing: for a function that stands behind other authentication.
    #[must_use]
    pub fn off() -> Self {
        Self(None)
    }

    /// Checks the claims behind Cloud Run's IAM: the audience when there is one, and the account when any is listed.
    #[must_use]
    pub fn behind_iam(audience: Option<String>, service_accounts: Vec<String>) -> Self {
        Self(Some(Expected {
            audience,
            service_accounts,
        }))
    }

    /// Reads `PUSH_AUDIENCE` and `PUSH_SERVICE_ACCOUNTS` (joined by commas), which mean something with `AUTH_MODE=iam` alone.
    ///
    /// # Errors
    /// An account that is no address, and either variable in another mode: it would promise a check that nobody makes.
    pub fn from_env(environment: &dyn Environment) -> Result<Self, ConfigErrors> {
        let mut reader = Reader::new(environment);
        let iam = reader
            .text("AUTH_MODE")
            .is_some_and(|mode| mode.eq_ignore_ascii_case("iam"));
        let audience = reader.text("PUSH_AUDIENCE");
        let service_accounts = reader.list("PUSH_SERVICE_ACCOUNTS").unwrap_or_default();
        if service_accounts.iter().any(|account| !account.contains('@')) {
            reader.problem(
                "PUSH_SERVICE_ACCOUNTS",
                "has an entry that is not allowed; expected addresses such as push@project.iam.gserviceaccount.com, joined by commas",
            );
        }
        if !iam {
            let given = [
                ("PUSH_AUDIENCE", audience.is_some()),
                ("PUSH_SERVICE_ACCOUNTS", !service_accounts.is_empty()),
            ];
            for (variable, _) in given.into_iter().filter(|(_, given)| *given) {
                let message = "is checked with AUTH_MODE=iam alone, where Cloud Run has verified the token; set that, or remove this";
                reader.problem(variable, message);
            }
            return reader.finish(Self::off());
        }
        reader.finish(Self::behind_iam(audience, service_accounts))
    }

    /// Whether the sender of these headers may push. `now_ms` is Unix time in milliseconds.
    ///
    /// # Errors
    /// 401 without a readable token, or with one that is not Google's, not for us, or over; 403 when the account is another. All name the
    /// claim.
    pub fn authorize(&self, headers: &HeaderMap, now_ms: i64) -> Result<(), Problem> {
        let Some(expected) = &self.0 else { return Ok(()) };
        let claims =
            claims(headers).ok_or_else(|| Problem::unauthorized("a push needs a bearer token with OIDC claims"))?;
        if !["https://accounts.google.com", "accounts.google.com"].contains(&claims.iss.as_str()) {
            return Err(refused(
                StatusCode::UNAUTHORIZED,
                "iss",
                "expected https://accounts.google.com",
            ));
        }
        if claims.exp.saturating_add(LEEWAY_SECS) <= now_ms.div_euclid(1000) {
            return Err(refused(StatusCode::UNAUTHORIZED, "exp", "the token has expired"));
        }
        if expected
            .audience
            .as_ref()
            .is_some_and(|audience| *audience != claims.aud)
        {
            return Err(refused(
                StatusCode::UNAUTHORIZED,
                "aud",
                "the token is for another audience",
            ));
        }
        let email = claims.email.filter(|_| claims.email_verified == Some(true));
        let Some(email) = email else {
            return Err(refused(StatusCode::FORBIDDEN, "email", "expected a verified address"));
        };
        if !expected.service_accounts.is_empty() && !expected.service_accounts.contains(&email) {
            return Err(refused(StatusCode::FORBIDDEN, "email", "this account may not push"));
        }
        Ok(())
    }
}

fn claims(headers: &HeaderMap) -> Option<Claims> {
    let (scheme, token) = iam_header(headers)?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let mut parts = token.trim().split('.');
    let (_header, claims) = (parts.next()?, parts.next()?);
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
}

fn refused(status: StatusCode, claim: &str, message: &str) -> Problem {
    let problem = if status == StatusCode::UNAUTHORIZED {
        Problem::unauthorized("the token's claims are not accepted")
    } else {
        Problem::new(status, "the token's claims are not accepted")
    };
    problem.field(claim, message)
}

#[cfg(test)]
mod tests {
    use http::header::AUTHORIZATION;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    const NOW_MS: i64 = 1_795_338_000_000;
    const ACCOUNT: &str = "push@p.iam.gserviceaccount.com";

    fn good() -> Value {
        json!({
            "iss": "https://accounts.google.com", "aud": "https://api.run.app", "azp": "117", "sub": "117",
            "email": ACCOUNT, "email_verified": true, "iat": NOW_MS / 1000 - 60, "exp": NOW_MS / 1000 + 3540,
        })
    }

    fn with(claim: &str, value: impl Into<Value>) -> Value {
        let mut claims = good();
        claims[claim] = value.into();
        claims
    }

    fn headers(claims: &Value) -> HeaderMap {
        let claims = URL_SAFE_NO_PAD.encode(claims.to_string());
        let token = format!("Bearer e30.{claims}.SIGNATURE_REMOVED_BY_GOOGLE");
        HeaderMap::from_iter([(AUTHORIZATION, token.parse().unwrap())])
    }

    fn strict() -> PushAuth {
        PushAuth::behind_iam(Some("https://api.run.app".to_owned()), vec![ACCOUNT.to_owned()])
    }

    #[test]
    fn the_claims_decide() {
        strict().authorize(&headers(&good()), NOW_MS).unwrap();
        for (claims, status, field) in [
            (with("iss", "https://evil.example"), 401, "iss"),
            (with("aud", "https://other.run.app"), 401, "aud"),
            (with("exp", NOW_MS / 1000 - 60), 401, "exp"),
            (with("exp", i64::MIN), 401, "exp"),
            (with("email", "other@p.iam.gserviceaccount.com"), 403, "email"),
            (with("email", Value::Null), 403, "email"),
            (with("email_verified", false), 403, "email"),
            (with("email_verified", Value::Null), 403, "email"),
        ] {
            let problem = strict().authorize(&headers(&claims), NOW_MS).unwrap_err();
            assert_eq!(
                (problem.status().as_u16(), problem.errors()[0].field.as_str()),
                (status, field),
                "{claims}"
            );
        }
        // A little over is within what clocks differ.
        strict()
            .authorize(&headers(&with("exp", NOW_MS / 1000 - 59)), NOW_MS)
            .unwrap();
        let any = PushAuth::behind_iam(None, Vec::new());
        any.authorize(&headers(&with("aud", "https://else.run.app")), NOW_MS)
            .unwrap();
        assert!(any.authorize(&headers(&with("iss", "me")), NOW_MS).is_err());
    }

    #[test]
    fn without_a_readable_token_nobody_passes() {
        let mut odd = vec![
            HeaderMap::new(),
            headers(&json!([])),
            headers(&with("aud", json!(["a"]))),
        ];
        for value in ["", "Bearer", "Bearer x", "Bearer a.*.c", "Basic e30.e30.x"] {
            odd.push(HeaderMap::from_iter([(AUTHORIZATION, value.parse().unwrap())]));
        }
        for headers in odd {
            let problem = strict().authorize(&headers, NOW_MS).unwrap_err();
            assert_eq!(problem.status(), StatusCode::UNAUTHORIZED, "{headers:?}");
            PushAuth::off().authorize(&headers, NOW_MS).unwrap();
        }
    }

    #[test]
    fn the_header_that_cloud_run_checked_is_the_one_that_counts() {
        // Cloud Run does not look at Authorization when the other is there: what it says is the caller's own invention.
        let mut both = headers(&good());
        both.insert(
            "x-serverless-authorization",
            headers(&with("email", "analyst@example.com"))[AUTHORIZATION].clone(),
        );
        assert_eq!(
            strict().authorize(&both, NOW_MS).unwrap_err().status(),
            StatusCode::FORBIDDEN
        );
    }

    #[test]
    fn from_the_environment() {
        let read = PushAuth::from_env;
        assert_eq!(read(&[("AUTH_MODE", "token")]), Ok(PushAuth::off()));
        assert_eq!(
            read(&[("AUTH_MODE", "IAM")]),
            Ok(PushAuth::behind_iam(None, Vec::new()))
        );
        let accounts = format!("{ACCOUNT}, ");
        let given = [
            ("AUTH_MODE", "iam"),
            ("PUSH_AUDIENCE", "https://api.run.app"),
            ("PUSH_SERVICE_ACCOUNTS", &accounts),
        ];
        assert_eq!(read(&given), Ok(strict()));
        let wrong = [("PUSH_AUDIENCE", "a"), ("PUSH_SERVICE_ACCOUNTS", "x")];
        assert_eq!(read(&wrong).unwrap_err().problems().len(), 3);
    }

    proptest! {
        #[test]
        fn no_other_account_passes(email in "\\PC{0,40}", claims: Vec<u8>) {
            prop_assume!(email != ACCOUNT);
            prop_assert!(strict().authorize(&headers(&with("email", email)), NOW_MS).is_err());
            let token = format!("Bearer e30.{}.x", URL_SAFE_NO_PAD.encode(claims));
            let odd = HeaderMap::from_iter([(AUTHORIZATION, token.parse().unwrap())]);
            prop_assert!(strict().authorize(&odd, NOW_MS).is_err());
        }
    }
}
