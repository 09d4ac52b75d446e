//! `GET /api/playbooks`: the playbooks, and the files that are not used and why.

use std::sync::Arc;

use axum::extract::State;
use serde_json::{Value, json};
use threatstream_runtime::Json;

use crate::execution::Engine;
use crate::playbook::Playbook;

pub(super) async fn list(State(engine): State<Arc<Engine>>) -> Json<Value> {
    let playbooks: Vec<&Playbook> = engine.library.playbooks().collect();
    Json(json!({
        "count": playbooks.len(),
        "playbooks": playbooks,
        "set_aside": engine.library.set_aside(),
    }))
}
