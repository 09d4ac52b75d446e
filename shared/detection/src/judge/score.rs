//! From a match to the threat that people read.

use threatstream_domain::{AuditRef, Evidence, Original, Severity, SourceZone, Threat, Timestamp, derived_id};

use super::windows::Fired;
use crate::found::{Counts, Match, Measure, Window};
use crate::mitre;
use crate::sigma::Condition;

/// What makes a threat: a match by itself, or the window that it completed.
pub(super) enum Cause<'a> {
    /// The rule alone.
    Event,
    /// A window.
    Window(&'a Window, Fired),
}

/// The threat, and the originals behind it.
pub(super) fn threat(found: &Match, cause: &Cause<'_>, now: Timestamp) -> (Threat, Vec<Original>) {
    let event = &found.event;
    let verdict = &found.verdict;
    let (id, event_count, rule_ids, originals) = match cause {
        Cause::Event => {
            let id = derived_id("THR", &[&verdict.id, &found.fingerprint]);
            (id, 1, vec![verdict.id.clone()], vec![event.original()])
        }
        Cause::Window(window, fired) => {
            let frame = fired.place.to_string();
            let drill = if found.simulation_id.is_some() { "drill" } else { "real" };
            let mut parts = vec![verdict.id.as_str(), drill, frame.as_str()];
            parts.extend(window.group.iter().map(|(_, value)| value.as_str()));
            let mut rules = vec![verdict.id.clone()];
            rules.extend(fired.rules.iter().filter(|rule| **rule != verdict.id).cloned());
            (derived_id("THR", &parts), fired.events, rules, fired.originals.clone())
        }
    };
    let technique = verdict.techniques.first().cloned();
    let known = technique.as_deref().and_then(mitre::technique_or_parent);
    let mut evidence: Vec<Evidence> = found
        .evidence
        .iter()
        .map(|(field, value)| Evidence {
            field: field.clone(),
            value: value.clone(),
            rule_id: found.rule_id.clone(),
        })
        .collect();
    if let Cause::Window(window, fired) = cause {
        for (field, value) in &window.group {
            evidence.push(Evidence {
                field: field.clone(),
                value: value.clone(),
                rule_id: verdict.id.clone(),
            });
        }
        evidence.push(Evidence {
            field: window.counts.label(),
            value: fired.measure.to_string(),
            rule_id: verdict.id.clone(),
        });
    }
    let threat = Threat {
        id,
        event_id: event.event_id.clone(),
        timestamp: event.timestamp,
        severity: verdict.level,
        threat_type: verdict.threat_type,
        risk_score: risk_score(verdict.level, verdict.confidence, event.source_zone, event_count),
        source_ip: event.source_ip.clone(),
        source_country: None,
        source_country_code: None,
        source_zone: event.source_zone,
        source_asn: None,
        coordinates: None,
        destination_ip: event.destination_ip.clone(),
        destination_port: event.destination_port,
        user: event.user.clone(),
        host: event.host.clone(),
        confidence: verdict.confidence,
        description: description(found, cause),
        contextual_analysis: context(found, cause),
        contributing_signals: signals(found, cause),
        recommended_actions: verdict.recommended_actions.clone(),
        mitre_attack_name: known.map(|technique| technique.name.to_owned()),
        mitre_tactic: known.map(|technique| technique.tactic.to_owned()),
        mitre_attack_id: technique,
        rule_ids,
        rules_hash: found.rules_hash.clone(),
        event_count,
        evidence,
        auto_blocked: false,
        simulated: found.simulation_id.is_some(),
        #[expect(clippy::cast_precision_loss, reason = "milliseconds between an arrival and now")]
        processing_time_ms: now.since(event.received_at).as_micros() as f64 / 1000.0,
        analyzed_at: now,
        audit_ref: AuditRef::RuleEngine,
        triage: None,
    };
    (threat, originals)
}

