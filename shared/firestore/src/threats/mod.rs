//! Stored threats.
//!
//! A threat is one document, its originals another. Both go at the same time; a list drops what is past its time though the
//! database has not removed it yet. How many there are is counted with the commits that stored them, so that counting costs
//! no write of its own: the numbers are those since the beginning.

mod change;
mod document;
mod search;

use async_trait::async_trait;
use firestore::gcloud_sdk::google::firestore::v1::{Document, Write};
use threatstream_backend::{BackendError, NewThreat, Page, ThreatChange, ThreatQuery, ThreatStats, Threats};
use threatstream_domain::{Original, Severity, Threat, Timestamp};

pub(crate) use change::change;

use crate::codec::{Fields, ReadFields, boolean, bytes, create, int, list, put, signed, text, time};
use crate::documents::{EXPIRES_AT, unwritable};
use crate::list::{List, shard};
use crate::query::Query;
use crate::store::FirestoreStore;
use search::Search;

/// The collection of threats.
pub(crate) const THREATS: &str = "threats";

/// The collection of their originals, under the same ids.
pub(crate) const ORIGINALS: &str = "originals";

/// Threats of one event are at most as many as there are rules; this is more.
const MAX_OF_EVENT: usize = 10_000;

#[async_trait]
impl Threats for FirestoreStore {
    async fn threat(&self, id: &str) -> Result<Option<Threat>, BackendError> {
        let document = self.live_document(THREATS, id).await?;
        document.map(|document| document.json("body")).transpose()
    }

    async fn threats_of_event(&self, event_id: &str) -> Result<Vec<Threat>, BackendError> {
        let query = Query::over(THREATS)
            .equal("event_id", text(event_id))
            .limit(MAX_OF_EVENT);
        if query.finds_nothing() {
            return Ok(Vec::new());
        }
        let documents = self.client.query(query).await?.documents;
        let live = documents.iter().filter(|document| self.is_live(document));
        let mut threats: Vec<Threat> = live.map(|document| document.json("body")).collect::<Result<_, _>>()?;
        threats.sort_by(|a, b| (a.analyzed_at, &a.id).cmp(&(b.analyzed_at, &b.id)));
        Ok(threats)
    }

    async fn threats(&self, query: &ThreatQuery) -> Result<Page<Threat>, BackendError> {
        let (list, asked) = asked(query, self.options.clock.now().minus(self.options.threat_retention));
        let search = query.text.as_deref().map(Search::new);
        let item = |document: &Document| {
            if !self.is_live(document) {
                return Ok(None);
            }
            let threat: Threat = document.json("body")?;
            let wanted = search.as_ref().is_none_or(|search| search.finds(&threat));
            Ok(wanted.then_some(threat))
        };
        list.page(self, asked, query.limit, query.cursor.as_deref(), item).await
    }

    async fn originals(&self, id: &str) -> Result<Option<Vec<Original>>, BackendError> {
        let Some(document) = self.live_document(ORIGINALS, id).await? else {
            return Ok(None);
        };
        let originals = document::unpack_originals(document.bytes("body")?);
        originals
            .map(Some)
            .ok_or_else(|| document.unreadable("body", "a list of originals"))
    }

    async fn threat_stats(&self) -> Result<ThreatStats, BackendError> {
        let sums = self.sums().await?;
        let mut stats = ThreatStats {
            total_threats: sums.threats,
            ..ThreatStats::default()
        };
        for severity in Severity::NAMES {
            let count = sums.severity.get(*severity).copied().unwrap_or(0);
            stats.severity_distribution.insert((*severity).to_owned(), count);
        }
        stats.type_distribution = sums.types.into_iter().filter(|(_, count)| *count > 0).collect();
        Ok(stats)
    }

    async fn change_threat(
        &self,
        id: &str,
        change: ThreatChange,
        now: Timestamp,
    ) -> Result<Option<Threat>, BackendError> {
        change::change_threat(self, id, &change, now).await
    }
}

/// The list of a query, and what the database is asked of it: all but the text. Nothing that was analysed before `oldest` can
/// be alive, and the database need not look at it.
pub(crate) fn asked(query: &ThreatQuery, oldest: Timestamp) -> (List, Query) {
    let list = List {
        collection: THREATS,
        time: "analyzed_at",
        then: None,
        scanned: query.text.is_some(),
    };
    let since = query.since.map_or(oldest, |since| since.max(oldest));
    let mut asked = list.query().at_least("analyzed_at", int(since.as_micros()));
    if let Some(until) = query.until {
        asked = asked.below("analyzed_at", int(until.as_micros()));
    }
    if let Some(severity) = query.severity {
        asked = asked.equal("severity", text(severity.as_str()));
    }
    if let Some(threat_type) = query.threat_type {
        asked = asked.equal("threat_type", text(threat_type.as_str()));
    }
    if let Some(source_ip) = &query.source_ip {
        asked = asked.equal("source_ip", text(source_ip));
    }
    if let Some(technique) = &query.technique {
        asked = asked.containing("techniques", text(technique.to_uppercase()));
    }
    if let Some(simulated) = query.simulated {
        asked = asked.equal("simulated", boolean(simulated));
    }
    (list, asked)
}

/// The writes that store a new threat: the threat, on the condition that there is none of its id, and its originals.
///
/// # Errors
/// `Rejected` for what has no JSON.
pub(crate) fn to_writes(store: &FirestoreStore, new: &NewThreat) -> Result<[Write; 2], BackendError> {
    let threat = &new.threat;
    let expires_at = time(threat.analyzed_at.plus(store.options.threat_retention));
    let fields = Fields::new()
        .with("shard", shard(&threat.id))
        .with("analyzed_at", int(threat.analyzed_at.as_micros()))
        .with("severity", text(threat.severity.as_str()))
        .with("threat_type", text(threat.threat_type.as_str()))
        .with_text("source_ip", threat.source_ip.as_deref())
        .with("techniques", list(document::techniques(threat).into_iter().map(text)))
        .with("simulated", boolean(threat.simulated))
        .with("event_id", text(threat.event_id.as_str()))
        .with("body", bytes(document::body(threat).map_err(unwritable)?))
        .with(EXPIRES_AT, expires_at.clone());
    let packed = document::pack_originals(&new.originals).map_err(unwritable)?;
    let mut originals = Fields::new()
        .with("body", bytes(packed.packed))
        .with(EXPIRES_AT, expires_at);
    if let Some(lengths) = packed.given_bytes {
        let lengths = lengths.into_iter().map(|length| int(signed(length as u64)));
        originals = originals.with("given_bytes", list(lengths));
    }
    Ok([
        create(store.client.name(THREATS, &threat.id), fields),
        put(store.client.name(ORIGINALS, &threat.id), originals),
    ])
}
