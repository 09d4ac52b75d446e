//! Against pages of strangers: which `Host` and which `Origin` are ours.
//!
//! In open mode everyone who reaches the port is let in, and every page in a browser on this machine can reach it. Two things stop them:
//! a page whose name was rebound to 127.0.0.1 still sends its own name as `Host`, and a request that changes something carries the
//! page's `Origin`.

use std::net::{IpAddr, Ipv6Addr};

use http::Uri;

/// The origins that may call us from a browser, each `scheme://host[:port]`.
#[derive(Debug, Clone, Default)]
pub struct Origins(Vec<String>);

impl Origins {
    /// Takes normalised origins; an entry that is none is returned as the error.
    ///
    /// # Errors
    /// The first entry that is not `http(s)://host[:port]`.
    pub fn new(origins: impl IntoIterator<Item = String>) -> Result<Self, String> {
        origins
            .into_iter()
            .map(|origin| normalise(&origin).ok_or(origin))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The origins, lowercase, without a trailing slash.
    #[must_use]
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }

    /// Whether `Origin` names one of them.
    #[must_use]
    pub fn allows_origin(&self, origin: &str) -> bool {
        self.0.iter().any(|known| known.eq_ignore_ascii_case(origin))
    }

    /// Whether `Host` names this machine or one of them.
    #[must_use]
    pub fn allows_host(&self, host: &str) -> bool {
        is_loopback_host(host) || self.0.iter().any(|known| authority(known).eq_ignore_ascii_case(host))
    }
}

/// Whether the page at `origin` was served under `host`: a request to itself. The scheme is the proxy's business.
pub(crate) fn is_same_origin(origin: &str, host: &str) -> bool {
    origin.contains("://") && authority(origin).eq_ignore_ascii_case(host)
}

fn authority(origin: &str) -> &str {
    origin.split_once("://").map_or(origin, |(_, authority)| authority)
}

fn normalise(origin: &str) -> Option<String> {
    let uri: Uri = origin.trim().parse().ok()?;
    let scheme = uri.scheme_str().filter(|scheme| matches!(*scheme, "http" | "https"))?;
    let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'))?;
    (matches!(uri.path(), "" | "/") && uri.query().is_none())
        .then(|| format!("{scheme}://{}", authority.as_str().to_ascii_lowercase()))
}

/// Whether a `Host` header names this machine: `localhost` and its subdomains, 127.0.0.0/8, `[::1]`, with any port.
#[must_use]
pub fn is_loopback_host(host: &str) -> bool {
    if let Some(rest) = host.strip_prefix('[') {
        let Some((address, port)) = rest.split_once(']') else {
            return false;
        };
        return is_port(port) && address.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback());
    }
    let (name, port) = host.find(':').map_or((host, ""), |colon| host.split_at(colon));
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    is_port(port)
        && (name == "localhost"
            || name.ends_with(".localhost")
            || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()))
}

fn is_port(text: &str) -> bool {
    text.is_empty()
        || text
            .strip_prefix(':')
            .is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        for host in [
            "localhost",
            "LOCALHOST:8000",
            "app.localhost:1",
            "127.0.0.1",
            "127.8.9.1:80",
            "[::1]",
            "[::1]:8000",
            "localhost.",
        ] {
            assert!(is_loopback_host(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "10.0.0.1",
            "[::2]",
            "[::1",
            "localhost:x",
            "::1",
        ] {
            assert!(!is_loopback_host(host), "{host}");
        }
    }

    #[test]
    fn origins() {
        let origins = Origins::new(["http://localhost:3000/".to_owned(), "https://Soc.Example".to_owned()]).unwrap();
        assert_eq!(origins.as_slice(), ["http://localhost:3000", "https://soc.example"]);
        assert!(origins.allows_origin("http://localhost:3000") && origins.allows_origin("https://SOC.example"));
        assert!(
            !origins.allows_origin("http://soc.example")
                && !origins.allows_origin("null")
                && !origins.allows_origin("")
        );
        assert!(origins.allows_host("soc.example") && !origins.allows_host("evil.example"));
        assert!(
            is_same_origin("http://127.0.0.1:8000", "127.0.0.1:8000")
                && !is_same_origin("http://127.0.0.1:81", "127.0.0.1:8000")
        );
        assert!(!is_same_origin("null", "null"));
        for wrong in ["*", "localhost:3000", "ftp://x", "https://x/path", "https://u@x", ""] {
            assert_eq!(Origins::new([wrong.to_owned()]).unwrap_err(), wrong);
        }
    }
}
