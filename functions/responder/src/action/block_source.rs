//! `block_source`: the threat's source address goes on the blocklist for a while.

use std::time::Duration;

use serde::Deserialize;
use threatstream_backend::Effect;
use threatstream_domain::{BlockEntry, Execution, SourceZone};

use super::{Context, Outcome};
use crate::address::blockable;

/// A year.
const MAX_MINUTES: u64 = 525_600;

/// What the step asks for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BlockSource {
    /// For how long, in minutes, from 1 to a year's.
    minutes: u64,
}

impl BlockSource {
    pub(super) fn check(&self) -> Result<(), (String, String)> {
        if (1..=MAX_MINUTES).contains(&self.minutes) {
            Ok(())
        } else {
            Err((
                "minutes".to_owned(),
                format!("expected a number from 1 to {MAX_MINUTES}"),
            ))
        }
    }

    pub(super) fn decide(&self, context: &Context<'_>) -> Outcome {
        let threat = context.threat;
        let Some(source) = threat.source_ip.as_deref() else {
            return Outcome::skipped("the threat names no source address");
        };
        let ip = match blockable(source, context.never_block) {
            Ok(ip) => ip,
            Err(reason) => return Outcome::skipped(reason.to_string()),
        };
        match threat.source_zone {
            Some(SourceZone::Trusted) => return Outcome::skipped(format!("{ip} is trusted and is never blocked")),
            Some(SourceZone::Internal) => return Outcome::skipped(format!("{ip} is internal and is never blocked")),
            Some(SourceZone::Hostile | SourceZone::External) | None => {}
        }
        let expires_at = context.now.plus(Duration::from_secs(self.minutes * 60));
        if context.execution.dry_run {
            return Outcome::completed(format!("dry run: would block {ip} until {expires_at}"));
        }
        let entry = BlockEntry {
            ip: ip.to_string(),
            reason: format!(
                "{} ({}), {}",
                threat.threat_type, threat.severity, context.execution.playbook_name
            ),
            threat_id: threat.id.clone(),
            execution_id: context.execution.execution_id.clone(),
            blocked_at: context.now,
            expires_at,
        };
        let mut outcome = Outcome::completed(format!("blocked {ip} until {expires_at}"));
        outcome.effects = vec![
            Effect::Block(entry),
            Effect::AutoBlocked {
                threat_id: threat.id.clone(),
                blocked: true,
            },
        ];
        outcome
    }
}

/// What lifts the blocks of this execution. Blocks of other executions stay, and while one of them is for the same threat, the
/// threat stays marked.
pub(super) fn lift(execution: &Execution, blocklist: &[BlockEntry]) -> Vec<Effect> {
    let (ours, others): (Vec<&BlockEntry>, Vec<&BlockEntry>) = blocklist
        .iter()
        .partition(|entry| entry.execution_id == execution.execution_id);
    let mut effects: Vec<Effect> = ours
        .into_iter()
        .map(|entry| Effect::Unblock {
            ip: entry.ip.clone(),
            execution_id: execution.execution_id.clone(),
        })
        .collect();
    if !others.iter().any(|entry| entry.threat_id == execution.threat_id) {
        effects.push(Effect::AutoBlocked {
            threat_id: execution.threat_id.clone(),
            blocked: false,
        });
    }
    effects
}
