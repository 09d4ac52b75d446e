//! Sending a commit until it is known whether it was made.

use std::time::Duration;

use threatstream_backend::{Backends, Commit, CommitError};

/// How often an unavailable store is asked before the batch is given up (and read again later).
const TRIES: u32 = 6;

/// Commits. A store that is unavailable may have applied the commit, so the same commit is sent again: its id tells.
pub(crate) async fn commit(backends: &Backends, commit: Commit) -> Result<(), CommitError> {
    let mut attempt = 1;
    loop {
        match backends.store.commit(commit.clone()).await {
            Err(CommitError::Backend(error)) if error.is_retryable() && attempt < TRIES => {
                tracing::warn!(%error, attempt, batch_id = %commit.batch_id, "commit not confirmed, sending it again");
                tokio::time::sleep(Duration::from_millis(50 << attempt)).await;
                attempt += 1;
            }
            result => return result,
        }
    }
}
