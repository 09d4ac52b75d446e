//! Health's question to the rules.

use std::sync::{Arc, OnceLock};

use threatstream_detection::enrich::Networks;
use threatstream_detection::sigma::RuleSet;
use threatstream_detection::{Detector, Incoming, pack};
use threatstream_domain::{MarkKey, Timestamp};

use crate::api::{RuleSummary, RulesProbe};

const ATTACK: &str =
    "Nov 22 09:00:00 probe sshd[1]: Failed password for invalid user admin from 203.0.113.7 port 50538 ssh2";
const LOGIN: &str = "Nov 22 09:00:00 probe sshd[1]: Accepted publickey for ana from 203.0.113.7 port 50538 ssh2";

/// An attack that the rules must find, and an ordinary login that they must leave alone.
///
/// # Errors
/// What was wrong, for people.
pub fn probe_rules(detector: &Detector) -> Result<RuleSummary, String> {
    let found = |line: &str| {
        let incoming = Incoming {
            value: line.as_bytes(),
            mark: None,
            logged_at: Timestamp::EPOCH,
            origin: ("probe", 0, 0),
        };
        detector
            .open(incoming)
            .map(|opened| detector.examine(&opened).len())
            .map_err(|error| error.to_string())
    };
    if found(ATTACK)? == 0 {
        return Err("a failed login is not detected".to_owned());
    }
    if found(LOGIN)? > 0 {
        return Err("an ordinary login is taken for an attack".to_owned());
    }
    count_rules(detector)
}

/// What the rule set is, where nobody knows what it must match: the built-in rules are left out.
///
/// # Errors
/// There are no rules.
pub fn count_rules(detector: &Detector) -> Result<RuleSummary, String> {
    let rules = detector.rules();
    if rules.rules().is_empty() {
        return Err("no rule is loaded".to_owned());
    }
    Ok(RuleSummary {
        loaded: rules.rules().len() + rules.correlations().len(),
        set_aside: rules.set_aside().len(),
        rules_hash: rules.hash().to_owned(),
        reload_failure: None,
    })
}

/// [`probe_rules`] over the built-in rules, for an api without an analyzer beside it: it proves that the rules of this build detect.
/// They are loaded when health is first asked for.
#[must_use]
pub fn probe_builtin_rules() -> RulesProbe {
    let detector = OnceLock::new();
    Arc::new(move || {
        probe_rules(detector.get_or_init(|| {
            let rules = RuleSet::load(pack::builtin().map(|(name, yaml)| (name.into(), yaml.into())));
            // No mark is shown to it.
            Detector::new(Arc::new(rules), Networks::default(), MarkKey::new(Vec::new()))
        }))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_builtin_rules_pass_and_none_at_all_do_not() {
        let detector = |rules| Detector::new(Arc::new(rules), Networks::default(), MarkKey::new(Vec::new()));
        assert!(probe_builtin_rules()().unwrap().loaded >= 25);
        let none = detector(RuleSet::load(Vec::new()));
        assert!(probe_rules(&none).is_err() && count_rules(&none).is_err());
    }
}
