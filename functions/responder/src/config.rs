//! What the environment says about the responder.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use reqwest::Url;
use threatstream_runtime::{ConfigErrors, Environment, PushAuth, Reader, Secret};

use crate::playbook::Library;

/// How the responder is set up.
#[derive(Clone, Debug)]
pub struct Config {
    /// The playbooks, built in and added.
    pub playbooks: Library,
    /// Whom the action `webhook` calls; without one, such steps are skipped.
    pub webhook: Option<WebhookConfig>,
    /// Addresses of the operator's own that are never blocked, beside the internal ones.
    pub never_block: Vec<IpNet>,
    /// Whether workers of this process take tasks from the queue and sweep each minute. Without them, as where a process gets no time
    /// outside its requests, the queue pushes and a scheduler calls (`WORKERS`).
    pub workers: bool,
    /// Who may call `/tasks/respond` and `/tasks/sweep` (`PUSH_AUDIENCE`, `PUSH_SERVICE_ACCOUNTS`).
    pub push: PushAuth,
}

/// Where the webhook is. The address may hold a token, so it is a secret.
#[derive(Clone, Debug)]
pub struct WebhookConfig {
    /// An `http` or `https` address.
    pub url: Secret<Url>,
    /// The key of the signature in `x-threatstream-signature`; without one, calls are not signed.
    pub secret: Option<Secret<String>>,
}

impl Config {
    /// The built-in playbooks, no webhook, and workers.
    #[must_use]
    pub fn builtin() -> Self {
        Self {
            playbooks: Library::builtin(),
            webhook: None,
            never_block: Vec::new(),
            workers: true,
            push: PushAuth::off(),
        }
    }

    /// Reads `PLAYBOOKS_DIR`, `WEBHOOK_URL`, `WEBHOOK_SECRET`, `NEVER_BLOCK`, what [`PushAuth`] reads, and `WORKERS`, whose default is
    /// false where `K_SERVICE` is set.
    ///
    /// A playbook that is not valid is set aside and listed, and is no error; a folder that cannot be read is one.
    ///
    /// # Errors
    /// Every variable that is wrong, and what is allowed.
    pub fn from_env(environment: &dyn Environment) -> Result<Self, ConfigErrors> {
        let mut reader = Reader::new(environment);
        let mut playbooks = Library::builtin();
        if let Some(dir) = reader.text("PLAYBOOKS_DIR").map(PathBuf::from)
            && let Err(error) = playbooks.add_dir(Path::new(&dir))
        {
            reader.problem("PLAYBOOKS_DIR", format!("the folder cannot be read: {error}"));
        }
        let secret = reader.secret("WEBHOOK_SECRET");
        let webhook = match reader.text("WEBHOOK_URL") {
            Some(text) => match webhook_url(&text) {
                Ok(url) => Some(WebhookConfig {
                    url: Secret::new(url),
                    secret,
                }),
                Err(message) => {
                    reader.problem("WEBHOOK_URL", message);
                    None
                }
            },
            None => {
                if secret.is_some() {
                    reader.problem("WEBHOOK_SECRET", "is set without WEBHOOK_URL");
                }
                None
            }
        };
        let mut never_block = Vec::new();
        for text in reader.list("NEVER_BLOCK").unwrap_or_default() {
            match text
                .parse::<IpNet>()
                .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
            {
                Ok(range) => never_block.push(range.trunc()),
                Err(_) => reader.problem(
                    "NEVER_BLOCK",
                    format!(
                        "'{}' is not an address or a range such as 198.51.100.0/24",
                        text.escape_debug()
                    ),
                ),
            }
        }
        let stays = reader.text("K_SERVICE").is_none();
        let workers = reader.boolean("WORKERS", stays);
        let push = reader.absorb(PushAuth::from_env(environment)).unwrap_or_default();
        reader.finish(Self {
            playbooks,
            webhook,
            never_block,
            workers,
            push,
        })
    }
}

/// The message never repeats the address: it may hold a token.
fn webhook_url(text: &str) -> Result<Url, String> {
    let expected = "expected an http or https address, such as https://hooks.example.com/threats";
    let url = Url::parse(text).map_err(|error| format!("is not an address ({error}); {expected}"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err(expected.to_owned());
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_set_is_the_built_in_playbooks_without_a_webhook() {
        let empty: [(&str, &str); 0] = [];
        let config = Config::from_env(&empty).unwrap();
        assert!(config.playbooks.get("pb-brute-001").is_some());
        assert!(config.webhook.is_none() && config.never_block.is_empty());
        assert!(config.workers && config.push == PushAuth::off());
    }

    #[test]
    fn a_process_that_gets_no_time_outside_requests_has_no_workers() {
        fn workers<const N: usize>(environment: [(&str, &str); N]) -> bool {
            Config::from_env(&environment).unwrap().workers
        }
        let there = ("K_SERVICE", "responder");
        assert!(!workers([there]));
        assert!(workers([there, ("WORKERS", "true")]));
        assert!(!workers([("WORKERS", "false")]));
        let errors = Config::from_env(&[("WORKERS", "some"), ("PUSH_AUDIENCE", "https://responder")]).unwrap_err();
        let variables: Vec<&str> = errors
            .problems()
            .iter()
            .map(|problem| problem.variable.as_str())
            .collect();
        assert_eq!(variables, ["WORKERS", "PUSH_AUDIENCE"]);
    }

    #[test]
    fn every_problem_is_named_and_no_secret_repeated() {
        let errors = Config::from_env(&[
            ("PLAYBOOKS_DIR", "/nowhere/at/all"),
            ("WEBHOOK_URL", "ftp://hooks.example.com/T0K3N"),
            ("NEVER_BLOCK", "198.51.100.0/24, office"),
        ])
        .unwrap_err();
        let variables: Vec<&str> = errors
            .problems()
            .iter()
            .map(|problem| problem.variable.as_str())
            .collect();
        assert_eq!(variables, ["PLAYBOOKS_DIR", "WEBHOOK_URL", "NEVER_BLOCK"]);
        assert!(!errors.to_string().contains("T0K3N"));
        let errors = Config::from_env(&[("WEBHOOK_SECRET", "hush")]).unwrap_err();
        assert_eq!(errors.problems()[0].variable, "WEBHOOK_SECRET");
        for url in [
            "hooks.example.com",
            "//hooks",
            "javascript:alert(1)",
            "https://",
            "file:///etc/passwd",
        ] {
            assert!(Config::from_env(&[("WEBHOOK_URL", url)]).is_err(), "{url}");
        }
    }

    #[test]
    fn debug_output_hides_the_webhook() {
        let config =
            Config::from_env(&[("WEBHOOK_URL", "https://h.example/T0K3N"), ("WEBHOOK_SECRET", "hush")]).unwrap();
        let text = format!("{:?}", config.webhook);
        assert!(!text.contains("T0K3N") && !text.contains("hush"), "{text}");
    }
}
