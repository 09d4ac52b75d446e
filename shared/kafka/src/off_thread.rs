//! librdkafka blocks: where that happens, no thread of the runtime waits.

use std::ops::Deref;
use std::thread;

use rdkafka::config::FromClientConfigAndContext;
use rdkafka::{ClientConfig, ClientContext};
use threatstream_backend::BackendError;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::fault::{from_error, unavailable};

/// Runs what blocks on a thread of its own. A runtime that ends does not wait for it, unlike for its own blocking threads: a
/// broker that does not answer must not keep a process from ending in time.
pub(crate) async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, BackendError> {
    let (answer, answered) = oneshot::channel();
    thread::Builder::new()
        .name("kafka-call".to_owned())
        .spawn(move || answer.send(work()).ok())
        .map_err(|error| unavailable(format!("no thread to call from: {error}")))?;
    answered
        .await
        .map_err(|_| unavailable("the call ended without an answer"))
}

/// Makes a client. The first in a process loads OpenSSL, told not to clean up when the process exits: the threads of a client that
/// is still closing then would find its memory gone.
pub(crate) async fn make_client<C, T>(config: ClientConfig, context: C) -> Result<T, BackendError>
where
    C: ClientContext + 'static,
    T: FromClientConfigAndContext<C> + Send + 'static,
{
    let runtime = Handle::current();
    let made = off_thread(move || {
        // A consumer starts a task that wakes it.
        let _runtime = runtime.enter();
        openssl_sys::init();
        config.create_with_context(context)
    });
    made.await?
        .map_err(|error| from_error(&error, "connecting to", "kafka"))
}

/// A client, which is closed on a thread of its own: closing waits for the client's threads.
pub(crate) struct Closing<T: Send + 'static>(Option<T>);

impl<T: Send + 'static> Closing<T> {
    pub(crate) fn new(client: T) -> Self {
        Self(Some(client))
    }
}

impl<T: Send + 'static> Deref for Closing<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect("it is there until it is dropped")
    }
}

impl<T: Send + 'static> Drop for Closing<T> {
    fn drop(&mut self) {
        let client = self.0.take();
        // Without a thread the closure, and the client with it, is dropped here.
        thread::Builder::new()
            .name("kafka-close".to_owned())
            .spawn(move || drop(client))
            .ok();
    }
}
