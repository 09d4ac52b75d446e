//! Changes of a stored threat.

use firestore::gcloud_sdk::google::firestore::v1::{Document, Write};
use threatstream_backend::{BackendError, ThreatChange, threat_update};
use threatstream_domain::{AuditRef, Frame, Threat, Timestamp};

use super::{THREATS, document};
use crate::analytics::severity_moved;
use crate::codec::{Fields, ReadFields, bytes, text};
use crate::documents::{changed, unwritable};
use crate::feed;
use crate::retry::Attempts;
use crate::store::FirestoreStore;

/// What a change makes of a threat.
pub(crate) struct Changed {
    /// The threat as it is then.
    pub(crate) threat: Threat,
    /// What is to be written and told; `None`: it is so already.
    pub(crate) effect: Option<(Vec<Write>, Frame)>,
}

/// Works out a change of a threat as it was read; the write holds only while nobody else has changed it since.
///
/// # Errors
/// `Rejected` for a document that cannot be read.
pub(crate) fn change(store: &FirestoreStore, read: &Document, change: &ThreatChange) -> Result<Changed, BackendError> {
    let before: Threat = read.json("body")?;
    let mut threat = before.clone();
    match change {
        ThreatChange::AutoBlocked(blocked) => threat.auto_blocked = *blocked,
        ThreatChange::Triaged { severity, triage } => {
            threat.severity = *severity;
            threat.triage = Some(triage.clone());
            threat.audit_ref = AuditRef::Gemini;
        }
    }
    let body = document::body(&threat).map_err(unwritable)?;
    // Compared as stored, too: what was cut to fit is no change.
    if threat == before || body == read.bytes("body")? {
        return Ok(Changed {
            threat: before,
            effect: None,
        });
    }
    let fields = Fields::new()
        .with("severity", text(threat.severity.as_str()))
        .with("body", bytes(body));
    let mut writes = vec![changed(read, fields)];
    if threat.severity != before.severity {
        writes.push(severity_moved(store, before.severity, threat.severity));
    }
    let frame = threat_update(&threat).map_err(unwritable)?;
    Ok(Changed {
        threat,
        effect: Some((writes, frame)),
    })
}

/// Changes a threat and tells of it, once.
pub(super) async fn change_threat(
    store: &FirestoreStore,
    id: &str,
    asked: &ThreatChange,
    now: Timestamp,
) -> Result<Option<Threat>, BackendError> {
    let mut attempts = Attempts::new("the change of a threat");
    loop {
        let Some(read) = store.live_document(THREATS, id).await? else {
            return Ok(None);
        };
        let changed = change(store, &read, asked)?;
        let Some((mut writes, frame)) = changed.effect else {
            return Ok(Some(changed.threat));
        };
        writes.extend(feed::writes(store, &[frame], now)?);
        match store.write(writes).await {
            Ok(_) => return Ok(Some(changed.threat)),
            Err(failure) => attempts.again(failure).await?,
        }
    }
}
