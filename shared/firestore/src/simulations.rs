//! The state of the simulation, and settings.

use async_trait::async_trait;
use bytes::Bytes;
use threatstream_backend::{BackendError, Settings, Simulations};
use threatstream_domain::{Frame, FrameKind, SimulationState, Timestamp};

use crate::codec::{Fields, ReadFields, bytes, create, only_if_at, put};
use crate::documents::{MAX_BODY_BYTES, unwritable};
use crate::error::{Fault, rejected};
use crate::feed;
use crate::retry::Attempts;
use crate::store::FirestoreStore;

/// The one document of the simulation that runs, or ran last.
const CURRENT: (&str, &str) = ("simulations", "current");

/// The collection of settings, by name.
const SETTINGS: &str = "settings";

#[async_trait]
impl Simulations for FirestoreStore {
    async fn simulation(&self) -> Result<Option<SimulationState>, BackendError> {
        let (collection, id) = CURRENT;
        let document = self.client.get(self.client.name(collection, id)).await?;
        document.map(|document| document.json("body")).transpose()
    }

    async fn save_simulation(
        &self,
        state: &SimulationState,
        expected_id: Option<&str>,
        tell: bool,
        now: Timestamp,
    ) -> Result<bool, BackendError> {
        let (collection, id) = CURRENT;
        let name = self.client.name(collection, id);
        let fields = Fields::new().with("body", bytes(serde_json::to_vec(state).map_err(unwritable)?));
        let frame = tell.then(|| Frame::new(FrameKind::SimulationUpdate, None, state));
        let frames: Vec<Frame> = frame.transpose().map_err(unwritable)?.into_iter().collect();
        let mut attempts = Attempts::new("the simulation's state");
        loop {
            let mut write = put(name.clone(), fields.clone());
            if let Some(expected) = expected_id {
                let Some(stored) = self.client.get(name.clone()).await? else {
                    return Ok(false);
                };
                let running: SimulationState = stored.json("body")?;
                if running.simulation_id.as_deref() != Some(expected) {
                    return Ok(false);
                }
                write = only_if_at(write, stored.update_time);
            }
            let mut writes = vec![write];
            if !frames.is_empty() {
                writes.extend(feed::writes(self, &frames, now)?);
            }
            match self.write(writes).await {
                Ok(_) => return Ok(true),
                Err(fault) => attempts.again(fault).await?,
            }
        }
    }
}

#[async_trait]
impl Settings for FirestoreStore {
    async fn keep(&self, name: &str, fresh: Bytes) -> Result<Bytes, BackendError> {
        if fresh.len() > MAX_BODY_BYTES {
            return Err(rejected(format!("a setting of {} bytes is too large", fresh.len())));
        }
        let name = self.client.name(SETTINGS, name);
        let mut attempts = Attempts::new("a setting");
        loop {
            // Most often it is there: reading first saves a write that would be refused.
            if let Some(kept) = self.client.get(name.clone()).await? {
                return kept.bytes("value").map(|value| Bytes::from(value.to_vec()));
            }
            let fields = Fields::new().with("value", bytes(fresh.to_vec()));
            match self.client.commit(vec![create(name.clone(), fields)]).await {
                Ok(_) => return Ok(fresh),
                // Somebody was first: what is kept is read at the next turn.
                Err(fault @ Fault::Conflict(_)) => attempts.again(fault).await?,
                Err(Fault::Backend(error)) => return Err(error),
            }
        }
    }
}
