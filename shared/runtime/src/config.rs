//! How a function is served, from the environment.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crate::auth::{AuthMode, Origins, TicketVerifier, Tickets, auth_from_env};
use crate::environment::{ConfigErrors, Environment, Reader};

/// Bytes that a request to an ingest route may have, once decompressed.
pub const INGEST_LIMIT: usize = 10 * 1024 * 1024;

/// Bytes that any other request may have, once decompressed.
pub const BODY_LIMIT: usize = 1024 * 1024;

/// How a function is served.
#[derive(Clone)]
pub struct ServeConfig {
    /// The address to listen on.
    pub host: IpAddr,
    /// The port to listen on; 0 lets the system choose.
    pub port: u16,
    /// Whether Cloud Run runs us (`K_SERVICE` is set): its front end is then every peer.
    pub on_cloud_run: bool,
    /// How callers are told apart.
    pub auth: AuthMode,
    /// Issues WebSocket tickets; the route that hands them out uses it.
    pub tickets: Tickets,
    /// Verifies WebSocket tickets in token mode. Without it, tickets are refused. Usually `tickets.verifier(clock)`.
    pub ticket_verifier: Option<Arc<dyn TicketVerifier>>,
    /// Origins that may call from a browser.
    pub cors_origins: Origins,
    /// Bytes of a body, once decompressed, outside ingest routes.
    pub body_limit: usize,
    /// Bytes of a body, once decompressed, on ingest routes.
    pub ingest_limit: usize,
    /// Requests answered at once; further ones are answered 503.
    pub max_in_flight: usize,
    /// After this long a request is answered 503 and given up.
    pub request_timeout: Duration,
    /// Requests that one caller may make in `rate_limit_window`; 0 for no limit.
    pub rate_limit_requests: u32,
    /// See `rate_limit_requests`.
    pub rate_limit_window: Duration,
}

impl ServeConfig {
    /// What an empty environment yields: loopback, port 8000, open.
    #[must_use]
    pub fn local() -> Self {
        Self {
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 8000,
            on_cloud_run: false,
            auth: AuthMode::Open,
            tickets: Tickets::random(),
            ticket_verifier: None,
            cors_origins: Origins::default(),
            body_limit: BODY_LIMIT,
            ingest_limit: INGEST_LIMIT,
            max_in_flight: 1024,
            request_timeout: Duration::from_secs(300),
            rate_limit_requests: 1000,
            rate_limit_window: Duration::from_secs(60),
        }
    }

    /// Reads `API_HOST`, `PORT`, `K_SERVICE`, `AUTH_MODE`, `API_TOKENS`, `TICKET_KEY`, `CORS_ORIGINS`, `RATE_LIMIT_REQUESTS`,
    /// `RATE_LIMIT_WINDOW`, `MAX_IN_FLIGHT` and `REQUEST_TIMEOUT`.
    ///
    /// # Errors
    /// Every variable that is wrong, with what is allowed.
    pub fn from_env(environment: &dyn Environment) -> Result<Self, ConfigErrors> {
        let mut reader = Reader::new(environment);
        let local = Self::local();
        let on_cloud_run = reader.text("K_SERVICE").is_some();
        let default_host = if on_cloud_run {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED)
        } else {
            local.host
        };
        let host = match reader.text("API_HOST").as_deref() {
            Some("localhost") => local.host,
            _ => reader
                .parse("API_HOST", "an IP address such as 127.0.0.1 or 0.0.0.0")
                .unwrap_or(default_host),
        };
        let (auth, tickets) = auth_from_env(&mut reader, host, on_cloud_run);
        let config = Self {
            host,
            port: reader.number("PORT", local.port, 0..=u16::MAX),
            on_cloud_run,
            auth,
            tickets,
            ticket_verifier: None,
            cors_origins: origins_from_env(&mut reader),
            max_in_flight: reader.number("MAX_IN_FLIGHT", local.max_in_flight, 1..=1_000_000),
            request_timeout: reader.duration(
                "REQUEST_TIMEOUT",
                local.request_timeout,
                Duration::from_secs(1)..=Duration::from_secs(3600),
            ),
            rate_limit_requests: reader.number("RATE_LIMIT_REQUESTS", local.rate_limit_requests, 0..=u32::MAX),
            rate_limit_window: reader.duration(
                "RATE_LIMIT_WINDOW",
                local.rate_limit_window,
                Duration::from_secs(1)..=Duration::from_secs(86_400),
            ),
            ..local
        };
        reader.finish(config)
    }

    /// The address to listen on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.host, self.port)
    }

    /// Takes WebSocket tickets issued by `tickets`, with the time from `now_ms` (Unix time in milliseconds).
    #[must_use]
    pub fn accept_tickets(mut self, now_ms: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        self.ticket_verifier = Some(Arc::new(self.tickets.verifier(now_ms)));
        self
    }
}

fn origins_from_env(reader: &mut Reader<'_>) -> Origins {
    let origins = reader
        .list("CORS_ORIGINS")
        .unwrap_or_else(|| vec!["http://localhost:3000".to_owned()]);
    Origins::new(origins).unwrap_or_else(|wrong| {
        let shown: String = wrong.chars().take(60).flat_map(char::escape_debug).collect();
        reader.problem(
            "CORS_ORIGINS",
            format!("'{shown}' is not allowed; expected origins such as https://soc.example.com, joined by commas"),
        );
        Origins::default()
    })
}

