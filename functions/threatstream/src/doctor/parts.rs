//! What lies in the process and in files: rules, playbooks, the webhook's address, authentication, simulations.

use std::sync::Arc;
use std::time::Instant;

use threatstream_analyzer as analyzer;
use threatstream_analyzer::rules::RulesConfig;
use threatstream_api as api;
use threatstream_detection::Detector;
use threatstream_detection::enrich::Networks;
use threatstream_domain::MarkKey;
use threatstream_responder as responder;
use threatstream_runtime::{Environment, Reader, ServeConfig};
use threatstream_simulator as simulator;

use super::Finding;

/// Parts whose variables are wrong are left out here: they were named already.
pub(super) const NAMED: &str = "its variables are wrong";

pub(super) fn examine(environment: &dyn Environment) -> Vec<Finding> {
    let mut findings = vec![rules(environment)];
    match responder::Config::from_env(environment) {
        Ok(config) => findings.extend([playbooks(&config), webhook(&config)]),
        Err(_) => findings.extend(["playbooks", "webhook"].map(|check| Finding::left_out(check, NAMED))),
    }
    findings.extend([authentication(environment), simulations(environment)]);
    findings
}

fn rules(environment: &dyn Environment) -> Finding {
    let config = RulesConfig::from_env(&mut Reader::new(environment));
    let started = Instant::now();
    let loaded = analyzer::rules::load(config.builtin, config.folder.as_deref());
    let latency = started.elapsed();
    let rules = match loaded {
        Ok(rules) => rules,
        Err(error) => {
            let detail = match std::error::Error::source(&error) {
                Some(cause) => format!("RULES_DIR: {error}: {cause}"),
                None => format!("RULES_DIR: {error}"),
            };
            return Finding::failed("rules", detail)
                .took(latency)
                .advise("RULES_DIR must name a folder that this user may read");
        }
    };
    let aside: Vec<String> = rules
        .set_aside()
        .iter()
        .map(|aside| format!("{}: {}", aside.file, aside.reason))
        .collect();
    let detector = Detector::new(Arc::new(rules), Networks::default(), MarkKey::new(Vec::new()));
    let probed = if config.builtin {
        api::probe_rules(&detector)
    } else {
        api::count_rules(&detector)
    };
    match probed {
        Err(error) => Finding::failed("rules", error)
            .took(latency)
            .advise("RULES_DIR may hold a filter that silences a built-in rule"),
        Ok(summary) => {
            let first = aside
                .first()
                .map(|first| format!("; the first: {first}"))
                .unwrap_or_default();
            Finding::ok(
                "rules",
                format!("{} loaded, {} set aside{first}", summary.loaded, summary.set_aside),
            )
            .took(latency)
        }
    }
}

fn playbooks(config: &responder::Config) -> Finding {
    let aside = config.playbooks.set_aside();
    let loaded = config.playbooks.playbooks().len();
    let first = aside
        .first()
        .map(|first| format!("; the first: {}: {}", first.file, first.reason))
        .unwrap_or_default();
    let detail = format!("{loaded} loaded, {} set aside{first}", aside.len());
    if loaded == 0 {
        return Finding::failed("playbooks", detail).advise("mend what was set aside, or unset PLAYBOOKS_DIR");
    }
    Finding::ok("playbooks", detail)
}

/// The address is a secret, and calling it would tell somebody of nothing.
fn webhook(config: &responder::Config) -> Finding {
    match &config.webhook {
        None => Finding::left_out(
            "webhook",
            "WEBHOOK_URL is not set; steps that would call it are skipped",
        ),
        Some(webhook) if webhook.secret.is_some() => Finding::ok("webhook", "set, calls are signed; not called now"),
        Some(_) => Finding::ok("webhook", "set, calls are not signed (WEBHOOK_SECRET); not called now"),
    }
}

fn authentication(environment: &dyn Environment) -> Finding {
    match ServeConfig::from_env(environment) {
        Ok(config) => Finding::ok(
            "authentication",
            format!("{} on {}", config.auth.as_str(), config.address()),
        ),
        Err(_) => Finding::left_out("authentication", NAMED),
    }
}

fn simulations(environment: &dyn Environment) -> Finding {
    match simulator::Config::from_env(environment) {
        Ok(config) if !config.enabled => Finding::left_out("simulations", "off: SIMULATION_ENABLED=false"),
        Ok(config) if config.key.is_some() => Finding::ok("simulations", "on, with SIMULATION_KEY"),
        Ok(_) => Finding::ok("simulations", "on, with the key that is kept with the data"),
        Err(_) => Finding::left_out("simulations", NAMED),
    }
}
