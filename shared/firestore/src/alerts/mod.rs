//! Stored alerts: the analyzer's part and the analysts' part in one document.
//!
//! Each side writes its own fields and no others, on the condition that the document is as it was read. The analyzer's writes
//! are part of its commits; when each alert was last written is kept in memory, so that a commit reads nothing for them.

mod document;
mod known;

use std::collections::HashMap;

use async_trait::async_trait;
use firestore::gcloud_sdk::google::firestore::v1::{Document, Value, Write};
use threatstream_backend::{AlertQuery, Alerts, BackendError, Page};
use threatstream_domain::{Alert, AlertCase, AlertGroup, AlertStatus, Frame, FrameKind, Timestamp};

pub(crate) use known::{Known, KnownAlerts};

use crate::codec::{
    Fields, ReadFields, UpdateTime, and_maximum, boolean, bytes, int, merge, only_if_at, signed, text, time, unsigned,
};
use crate::documents::{EXPIRES_AT, changed, unwritable};
use crate::error::{Fault, rejected};
use crate::feed;
use crate::list::{List, shard, shards};
use crate::query::{NAME, Query};
use crate::retry::Attempts;
use crate::store::FirestoreStore;

/// The collection of alerts.
pub(crate) const ALERTS: &str = "alerts";

/// Whether the dashboards were told that the alert is overdue.
const OVERDUE_TOLD: &str = "overdue_told";

#[async_trait]
impl Alerts for FirestoreStore {
    async fn alert(&self, id: &str) -> Result<Option<Alert>, BackendError> {
        let document = self.live_document(ALERTS, id).await?;
        document.map(|document| read(&document)).transpose()
    }

    async fn alerts(&self, query: &AlertQuery) -> Result<Page<Alert>, BackendError> {
        let (list, asked) = asked(query);
        let item = |document: &Document| {
            if !self.is_live(document) {
                return Ok(None);
            }
            let alert = read(document)?;
            let updated_at = document.int("updated_at")?;
            Ok(is_wanted(query, &alert, updated_at).then_some(alert))
        };
        list.page(self, asked, query.limit, query.cursor.as_deref(), item).await
    }

    async fn cases(&self, ids: &[String]) -> Result<HashMap<String, AlertCase>, BackendError> {
        let found = self.look(ids).await?;
        let case = |(id, document): (String, Document)| Ok((id, document.json("case")?));
        found.into_iter().map(case).collect()
    }

    async fn save_case(
        &self,
        id: &str,
        expected_version: u64,
        case: AlertCase,
        now: Timestamp,
    ) -> Result<Option<Alert>, BackendError> {
        if case.version == expected_version {
            return Err(rejected("a change of an alert has a version of its own"));
        }
        let written = document::case_json(&case)?;
        let mut attempts = Attempts::new("the change of an alert");
        loop {
            let Some(stored) = self.live_document(ALERTS, id).await? else {
                return Ok(None);
            };
            if version_of(&stored)? != expected_version {
                return Ok(None);
            }
            let alert = Alert {
                group: stored.json("group")?,
                case: case.clone(),
            };
            let frame = Frame::new(FrameKind::AlertUpdate, Some(alert.group.severity), &alert).map_err(unwritable)?;
            let fields = with_case(Fields::new(), &case, written.clone()).with(EXPIRES_AT, self.alert_expiry(now));
            let mut writes = vec![and_maximum(
                changed(&stored, fields),
                "updated_at",
                int(now.as_micros()),
            )];
            writes.extend(feed::writes(self, &[frame], now)?);
            match self.write(writes).await {
                Ok(_) => return Ok(Some(alert)),
                Err(Fault::Backend(error)) if error.is_retryable() => {
                    let made = self.was_made(&stored.name, "case", &written).await;
                    return if made { Ok(Some(alert)) } else { Err(error) };
                }
                Err(fault) => attempts.again(fault).await?,
            }
        }
    }

    async fn tell_overdue(&self, limit: usize, now: Timestamp) -> Result<Vec<Alert>, BackendError> {
        let mut told = Vec::new();
        for stored in self.client.query(untold(now).limit(limit)).await?.documents {
            if self.is_live(&stored) {
                told.extend(self.tell_of(&stored, now).await?);
            }
        }
        Ok(told)
    }
}

impl FirestoreStore {
    /// Marks an alert that was found overdue as told of, and tells of it; `None`: somebody has written it meanwhile.
    async fn tell_of(&self, stored: &Document, now: Timestamp) -> Result<Option<Alert>, BackendError> {
        let alert = read(stored)?;
        let frame = Frame::new(FrameKind::AlertUpdate, Some(alert.group.severity), &alert).map_err(unwritable)?;
        let mut writes = vec![changed(stored, Fields::new().with(OVERDUE_TOLD, boolean(true)))];
        writes.extend(feed::writes(self, &[frame], now)?);
        match self.write(writes).await {
            Ok(_) => Ok(Some(alert)),
            Err(Fault::Conflict(_)) => Ok(None),
            // Where the answer was lost, the mark says next time what became of it.
            Err(Fault::Backend(error)) => Err(error),
        }
    }

