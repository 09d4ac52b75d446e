//! `webhook`: tells the operator's own receiver (a chat, a ticket system, a firewall's API) what has happened.

use serde::{Deserialize, Serialize};
use threatstream_domain::{Execution, Severity, StepStatus, Threat, ThreatType, Timestamp, truncated};
use threatstream_runtime::CancellationToken;

use super::call::{Call, Called};
use super::{Begin, Context, Outcome, Reached};

/// The longest text taken over from a threat, in bytes: it quotes log lines, and receivers have limits.
const MAX_TEXT: usize = 2048;

/// What the step asks for: nothing. Whom it calls is the operator's configuration, never a playbook's or a threat's.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Webhook {}

impl Webhook {
    pub(super) fn begin(&self, context: &Context<'_>) -> Begin {
        match context.webhook {
            None => Begin::Done(Outcome::skipped("no webhook is configured (WEBHOOK_URL)")),
            Some(_) if context.execution.dry_run => {
                Begin::Done(Outcome::completed("dry run: would call the configured webhook"))
            }
            Some(_) => Begin::ReachOut,
        }
    }

    pub(super) async fn call(&self, context: &Context<'_>, stop: &CancellationToken) -> Reached {
        let Some(client) = context.webhook else {
            return Reached::Done(Outcome::skipped("no webhook is configured (WEBHOOK_URL)"));
        };
        let body = match serde_json::to_vec(&Body::new(context)) {
            Ok(body) => body,
            Err(error) => return Reached::Done(Outcome::failed(format!("the call could not be written: {error}"))),
        };
        let call = Call {
            idempotency_key: format!("{}-{}", context.execution.execution_id, context.step),
            timestamp: context.now,
            body,
        };
        match client.call(&call, stop).await {
            Called::Accepted { status, tries } => Reached::Done(Outcome::completed(format!(
                "the webhook answered {status}{}",
                after(tries)
            ))),
            Called::Refused { reason, tries } => Reached::Done(Outcome::failed(format!("{reason}{}", after(tries)))),
            Called::Unknown { reason } => {
                Reached::Done(Outcome::failed(format!("outcome unknown, not sent again: {reason}")))
            }
            Called::Postponed => Reached::Postponed,
        }
    }
}

fn after(tries: u32) -> String {
    if tries > 1 {
        format!(" after {tries} tries")
    } else {
        String::new()
    }
}

/// What the receiver gets.
#[derive(Serialize)]
struct Body<'a> {
    r#type: &'static str,
    sent_at: Timestamp,
    threat: ThreatSummary<'a>,
    execution: ExecutionSummary<'a>,
}

#[derive(Serialize)]
struct ThreatSummary<'a> {
    id: &'a str,
    timestamp: Timestamp,
    analyzed_at: Timestamp,
    severity: Severity,
    threat_type: ThreatType,
    risk_score: u8,
    confidence: f64,
    source_ip: Option<&'a str>,
    source_country: Option<&'a str>,
    destination_ip: Option<&'a str>,
    destination_port: Option<u16>,
    user: Option<&'a str>,
    host: Option<&'a str>,
    description: &'a str,
    recommended_actions: Vec<&'a str>,
    mitre_attack_id: Option<&'a str>,
    mitre_attack_name: Option<&'a str>,
    event_count: u64,
}

#[derive(Serialize)]
struct ExecutionSummary<'a> {
    execution_id: &'a str,
    playbook_id: &'a str,
    playbook_name: &'a str,
    started_at: Timestamp,
    steps: Vec<StepSummary<'a>>,
}

#[derive(Serialize)]
struct StepSummary<'a> {
    name: &'a str,
    action: &'a str,
    status: StepStatus,
    detail: Option<&'a str>,
}

impl<'a> Body<'a> {
    fn new(context: &Context<'a>) -> Self {
        Self {
            r#type: "playbook.execution",
            sent_at: context.now,
            threat: ThreatSummary::new(context.threat),
            execution: ExecutionSummary::new(context.execution),
        }
    }
}

impl<'a> ThreatSummary<'a> {
    fn new(threat: &'a Threat) -> Self {
        let cut = |text: &'a Option<String>| text.as_deref().map(|text| truncated(text, MAX_TEXT));
        Self {
            id: &threat.id,
            timestamp: threat.timestamp,
            analyzed_at: threat.analyzed_at,
            severity: threat.severity,
            threat_type: threat.threat_type,
            risk_score: threat.risk_score,
            confidence: threat.confidence,
            source_ip: cut(&threat.source_ip),
            source_country: cut(&threat.source_country),
            destination_ip: cut(&threat.destination_ip),
            destination_port: threat.destination_port,
            user: cut(&threat.user),
            host: cut(&threat.host),
            description: truncated(&threat.description, MAX_TEXT),
            recommended_actions: threat
                .recommended_actions
                .iter()
                .take(20)
                .map(|line| truncated(line, MAX_TEXT))
                .collect(),
            mitre_attack_id: threat.mitre_attack_id.as_deref(),
            mitre_attack_name: threat.mitre_attack_name.as_deref(),
            event_count: threat.event_count,
        }
    }
}

impl<'a> ExecutionSummary<'a> {
    fn new(execution: &'a Execution) -> Self {
        Self {
            execution_id: &execution.execution_id,
            playbook_id: &execution.playbook_id,
            playbook_name: &execution.playbook_name,
            started_at: execution.started_at,
            steps: execution
                .steps
                .iter()
                .map(|step| StepSummary {
                    name: &step.name,
                    action: &step.action,
                    status: step.status,
                    detail: step.detail.as_deref(),
                })
                .collect(),
        }
    }
}