impl std::fmt::Debug for ServeConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServeConfig")
            .field("address", &self.address())
            .field("on_cloud_run", &self.on_cloud_run)
            .field("auth", &self.auth.as_str())
            .field("cors_origins", &self.cors_origins.as_slice())
            .field("max_in_flight", &self.max_in_flight)
            .field("request_timeout", &self.request_timeout)
            .field("rate_limit", &(self.rate_limit_requests, self.rate_limit_window))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::hash_token;

    fn read(variables: &[(&str, &str)]) -> Result<ServeConfig, ConfigErrors> {
        let variables: std::collections::HashMap<String, String> = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        ServeConfig::from_env(&variables)
    }

    #[test]
    fn defaults_on_a_machine_and_on_cloud_run() {
        let local = read(&[]).unwrap();
        assert_eq!(local.address().to_string(), "127.0.0.1:8000");
        assert_eq!(local.auth.as_str(), "open");
        assert_eq!(local.cors_origins.as_slice(), ["http://localhost:3000"]);
        assert_eq!(
            (local.rate_limit_requests, local.rate_limit_window.as_secs()),
            (1000, 60)
        );
        let cloud = read(&[("K_SERVICE", "api"), ("PORT", "8080"), ("AUTH_MODE", "iam")]).unwrap();
        assert_eq!(cloud.address().to_string(), "0.0.0.0:8080");
    }

    /// Variables, and the mode or a part of the errors.
    type Case<'a> = (&'a [(&'a str, &'a str)], Result<&'a str, &'a str>);

    #[test]
    fn authentication_modes() {
        let entry = format!("a:admin:{}", hash_token("x"));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tokens");
        std::fs::write(&file, format!("{entry}\nb:viewer:{}\n", hash_token("y"))).unwrap();
        let file = file.to_str().unwrap();
        let key = "0123456789abcdef0123456789abcdef";
        let table: &[Case] = &[
            (&[("AUTH_MODE", "open")], Ok("open")),
            (&[("AUTH_MODE", "OPEN"), ("API_HOST", "::1")], Ok("open")),
            (
                &[("API_HOST", "0.0.0.0")],
                Err("AUTH_MODE: is not set, and 0.0.0.0 can be reached"),
            ),
            (
                &[("AUTH_MODE", "open"), ("API_HOST", "192.0.2.1")],
                Err("loopback address only"),
            ),
            (
                &[("AUTH_MODE", "open"), ("API_HOST", "127.0.0.1"), ("K_SERVICE", "api")],
                Err("loopback address only"),
            ),
            (&[("K_SERVICE", "api")], Err("AUTH_MODE: is not set")),
            (&[("AUTH_MODE", "iam")], Err("K_SERVICE")),
            (&[("AUTH_MODE", "iam"), ("K_SERVICE", "api")], Ok("iam")),
            (&[("AUTH_MODE", "oidc")], Err("not available in this build")),
            (&[("AUTH_MODE", "none")], Err("one of open, iam, token, oidc")),
            (&[("AUTH_MODE", "token")], Err("API_TOKENS: is not set")),
            (
                &[("AUTH_MODE", "token"), ("API_TOKENS", "/no/such/file")],
                Err("cannot be read"),
            ),
            (
                &[("AUTH_MODE", "token"), ("API_TOKENS", "a:admin:short")],
                Err("64 hexadecimal digits"),
            ),
            (
                &[("AUTH_MODE", "token"), ("API_TOKENS", "# none")],
                Err("cannot be read"),
            ),
            (&[("AUTH_MODE", "token"), ("API_TOKENS", &entry)], Ok("token")),
            (
                &[("AUTH_MODE", "token"), ("API_TOKENS", file), ("API_HOST", "0.0.0.0")],
                Ok("token"),
            ),
            (
                &[("AUTH_MODE", "token"), ("API_TOKENS", &entry), ("K_SERVICE", "api")],
                Err("TICKET_KEY: is not set"),
            ),
            (
                &[
                    ("AUTH_MODE", "token"),
                    ("API_TOKENS", &entry),
                    ("K_SERVICE", "api"),
                    ("TICKET_KEY", key),
                ],
                Ok("token"),
            ),
            (&[("TICKET_KEY", "short")], Err("TICKET_KEY: is too short")),
        ];
        for (variables, expected) in table {
            match (read(variables), expected) {
                (Ok(config), Ok(mode)) => assert_eq!(config.auth.as_str(), *mode, "{variables:?}"),
                (Err(errors), Err(part)) => assert!(errors.to_string().contains(part), "{variables:?}: {errors}"),
                (result, _) => panic!("{variables:?}: {result:?}"),
            }
        }
        let AuthMode::Token(tokens) = read(&[("AUTH_MODE", "token"), ("API_TOKENS", file)]).unwrap().auth else {
            panic!()
        };
        assert_eq!(&*tokens.verify("y").unwrap().name, "b");
    }

    #[test]
    fn every_problem_is_told_at_once() {
        let errors = read(&[
            ("API_HOST", "everywhere"),
            ("PORT", "99999999"),
            ("AUTH_MODE", "iam"),
            ("CORS_ORIGINS", "*"),
            ("RATE_LIMIT_REQUESTS", "-1"),
            ("RATE_LIMIT_WINDOW", "0"),
            ("MAX_IN_FLIGHT", "0"),
            ("REQUEST_TIMEOUT", "long"),
        ])
        .unwrap_err();
        let named: Vec<&str> = errors
            .problems()
            .iter()
            .map(|problem| problem.variable.as_str())
            .collect();
        let expected = [
            "API_HOST",
            "AUTH_MODE",
            "PORT",
            "CORS_ORIGINS",
            "MAX_IN_FLIGHT",
            "REQUEST_TIMEOUT",
            "RATE_LIMIT_REQUESTS",
            "RATE_LIMIT_WINDOW",
        ];
        assert_eq!(named, expected);
    }
}
