//! Executions of playbooks, and the blocklist.
//!
//! A step's effects are written in one commit with the execution's state, on the condition that neither it nor what they
//! change was written meanwhile. An address has one document on the blocklist, however many executions block it: what is
//! blocked can so be counted without reading it.

mod blocks;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use async_trait::async_trait;
use firestore::gcloud_sdk::google::firestore::v1::{Document, Write};
use threatstream_backend::{BackendError, Effect, ExecutionQuery, Page, Responses, ThreatChange};
use threatstream_domain::{BlockEntry, Execution, Frame, FrameKind, Timestamp};

use crate::codec::{Fields, ReadFields, bytes, create, int, signed, text, time, unsigned};
use crate::documents::{EXPIRES_AT, MAX_BODY_BYTES, changed, unwritable};
use crate::error::{Fault, rejected};
use crate::feed;
use crate::list::{List, shard};
use crate::query::Query;
use crate::retry::Attempts;
use crate::store::FirestoreStore;
use crate::threats::{self, THREATS};
use blocks::Blocks;

/// The collection of executions.
const EXECUTIONS: &str = "executions";

/// The collection of blocked addresses.
pub(crate) const BLOCKS: &str = "blocks";

#[async_trait]
impl Responses for FirestoreStore {
    async fn create_execution(&self, execution: &Execution, now: Timestamp) -> Result<bool, BackendError> {
        let name = self.client.name(EXECUTIONS, &execution.execution_id);
        let body = body_of(execution)?;
        let fields = self.execution_fields(execution, &body, now);
        let mut writes = vec![create(name.clone(), fields)];
        writes.extend(feed::writes(self, &[told(execution)?], now)?);
        let mut attempts = Attempts::new("the creation of an execution");
        loop {
            match self.write(writes.clone()).await {
                Ok(_) => return Ok(true),
                Err(Fault::Conflict(_)) if self.client.get(name.clone()).await?.is_some() => return Ok(false),
                Err(Fault::Backend(error)) if error.is_retryable() => {
                    let made = self.was_made(&name, "body", &body).await;
                    return if made { Ok(true) } else { Err(error) };
                }
                Err(fault) => attempts.again(fault).await?,
            }
        }
    }

    async fn save_execution(
        &self,
        execution: &Execution,
        effects: &[Effect],
        now: Timestamp,
    ) -> Result<Option<Execution>, BackendError> {
        let mut saved = execution.clone();
        saved.version += 1;
        let body = body_of(&saved)?;
        let mut attempts = Attempts::new("the step of an execution");
        loop {
            let step = self.read_step(&saved.execution_id, effects).await?;
            let Some(stored) = step.execution.as_ref().filter(|stored| self.is_live(stored)) else {
                return Ok(None);
            };
            if unsigned(stored.int("version")?) != execution.version {
                return Ok(None);
            }
            let mut writes = vec![changed(stored, self.execution_fields(&saved, &body, now))];
            let mut frames = Vec::new();
            for (threat, blocked) in auto_blocked(effects) {
                let Some(read) = step.threats.get(threat).filter(|read| self.is_live(read)) else {
                    continue;
                };
                let changed = threats::change(self, read, &ThreatChange::AutoBlocked(blocked))?;
                if let Some((effect, frame)) = changed.effect {
                    writes.extend(effect);
                    frames.push(frame);
                }
            }
            writes.extend(block_writes(self, effects, &step.blocks, now)?);
            frames.push(told(&saved)?);
            writes.extend(feed::writes(self, &frames, now)?);
            match self.write(writes).await {
                Ok(_) => return Ok(Some(saved)),
                Err(Fault::Backend(error)) if error.is_retryable() => {
                    let made = self.was_made(&stored.name, "body", &body).await;
                    return if made { Ok(Some(saved)) } else { Err(error) };
                }
                Err(fault) => attempts.again(fault).await?,
            }
        }
    }

    async fn execution(&self, id: &str) -> Result<Option<Execution>, BackendError> {
        let document = self.live_document(EXECUTIONS, id).await?;
        document.map(|document| document.json("body")).transpose()
    }

    async fn executions(&self, query: &ExecutionQuery) -> Result<Page<Execution>, BackendError> {
        let (list, asked) = asked(query);
        let item = |document: &Document| {
            let live = self.is_live(document).then(|| document.json("body"));
            live.transpose()
        };
        list.page(self, asked, query.limit, query.cursor.as_deref(), item).await
    }

    async fn blocklist(&self, now: Timestamp) -> Result<Vec<BlockEntry>, BackendError> {
        let query = Query::over(BLOCKS).above(EXPIRES_AT, time(now));
        let documents = self.client.query(query).await?.documents;
        let mut entries = Vec::with_capacity(documents.len());
        for document in documents {
            entries.extend(Blocks::read(&document)?.strongest(now));
        }
        entries.sort_by(|a, b| b.blocked_at.cmp(&a.blocked_at).then_with(|| a.ip.cmp(&b.ip)));
        Ok(entries)
    }
}

