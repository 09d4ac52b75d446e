//! Alerts, and what analysts do about them.

use utoipa::ToSchema;

use super::*;

/// A remark of an analyst.
#[derive(ToSchema)]
pub(crate) struct Note {
    analyst_id: String,
    at: Time,
    /// At most 4 KiB.
    text: String,
}

/// A step in an alert's life.
#[derive(ToSchema)]
pub(crate) struct TimelineEntry {
    at: Time,
    by: String,
    #[schema(example = "acknowledged")]
    action: String,
    /// How the remark begins; all of it is among the notes.
    #[schema(max_length = 200)]
    notes: Option<String>,
}

/// Threats that belong together, and what analysts do about them.
#[derive(ToSchema)]
pub(crate) struct Alert {
    /// `ALT-` and 20 hexadecimal digits.
    id: String,
    /// The threat that opened it.
    threat_id: String,
    /// The threats in it, oldest first; the last 100.
    threat_ids: Vec<String>,
    title: String,
    description: String,
    /// The worst of its threats'.
    severity: Severity,
    /// How soon somebody must look.
    priority: Priority,
    source_ips: Vec<String>,
    affected_systems: Vec<String>,
    mitre_attack_ids: Vec<String>,
    /// Events behind it, those of suppressed threats included.
    event_count: u64,
    first_seen: Time,
    last_seen: Time,
    /// When somebody must have looked.
    due_at: Time,
    created_at: Time,
    /// Every event behind it was a drill's.
    simulated: bool,
    /// The closed alert that this one follows.
    previous_alert: Option<String>,
    status: AlertStatus,
    assigned_to: Option<String>,
    acknowledged_at: Option<Time>,
    acknowledged_by: Option<String>,
    resolved_at: Option<Time>,
    resolved_by: Option<String>,
    /// `RESOLVED` or `FALSE_POSITIVE`, once closed.
    resolution: Option<AlertStatus>,
    /// Oldest first. With the timeline at most 256 KiB of text; once that is full, steps that bring a note are refused (409).
    #[schema(max_items = 500)]
    notes: Vec<Note>,
    /// Oldest first.
    #[schema(max_items = 500)]
    timeline: Vec<TimelineEntry>,
    /// Changes by analysts so far.
    version: u64,
}
