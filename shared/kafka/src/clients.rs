//! The readers' clients, kept for the next reader: a new one costs a TLS context, and a connection to every broker.

use std::ops::Deref;
use std::sync::Arc;

use futures_util::{FutureExt, StreamExt};
use parking_lot::Mutex;
use rdkafka::consumer::{Consumer, StreamConsumer};
use threatstream_backend::BackendError;

use crate::config::KafkaConfig;
use crate::context::{Context, Trouble};
use crate::off_thread::{Closing, make_client};

/// As many as a process reads at a time: raw logs and matches.
const KEPT: usize = 2;

type Client = Closing<StreamConsumer<Context>>;

/// Clients that nobody reads with.
pub(crate) struct Clients {
    config: KafkaConfig,
    trouble: Arc<Trouble>,
    idle: Mutex<Vec<Client>>,
}

impl Clients {
    pub(crate) fn new(config: KafkaConfig, trouble: Arc<Trouble>) -> Self {
        Self {
            config,
            trouble,
            idle: Mutex::default(),
        }
    }

    /// A client without an assignment.
    pub(crate) async fn lend(self: &Arc<Self>) -> Result<Lent, BackendError> {
        let idle = self.idle.lock().pop();
        let client = match idle {
            Some(client) => {
                // What it heard meanwhile is of no interest to its next reader. Records of its last one are not among this:
                // librdkafka drops what was fetched before an assignment ended.
                let mut stream = client.stream();
                while stream.next().now_or_never().is_some() {}
                drop(stream);
                client
            }
            None => {
                let context = Context::new("reader", Arc::clone(&self.trouble));
                Closing::new(make_client(self.config.reader(), context).await?)
            }
        };
        Ok(Lent {
            client: Some(client),
            home: Arc::clone(self),
        })
    }
}

/// A client on loan.
pub(crate) struct Lent {
    client: Option<Client>,
    home: Arc<Clients>,
}

impl Deref for Lent {
    type Target = StreamConsumer<Context>;

    fn deref(&self) -> &Self::Target {
        self.client.as_ref().expect("it is there until it is given back")
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let Some(client) = self.client.take() else {
            return;
        };
        if client.client().fatal_error().is_some() || client.unassign().is_err() {
            return;
        }
        let mut idle = self.home.idle.lock();
        if idle.len() < KEPT {
            idle.push(client);
        }
    }
}
