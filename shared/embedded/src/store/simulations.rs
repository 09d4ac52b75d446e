//! The state of the simulation, and settings.

use async_trait::async_trait;
use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, params};
use threatstream_backend::{BackendError, Settings, Simulations};
use threatstream_domain::{Frame, FrameKind, SimulationState, Timestamp};

use super::feed;
use crate::embedded::Embedded;
use crate::fault::Fault;
use crate::writer::{Promise, Session};

#[async_trait]
impl Simulations for Embedded {
    async fn simulation(&self) -> Result<Option<SimulationState>, BackendError> {
        self.inner.readers.read(read).await
    }

    async fn save_simulation(
        &self,
        state: &SimulationState,
        expected_id: Option<&str>,
        tell: bool,
        now: Timestamp,
    ) -> Result<bool, BackendError> {
        let (state, expected) = (state.clone(), expected_id.map(str::to_owned));
        self.inner
            .writer
            .run(Promise::Durable, move |session| {
                save(session, &state, expected.as_deref(), tell, now)
            })
            .await
            .map_err(|fault: Fault| fault.into())
    }
}

fn read(db: &Connection) -> Result<Option<SimulationState>, Fault> {
    let text: Option<String> = db
        .prepare_cached("SELECT value FROM meta WHERE name = 'simulation'")?
        .query_row([], |row| row.get(0))
        .optional()?;
    Ok(text.map(|text| serde_json::from_str(&text)).transpose()?)
}

fn save(
    session: &mut Session<'_>,
    state: &SimulationState,
    expected: Option<&str>,
    tell: bool,
    now: Timestamp,
) -> Result<bool, Fault> {
    if expected.is_some() {
        let stored = read(session.db)?.and_then(|state| state.simulation_id);
        if stored.as_deref() != expected {
            return Ok(false);
        }
    }
    session
        .db
        .prepare_cached("INSERT INTO meta VALUES ('simulation', ?1) ON CONFLICT (name) DO UPDATE SET value = ?1")?
        .execute(params![serde_json::to_string(state)?])?;
    session.touched.store = true;
    if tell {
        let frame = Frame::new(FrameKind::SimulationUpdate, None, state)?;
        feed::tell(session, &feed::pack(&[frame])?, now)?;
    }
    Ok(true)
}

#[async_trait]
impl Settings for Embedded {
    async fn keep(&self, name: &str, fresh: Bytes) -> Result<Bytes, BackendError> {
        let name = name.to_owned();
        self.inner
            .writer
            .run(Promise::Durable, move |session| {
                let db = session.db;
                db.prepare_cached("INSERT INTO setting (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO NOTHING")?
                    .execute(params![name, &fresh[..]])?;
                let kept: Vec<u8> = db
                    .prepare_cached("SELECT value FROM setting WHERE name = ?1")?
                    .query_row([&name], |row| row.get(0))?;
                Ok(Bytes::from(kept))
            })
            .await
            .map_err(|fault: Fault| fault.into())
    }
}
