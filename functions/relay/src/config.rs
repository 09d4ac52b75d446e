//! How the relay behaves, from the environment.

use std::time::Duration;

use http::Uri;
use threatstream_runtime::Reader;

/// How the relay behaves.
#[derive(Clone, Debug)]
pub struct Config {
    /// How often every client gets a `heartbeat` and a protocol ping; one silent for two and a half of these is given up.
    pub heartbeat_interval: Duration,
    /// Sockets open at once; further ones are answered 503.
    pub max_connections: usize,
    /// Where the page finds the api; `None`: where the page came from.
    pub api_url: Option<ApiUrl>,
    /// Whether `/` shows the page. The single process answers `/` itself, and leaves it out here.
    pub mount_page: bool,
    /// Bounds that need no variable.
    pub limits: Limits,
}

/// Bounds on what a client may cost.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of frames kept for clients that are not quite up to date; shared by all.
    pub ring_bytes: usize,
    /// Frames kept, likewise.
    pub ring_frames: usize,
    /// A write that takes longer ends the connection.
    pub write_timeout: Duration,
    /// How long a client that lost its place in the ring may take to read what it missed from the feed before it is told `resync`.
    pub catch_up: Duration,
    /// How long a new client may say nothing before it gets the state unasked.
    pub silence: Duration,
    /// For how long a state is handed to further clients while the store gives no hint that anything has changed.
    pub state_age: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            ring_bytes: 8 * 1024 * 1024,
            ring_frames: 16_384,
            write_timeout: Duration::from_secs(20),
            catch_up: Duration::from_secs(10),
            silence: Duration::from_secs(2),
            state_age: Duration::from_secs(1),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            heartbeat_interval: Duration::from_secs(30),
            max_connections: 5000,
            api_url: None,
            mount_page: true,
            limits: Limits::default(),
        }
    }
}

impl Config {
    /// Reads `WS_HEARTBEAT_INTERVAL`, `WS_MAX_CONNECTIONS` and `API_URL`; what is wrong with them stays with the reader.
    pub fn from_env(reader: &mut Reader<'_>) -> Self {
        let default = Self::default();
        let api_url = reader.text("API_URL").and_then(|text| {
            let url = ApiUrl::parse(&text);
            if url.is_none() {
                reader.problem(
                    "API_URL",
                    "expected an origin such as https://api.example.com, without a path",
                );
            }
            url
        });
        Self {
            heartbeat_interval: reader.duration(
                "WS_HEARTBEAT_INTERVAL",
                default.heartbeat_interval,
                Duration::from_secs(1)..=Duration::from_secs(3600),
            ),
            max_connections: reader.number("WS_MAX_CONNECTIONS", default.max_connections, 1..=1_000_000),
            api_url,
            ..default
        }
    }
}

/// An origin, `scheme://host[:port]`, that may stand in a header as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiUrl(String);

impl ApiUrl {
    /// An origin of http or https, with or without a slash at its end; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let uri: Uri = text.trim().parse().ok()?;
        let scheme = uri.scheme_str().filter(|scheme| matches!(*scheme, "http" | "https"))?;
        let authority = uri.authority()?.as_str().to_ascii_lowercase();
        let plain = authority
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'[' | b']'));
        (plain && matches!(uri.path(), "" | "/") && uri.query().is_none())
            .then(|| Self(format!("{scheme}://{authority}")))
    }

    /// As it is written in headers and in the page.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_and_what_is_wrong_with_them() {
        let environment = [
            ("WS_HEARTBEAT_INTERVAL", "5s"),
            ("WS_MAX_CONNECTIONS", "12"),
            ("API_URL", "https://API.example.com/"),
        ];
        let mut reader = Reader::new(&environment);
        let config = Config::from_env(&mut reader);
        assert_eq!((config.heartbeat_interval.as_secs(), config.max_connections), (5, 12));
        assert_eq!(config.api_url.unwrap().as_str(), "https://api.example.com");
        assert!(reader.finish(()).is_ok());

        let wrong = [
            ("WS_HEARTBEAT_INTERVAL", "0"),
            ("WS_MAX_CONNECTIONS", "0"),
            ("API_URL", "https://x/;script-src *"),
        ];
        let mut reader = Reader::new(&wrong);
        Config::from_env(&mut reader);
        assert_eq!(reader.finish(()).unwrap_err().problems().len(), 3);
    }

    #[test]
    fn only_origins_are_urls() {
        for wrong in [
            "",
            "x",
            "ftp://x",
            "https://x/path",
            "https://u@x",
            "https://x?y",
            "https://x;y",
            "javascript:alert(1)",
        ] {
            assert_eq!(ApiUrl::parse(wrong), None, "{wrong}");
        }
        assert!(ApiUrl::parse("http://[::1]:8000").is_some());
    }
}
