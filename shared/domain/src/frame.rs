//! What dashboards are told, as it is stored in the feed.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::Severity;
use crate::closed_set::closed_set;

closed_set! {
    /// What a frame tells.
    FrameKind, "frame type" {
        /// A threat was stored.
        NewThreat = "new_threat",
        /// A threat has changed.
        ThreatUpdate = "threat_update",
        /// An alert was opened.
        NewAlert = "new_alert",
        /// An alert has changed.
        AlertUpdate = "alert_update",
        /// A playbook moved on.
        PlaybookStatus = "playbook_status",
        /// A simulation moved on.
        SimulationUpdate = "simulation_update",
        /// A drill moved on.
        DrillUpdate = "drill_update",
    }
}

/// One frame: its kind, its data as JSON that is never parsed again, and what a client may filter by.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Frame {
    /// What it tells.
    #[serde(rename = "type")]
    pub kind: FrameKind,
    /// The threat's or the alert's severity, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// The data.
    pub data: Box<RawValue>,
}

impl Frame {
    /// A frame around anything that serialises.
    ///
    /// # Errors
    /// Only what the data's own `Serialize` fails with; the types of this crate do not fail.
    pub fn new(kind: FrameKind, severity: Option<Severity>, data: &impl Serialize) -> Result<Self, serde_json::Error> {
        Ok(Self {
            kind,
            severity,
            data: serde_json::value::to_raw_value(data)?,
        })
    }
}