    /// Reads these alerts as they are now, those that are there, and keeps in mind when they were written.
    pub(crate) async fn look(&self, ids: &[String]) -> Result<HashMap<String, Document>, BackendError> {
        let names: HashMap<&String, String> = ids.iter().map(|id| (id, self.client.name(ALERTS, id))).collect();
        let mut documents = self.client.get_all(names.values().cloned().collect()).await?;
        let mut found = HashMap::with_capacity(documents.len());
        for (id, name) in names {
            let document = documents.remove(&name);
            let known = match &document {
                Some(document) => Known {
                    case_version: version_of(document)?,
                    update_time: document.update_time,
                },
                None => Known::default(),
            };
            self.known_alerts.put(id, known);
            found.extend(document.map(|document| (id.clone(), document)));
        }
        Ok(found)
    }

    fn alert_expiry(&self, now: Timestamp) -> Value {
        time(now.plus(self.options.alert_retention))
    }
}

/// The write of the analyzer's part, on the condition that the alert was last written when `known` says, or is not there.
///
/// # Errors
/// `Rejected` for what has no JSON.
pub(crate) fn group_write(
    store: &FirestoreStore,
    group: &AlertGroup,
    known: Option<UpdateTime>,
    now: Timestamp,
) -> Result<Write, BackendError> {
    let written = document::group_json(group).map_err(unwritable)?;
    let mut fields = Fields::new()
        .with("group", bytes(written))
        .with("shard", shard(&group.id))
        .with("created_at", int(group.created_at.as_micros()))
        .with("due_at", int(group.due_at.as_micros()))
        .with("priority", text(group.priority.as_str()))
        .with(EXPIRES_AT, store.alert_expiry(now));
    if known.is_none() {
        let case = AlertCase::default();
        fields = with_case(fields, &case, document::case_json(&case)?).with(OVERDUE_TOLD, boolean(false));
    }
    let write = only_if_at(merge(store.client.name(ALERTS, &group.id), fields), known);
    Ok(and_maximum(write, "updated_at", int(now.as_micros())))
}

fn with_case(fields: Fields, case: &AlertCase, written: Vec<u8>) -> Fields {
    fields
        .with("case", bytes(written))
        .with("case_version", int(signed(case.version)))
        .with("status", text(case.status.as_str()))
        .with("closed", boolean(case.status.is_closed()))
        .with_text("assignee", case.assigned_to.as_deref())
        .with("acknowledged", boolean(case.acknowledged_at.is_some()))
}

/// The list of a query, and what the database is asked of it.
pub(crate) fn asked(query: &AlertQuery) -> (List, Query) {
    // A range needs an index that ends with its field. There is one for each range, not one for each range and filter: with
    // a range, the other filters are applied to what it finds.
    let range = match query {
        AlertQuery {
            overdue_at: Some(_), ..
        } => Some("due_at"),
        AlertQuery {
            updated_since: Some(_), ..
        } => Some("updated_at"),
        _ => None,
    };
    let list = List {
        collection: ALERTS,
        time: "created_at",
        then: range,
        scanned: false,
    };
    let mut asked = list.query();
    if let Some(moment) = query.overdue_at {
        asked = asked
            .equal("acknowledged", boolean(false))
            .below("due_at", int(moment.as_micros()));
    } else if let Some(since) = query.updated_since {
        asked = asked.at_least("updated_at", int(since.as_micros()));
    } else {
        if query.active {
            asked = asked.equal("closed", boolean(false));
        }
        if let Some(status) = query.status {
            asked = asked.equal("status", text(status.as_str()));
        }
        if let Some(priority) = query.priority {
            asked = asked.equal("priority", text(priority.as_str()));
        }
        if let Some(assignee) = &query.assignee {
            asked = asked.equal("assignee", text(assignee.as_str()));
        }
    }
    (list, asked)
}

/// Alerts that are overdue and were not told of, the longest due first.
pub(crate) fn untold(now: Timestamp) -> Query {
    shards(Query::over(ALERTS))
        .equal("acknowledged", boolean(false))
        .equal(OVERDUE_TOLD, boolean(false))
        .below("due_at", int(now.as_micros()))
        .ascending("due_at")
        .ascending(NAME)
}

/// All that is asked, of an alert that was found by a part of it.
fn is_wanted(query: &AlertQuery, alert: &Alert, updated_at: i64) -> bool {
    let AlertQuery {
        active,
        status,
        priority,
        assignee,
        overdue_at,
        updated_since,
        limit: _,
        cursor: _,
    } = query;
    let case = &alert.case;
    let is = |status: AlertStatus| case.status == status;
    !(*active && case.status.is_closed())
        && status.is_none_or(is)
        && priority.is_none_or(|priority| alert.group.priority == priority)
        && assignee
            .as_ref()
            .is_none_or(|assignee| case.assigned_to.as_ref() == Some(assignee))
        && overdue_at.is_none_or(|moment| case.acknowledged_at.is_none() && alert.group.due_at < moment)
        && updated_since.is_none_or(|since| updated_at >= since.as_micros())
}

fn read(document: &Document) -> Result<Alert, BackendError> {
    Ok(Alert {
        group: document.json("group")?,
        case: document.json("case")?,
    })
}

/// The version of the analysts' part.
pub(crate) fn version_of(document: &Document) -> Result<u64, BackendError> {
    Ok(unsigned(document.int("case_version")?))
}
