//! The store itself: what its parts share.

use async_trait::async_trait;
use threatstream_backend::{BackendError, Store};
use tokio::sync::{OnceCell, watch};

use crate::alerts::KnownAlerts;
use crate::analytics::RecentMinutes;
use crate::client::Client;
use crate::codec::{Fields, ReadFields, put, text};
use crate::error::unavailable;
use crate::leases::Held;
use crate::meter::Usage;
use crate::options::FirestoreOptions;

/// The store on Firestore.
///
/// It keeps no copy of the data; what it remembers (when a partition's checkpoint or an alert was last written) only saves
/// reads, and is checked by the database with every commit.
pub struct FirestoreStore {
    pub(crate) client: Client,
    pub(crate) options: FirestoreOptions,
    pub(crate) known_alerts: KnownAlerts,
    pub(crate) recent_minutes: RecentMinutes,
    pub(crate) held: Held,
    pub(crate) epoch: OnceCell<String>,
    pub(crate) ticks: watch::Sender<u64>,
}

impl FirestoreStore {
    /// A store that connects when it is first used: nothing is reached, and no TLS client made, before that.
    #[must_use]
    pub fn open(options: FirestoreOptions) -> Self {
        Self {
            client: Client::new(&options),
            options,
            known_alerts: KnownAlerts::default(),
            recent_minutes: RecentMinutes::default(),
            held: Held::default(),
            epoch: OnceCell::new(),
            ticks: watch::Sender::new(0),
        }
    }

    /// What this process has used so far.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.client.meter().usage()
    }

    /// How many records of the feed its readers were given after a later one, because a snapshot had left them out. Firestore does
    /// not do that; its emulator does, now and then, with commits made at once.
    #[must_use]
    pub fn late_records(&self) -> u64 {
        self.client.meter().late()
    }

    /// Something was committed.
    pub(crate) fn tick(&self) {
        self.ticks.send_modify(|count| *count += 1);
    }
}

#[async_trait]
impl Store for FirestoreStore {
    async fn check(&self) -> Result<(), BackendError> {
        let name = self.client.name("settings", "check");
        let written = threatstream_domain::hex(&rand::random::<[u8; 8]>());
        let fields = Fields::new().with("nonce", text(written));
        self.client.commit(vec![put(name.clone(), fields)]).await?;
        // Others check at the same time: any value that reads is a good sign.
        let read = self.client.get(name).await?;
        let read = read.ok_or_else(|| unavailable("a document just written is not there"))?;
        read.text("nonce").map(|_| ())
    }

    fn ticks(&self) -> watch::Receiver<u64> {
        self.ticks.subscribe()
    }
}
