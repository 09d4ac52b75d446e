//! A wire between a function and an emulator that can be cut, held and slowed. It knows bytes alone, so that whatever protocol runs
//! over it sees what a broken network would show.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

const CHUNK: usize = 64 << 10;

/// What the wire does now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Everything passes.
    Pass,
    /// Everything passes, so much later.
    Slow(Duration),
    /// Connections break, and new ones are refused.
    Cut,
    /// Requests wait in the wire until it is restored, even when whoever sent them is gone by then.
    HoldRequests,
    /// Everything passes until so many bytes of requests have come at once; then it is `LoseAnswers`.
    LoseAfter(usize),
    /// Requests pass, and their answers are lost; the connection breaks when the wire is restored.
    LoseAnswers,
}

/// Bytes that did not pass.
#[derive(Default)]
struct Counts {
    held: AtomicUsize,
    lost: AtomicUsize,
}

/// A wire to one address. It ends when dropped.
pub(crate) struct Proxy {
    /// Where it listens, as `host:port`.
    pub(crate) address: String,
    mode: watch::Sender<Mode>,
    counts: Arc<Counts>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn to(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let target: SocketAddr = tokio::net::lookup_host(target)
            .await
            .expect("the target's name")
            .next()
            .expect("the target's address");
        let (mode, _) = watch::channel(Mode::Pass);
        let watched = mode.clone();
        let counts = Arc::new(Counts::default());
        let counted = counts.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if *watched.borrow() != Mode::Cut {
                    tokio::spawn(connection(client, target, watched.clone(), counted.clone()));
                }
            }
        });
        Self {
            address: address.to_string(),
            mode,
            counts,
            accepting,
        }
    }

    /// Breaks every connection and refuses new ones.
    pub(crate) fn cut(&self) {
        self.mode.send_replace(Mode::Cut);
    }

    /// Keeps requests, to deliver them when restored.
    pub(crate) fn hold_requests(&self) {
        self.mode.send_replace(Mode::HoldRequests);
    }

    /// How many bytes of requests it keeps.
    pub(crate) fn held(&self) -> usize {
        self.counts.held.load(Ordering::SeqCst)
    }

    /// How many bytes of answers it has lost.
    pub(crate) fn lost(&self) -> usize {
        self.counts.lost.load(Ordering::SeqCst)
    }

    /// Delivers requests and loses their answers.
    pub(crate) fn lose_answers(&self) {
        self.mode.send_replace(Mode::LoseAnswers);
    }

    /// Delivers everything up to the next requests of so many bytes at once, and loses the answers to those and to all that
    /// follow.
    pub(crate) fn lose_answers_after(&self, bytes: usize) {
        self.mode.send_replace(Mode::LoseAfter(bytes));
    }

    /// Delivers everything, later.
    pub(crate) fn slow(&self, by: Duration) {
        self.mode.send_replace(Mode::Slow(by));
    }

    /// Delivers everything, and first what was kept.
    pub(crate) fn restore(&self) {
        self.mode.send_replace(Mode::Pass);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

async fn connection(client: TcpStream, target: SocketAddr, mode: watch::Sender<Mode>, counts: Arc<Counts>) {
    let Ok(server) = TcpStream::connect(target).await else {
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    // When one direction ends, the other one does: half a connection is of use to nobody here. Requests that are held outlive
    // their sender, because `requests` returns only when they are delivered or the wire is cut.
    tokio::select! {
        () = requests(from_client, to_server, &mode, &counts.held) => {}
        () = answers(from_server, to_client, mode.subscribe(), &counts.lost) => {}
    }
}

async fn requests(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, wire: &watch::Sender<Mode>, counted: &AtomicUsize) {
    let mut mode = wire.subscribe();
    let mut held: Vec<u8> = Vec::new();
    let mut kept = 0;
    let mut chunk = vec![0; CHUNK];
    let mut open = true;
    loop {
        let now = *mode.borrow_and_update();
        match now {
            Mode::Cut => return,
            Mode::HoldRequests => {
                counted.fetch_add(held.len() - kept, Ordering::SeqCst);
                kept = held.len();
            }
            Mode::Pass | Mode::Slow(_) | Mode::LoseAfter(_) | Mode::LoseAnswers => {
                if matches!(now, Mode::LoseAfter(bytes) if held.len() >= bytes) {
                    // Before it is sent on: not even a quick answer gets through.
                    wire.send_if_modified(|mode| {
                        let still = *mode == now;
                        if still {
                            *mode = Mode::LoseAnswers;
                        }
                        still
                    });
                }
                if let Mode::Slow(by) = now {
                    tokio::time::sleep(by).await;
                }
                if to.write_all(&held).await.is_err() || !open {
                    return;
                }
                held.clear();
                counted.fetch_sub(kept, Ordering::SeqCst);
                kept = 0;
            }
        }
        tokio::select! {
            read = from.read(&mut chunk), if open => match read {
                Ok(count) if count > 0 => held.extend_from_slice(&chunk[..count]),
                _ if held.is_empty() => return,
                _ => open = false,
            },
            changed = mode.changed() => if changed.is_err() {
                return;
            },
        }
    }
}

async fn answers(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut mode: watch::Receiver<Mode>,
    counted: &AtomicUsize,
) {
    let mut chunk = vec![0; CHUNK];
    let mut lost = false;
    loop {
        let now = *mode.borrow_and_update();
        if now == Mode::Cut || (lost && now != Mode::LoseAnswers) {
            return;
        }
        tokio::select! {
            read = from.read(&mut chunk) => match read {
                Ok(count) if count > 0 => {
                    if *mode.borrow() == Mode::LoseAnswers {
                        lost = true;
                        counted.fetch_add(count, Ordering::SeqCst);
                    } else if to.write_all(&chunk[..count]).await.is_err() && *mode.borrow() != Mode::HoldRequests {
                        return;
                    }
                }
                _ => return,
            },
            changed = mode.changed() => if changed.is_err() {
                return;
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::until;

    /// A server that sends back what it gets.
    async fn echo() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = socket.into_split();
                    tokio::io::copy(&mut from, &mut to).await
                });
            }
        });
        address
    }

    async fn say(socket: &mut TcpStream, text: &[u8]) {
        socket.write_all(text).await.expect("written");
    }

    async fn hear(socket: &mut TcpStream, text: &[u8]) {
        let mut heard = vec![0; text.len()];
        socket.read_exact(&mut heard).await.expect("an answer");
        assert_eq!(heard, text);
    }

    #[tokio::test]
    async fn what_is_held_comes_when_the_wire_is_restored() {
        let wire = Proxy::to(&echo().await).await;
        let mut socket = TcpStream::connect(&wire.address).await.expect("connected");
        say(&mut socket, b"one").await;
        hear(&mut socket, b"one").await;
        wire.hold_requests();
        say(&mut socket, b"two").await;
        until("it is held", async || (wire.held() == 3).then_some(())).await;
        wire.restore();
        hear(&mut socket, b"two").await;
        assert_eq!(wire.held(), 0);
    }

    #[tokio::test]
    async fn a_cut_breaks_what_is_open_and_refuses_what_is_new_until_it_is_restored() {
        let wire = Proxy::to(&echo().await).await;
        let mut socket = TcpStream::connect(&wire.address).await.expect("connected");
        say(&mut socket, b"one").await;
        hear(&mut socket, b"one").await;
        wire.cut();
        assert!(!matches!(socket.read(&mut [0; 8]).await, Ok(1..)), "it is cut");
        let mut refused = TcpStream::connect(&wire.address).await.expect("the listener is there");
        assert!(!matches!(refused.read(&mut [0; 8]).await, Ok(1..)), "it is refused");
        wire.restore();
        let mut socket = TcpStream::connect(&wire.address).await.expect("connected");
        say(&mut socket, b"two").await;
        hear(&mut socket, b"two").await;
    }

    #[tokio::test]
    async fn lost_answers_never_come_and_the_connection_ends_with_the_loss() {
        let wire = Proxy::to(&echo().await).await;
        let mut socket = TcpStream::connect(&wire.address).await.expect("connected");
        say(&mut socket, b"one").await;
        hear(&mut socket, b"one").await;
        wire.lose_answers();
        say(&mut socket, b"two").await;
        until("an answer is lost", async || (wire.lost() == 3).then_some(())).await;
        wire.restore();
        assert!(
            !matches!(socket.read(&mut [0; 8]).await, Ok(1..)),
            "nothing comes after a gap"
        );
    }
}