/// 0 to 100: the severity sets the band; trust in the rule, the source's zone and the number of events move it within.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to 0 to 100"
)]
fn risk_score(level: Severity, confidence: f64, zone: Option<SourceZone>, events: u64) -> u8 {
    let (low, high) = match level {
        Severity::Info => (0.0, 19.0),
        Severity::Low => (20.0, 39.0),
        Severity::Medium => (40.0, 64.0),
        Severity::High => (65.0, 84.0),
        Severity::Critical => (85.0, 100.0),
    };
    let zone = match zone {
        Some(SourceZone::Hostile) => 1.0,
        Some(SourceZone::External) => 0.6,
        None => 0.4,
        Some(SourceZone::Internal) => 0.3,
        Some(SourceZone::Trusted) => 0.0,
    };
    #[expect(clippy::cast_precision_loss, reason = "a logarithm of it is taken")]
    let volume = ((events.max(1) as f64).log10() / 4.0).min(1.0);
    let within = (0.6 * confidence + 0.25 * zone + 0.15 * volume).clamp(0.0, 1.0);
    (low + (high - low) * within).round().clamp(0.0, 100.0) as u8
}

fn description(found: &Match, cause: &Cause<'_>) -> String {
    let event = &found.event;
    let mut text = found.verdict.title.clone();
    // Some logs name a source by its host name alone; then the group of the window does.
    let source = event
        .source_ip
        .as_ref()
        .or(matches!(cause, Cause::Window(..)).then_some(&found.entity));
    if let Some(source) = source {
        text.push_str(&format!(" from {source}"));
    }
    if let Some(user) = &event.user
        && matches!(cause, Cause::Event)
    {
        text.push_str(&format!(", user {user}"));
    }
    if let Some(host) = event.host.as_ref().or(event.destination_ip.as_ref()) {
        text.push_str(&format!(", on {host}"));
    }
    text
}

fn context(found: &Match, cause: &Cause<'_>) -> String {
    let zone = match found.event.source_zone {
        Some(SourceZone::Hostile) => "The source is on a list of hostile networks.",
        Some(SourceZone::External) => "The source lies outside the defended network.",
        Some(SourceZone::Internal) => "The source lies inside the defended network.",
        Some(SourceZone::Trusted) => "The source is on the list of trusted networks.",
        None => "The events name no source address.",
    };
    match cause {
        Cause::Event => zone.to_owned(),
        Cause::Window(window, fired) => {
            let seconds = fired.span.1.saturating_sub(fired.span.0) / 1_000_000;
            let measured = measured(window, fired.measure);
            let asked = asked(window);
            let within = window.timespan_seconds;
            format!("{measured} within {seconds} s; the rule asks for {asked} in {within} s. {zone}")
        }
    }
}

/// What was measured, in words.
fn measured(window: &Window, measure: f64) -> String {
    match &window.counts {
        Counts::Event => format!("{measure} events"),
        Counts::Value { field, .. } => format!("{measure} different values of {field}"),
        Counts::Number { field, measure: of, .. } => match of {
            Measure::Sum => format!("A sum of {field} of {measure}"),
            Measure::Average => format!("A mean of {field} of {measure}"),
            Measure::Percentile(rank) => format!("A percentile {rank} of {field} of {measure}"),
        },
        Counts::Rule { ordered: true, .. } => format!("{measure} rules matched in their order"),
        Counts::Rule { ordered: false, .. } => format!("{measure} different rules matched"),
    }
}

/// What the rule asks for, in words.
fn asked(window: &Window) -> String {
    let bounds: Vec<String> = match &window.condition {
        Condition::Bounds(bounds) => bounds
            .iter()
            .map(|bound| format!("{} {}", bound.is.words(), bound.value))
            .collect(),
        Condition::Rules(sets) => {
            let least = sets.iter().map(|set| set.count_ones()).min().unwrap_or_default();
            vec![format!("{least} of its rules")]
        }
    };
    bounds.join(" and ")
}

fn signals(found: &Match, cause: &Cause<'_>) -> Vec<String> {
    let mut signals = Vec::new();
    if let Cause::Window(window, fired) = cause {
        let group: Vec<String> = window
            .group
            .iter()
            .map(|(field, value)| format!("{field} = {value}"))
            .collect();
        signals.push(format!("{} events of {}", fired.events, group.join(", ")));
        if !matches!(window.counts, Counts::Event) {
            signals.push(format!("{} = {}", window.counts.label(), fired.measure));
        }
        if fired.rules.len() > 1 {
            signals.push(format!("matched by {}", fired.rules.join(", ")));
        }
    }
    signals.extend(
        found
            .evidence
            .iter()
            .take(10)
            .map(|(field, value)| format!("{field} = {value}")),
    );
    signals
}
