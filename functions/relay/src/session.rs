//! One client: what it is owed, and what it says.
//!
//! A session is one task that never does two things at once: while a write waits for the client, nothing is read and nothing is queued.
//! So a client that stops reading holds on to the few shared segments of that one write, until the write's time is up.

mod delivery;
mod hearing;

use std::convert::Infallible;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tracing::debug;

use crate::allowance::Allowance;
use crate::catch_up::CatchUp;
use crate::filter::Subscription;
use crate::relay::{Relay, Seat};
use crate::request::Resume;
use crate::ring::Position;
use crate::seq::Told;
use crate::wire::{self, Chunks, CloseCode, Decoder};

/// How long a client may take to answer a close.
const FAREWELL: Duration = Duration::from_secs(1);
const READ_BYTES: usize = 1024;

/// What a client is to be given next.
enum Mode {
    /// Nothing before then: a new client is given time to say what it wants, a store that failed is given time to recover.
    Wait(Instant),
    /// The whole state.
    State,
    /// Word that it has to start anew, and the whole state.
    Resync(&'static str),
    /// What it missed, wherever that is.
    Resume(Resume),
    /// What it missed, from the feed.
    CatchUp(Box<CatchUp>),
    /// Whatever comes.
    Live(Position),
}

/// Why a session is over.
#[derive(Debug, PartialEq, Eq)]
enum Ending {
    /// The connection is.
    Gone,
    /// The client does not read.
    Stuck,
    /// The client does not answer.
    Silent,
    /// The client said so.
    Closed,
    /// The relay says so.
    Close(CloseCode, &'static str),
}

/// How often a client was overtaken of late.
struct Overtaken {
    times: u32,
    since: Instant,
}

/// One client.
pub(crate) struct Session<Io> {
    seat: Seat,
    io: Io,
    decoder: Decoder,
    inbox: BytesMut,
    subscription: Subscription,
    allowance: Allowance,
    heard: Instant,
    mode: Mode,
    told: Option<Told>,
    overtaken: Overtaken,
    /// Whether the client knows that the state cannot be read now.
    knows_outage: bool,
    moved: watch::Receiver<u64>,
}

impl<Io: AsyncRead + AsyncWrite + Unpin> Session<Io> {
    pub(crate) fn new(seat: Seat, io: Io) -> Self {
        let now = Instant::now();
        let relay = seat.relay();
        let (moved, silence) = (relay.ring.moved(), relay.config.limits.silence);
        Self {
            seat,
            io,
            decoder: Decoder::default(),
            inbox: BytesMut::new(),
            subscription: Subscription::new(),
            allowance: Allowance::new(now),
            heard: now,
            mode: Mode::Wait(now + silence),
            told: None,
            overtaken: Overtaken { times: 0, since: now },
            knows_outage: false,
            moved,
        }
    }

    fn relay(&self) -> &Relay {
        self.seat.relay()
    }

    /// Serves the client until either side is done.
    pub(crate) async fn run(mut self) {
        let Err(ending) = self.serve().await;
        debug!(?ending, "a socket is closed");
        match ending {
            Ending::Gone => {}
            // A frame may be half written: nothing can follow it.
            Ending::Stuck | Ending::Silent => {
                self.relay().meters.dropped.inc();
            }
            Ending::Closed => self.farewell(CloseCode::Normal, "").await,
            Ending::Close(code, reason) => {
                if code == CloseCode::TryAgainLater {
                    self.relay().meters.dropped.inc();
                }
                self.farewell(code, reason).await;
            }
        }
    }

    async fn serve(&mut self) -> Result<Infallible, Ending> {
        loop {
            // Before looking: what comes while we look wakes us.
            self.moved.borrow_and_update();
            if self.relay().ring.is_closing() {
                return Err(Ending::Close(CloseCode::GoingAway, "the relay is stopping"));
            }
            let idle = self.deliver().await?;
            if self.inbox.is_empty() && self.inbox.capacity() > 8 * READ_BYTES {
                self.inbox = BytesMut::new();
            }
            self.inbox.reserve(READ_BYTES);
            let waiting = match self.mode {
                Mode::Wait(until) => Some(until),
                _ => None,
            };
            tokio::select! {
                biased;
                read = self.io.read_buf(&mut self.inbox) => match read {
                    Ok(0) | Err(_) => return Err(Ending::Gone),
                    Ok(_) => self.hear().await?,
                },
                changed = self.moved.changed(), if idle => changed.map_err(|_| Ending::Gone)?,
                () = tokio::time::sleep_until(waiting.unwrap_or_else(Instant::now).into()), if waiting.is_some() => {}
                () = std::future::ready(()), if !idle => {}
            }
        }
    }

    async fn write(&mut self, mut chunks: Chunks) -> Result<(), Ending> {
        let timeout = self.relay().config.limits.write_timeout;
        let writing = async {
            self.io.write_all_buf(&mut chunks).await?;
            self.io.flush().await
        };
        match tokio::time::timeout(timeout, writing).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Ending::Gone),
            Err(_) => Err(Ending::Stuck),
        }
    }

    async fn say(&mut self, json: &[u8]) -> Result<(), Ending> {
        let mut out = Vec::new();
        wire::text(&mut out, json);
        self.write(out.into()).await
    }

    /// Closes in order: the close frame, then whatever the client still had to say, because a socket closed with unread bytes would
    /// take the close frame down with it.
    async fn farewell(mut self, code: CloseCode, reason: &str) {
        let parting = async {
            self.io.write_all(&wire::close(code, reason)).await?;
            self.io.shutdown().await?;
            let mut unread = [0; READ_BYTES];
            while self.io.read(&mut unread).await? > 0 {}
            Ok::<(), std::io::Error>(())
        };
        if !matches!(tokio::time::timeout(FAREWELL, parting).await, Ok(Ok(()))) {
            debug!("a socket was closed without an answer");
        }
    }
}