/// The list of a query, and what the database is asked of it: everything.
pub(crate) fn asked(query: &ExecutionQuery) -> (List, Query) {
    let list = List {
        collection: EXECUTIONS,
        time: "started_at",
        then: None,
        scanned: false,
    };
    let mut asked = list.query();
    for (field, value) in [
        ("threat_id", query.threat_id.as_deref()),
        ("playbook_id", query.playbook_id.as_deref()),
        ("status", query.status.map(|status| status.as_str())),
    ] {
        if let Some(value) = value {
            asked = asked.equal(field, text(value));
        }
    }
    (list, asked)
}

/// What a step changes, as it was read.
struct Step {
    execution: Option<Document>,
    /// By id.
    threats: HashMap<String, Document>,
    /// By address.
    blocks: HashMap<String, Document>,
}

impl FirestoreStore {
    async fn read_step(&self, execution_id: &str, effects: &[Effect]) -> Result<Step, BackendError> {
        let execution = self.client.name(EXECUTIONS, execution_id);
        let mut threats: HashMap<String, String> = HashMap::new();
        let mut blocks: HashMap<String, String> = HashMap::new();
        for effect in effects {
            match effect {
                Effect::Block(BlockEntry { ip, .. }) | Effect::Unblock { ip, .. } => {
                    blocks.insert(ip.clone(), self.client.name(BLOCKS, ip));
                }
                Effect::AutoBlocked { threat_id, .. } => {
                    threats.insert(threat_id.clone(), self.client.name(THREATS, threat_id));
                }
            }
        }
        let names = threats.values().chain(blocks.values()).chain([&execution]).cloned();
        let mut documents = self.client.get_all(names.collect()).await?;
        let mut take = |names: HashMap<String, String>| {
            let found = names
                .into_iter()
                .filter_map(|(id, name)| Some((id, documents.remove(&name)?)));
            found.collect()
        };
        Ok(Step {
            threats: take(threats),
            blocks: take(blocks),
            execution: documents.remove(&execution),
        })
    }

    fn execution_fields(&self, execution: &Execution, body: &[u8], now: Timestamp) -> Fields {
        Fields::new()
            .with("shard", shard(&execution.execution_id))
            .with("started_at", int(execution.started_at.as_micros()))
            .with("threat_id", text(execution.threat_id.as_str()))
            .with("playbook_id", text(execution.playbook_id.as_str()))
            .with("status", text(execution.status.as_str()))
            .with("version", int(signed(execution.version)))
            .with("body", bytes(body))
            .with(EXPIRES_AT, time(now.plus(self.options.history)))
    }
}

fn body_of(execution: &Execution) -> Result<Vec<u8>, BackendError> {
    let body = serde_json::to_vec(execution).map_err(unwritable)?;
    if body.len() > MAX_BODY_BYTES {
        return Err(rejected(format!("an execution of {} bytes is too large", body.len())));
    }
    Ok(body)
}

fn told(execution: &Execution) -> Result<Frame, BackendError> {
    Frame::new(FrameKind::PlaybookStatus, None, execution).map_err(unwritable)
}

/// What becomes of each threat; the last word counts.
fn auto_blocked(effects: &[Effect]) -> BTreeMap<&str, bool> {
    let marks = effects.iter().filter_map(|effect| match effect {
        Effect::AutoBlocked { threat_id, blocked } => Some((threat_id.as_str(), *blocked)),
        Effect::Block(_) | Effect::Unblock { .. } => None,
    });
    marks.collect()
}

/// The writes of the addresses that are blocked or no longer blocked.
fn block_writes(
    store: &FirestoreStore,
    effects: &[Effect],
    read: &HashMap<String, Document>,
    now: Timestamp,
) -> Result<Vec<Write>, BackendError> {
    let mut addresses: BTreeSet<&str> = BTreeSet::new();
    for effect in effects {
        match effect {
            Effect::Block(BlockEntry { ip, .. }) | Effect::Unblock { ip, .. } => drop(addresses.insert(ip)),
            Effect::AutoBlocked { .. } => {}
        }
    }
    let mut writes = Vec::new();
    for address in addresses {
        let document = read.get(address);
        let before = document.map(Blocks::read).transpose()?.unwrap_or_default();
        let mut after = before.clone();
        for effect in effects {
            match effect {
                Effect::Block(entry) if entry.ip == address => after.block(entry),
                Effect::Unblock { ip, execution_id } if ip == address => after.unblock(execution_id),
                _ => {}
            }
        }
        if after != before {
            let name = store.client.name(BLOCKS, address);
            writes.push(after.write(name, address, document.and_then(|read| read.update_time), now)?);
        }
    }
    Ok(writes)
}
