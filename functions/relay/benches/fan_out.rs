//! How many frames a second the relay delivers, and how late: the server and its clients share this machine.
//!
//! `cargo bench -p threatstream-relay --bench fan_out -- [CLIENTS] [THREATS_PER_SECOND] [SECONDS]` (1000, 100 and 10)

#[path = "../examples/demo/source.rs"]
mod source;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use threatstream_domain::Clock;
use threatstream_runtime::CancellationToken;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const HANDSHAKE: &str = "GET /ws/live HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// Reads until the other end closes, and returns how late each counted threat was, in microseconds.
async fn client(port: u16, open: Arc<AtomicUsize>, counting: Arc<AtomicBool>) -> std::io::Result<Vec<u32>> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(HANDSHAKE.as_bytes()).await?;
    let clock = Clock::system();
    let (mut buffer, mut late, mut is_open) = (Vec::with_capacity(16 * 1024), Vec::new(), false);
    loop {
        if stream.read_buf(&mut buffer).await? == 0 {
            return Ok(late);
        }
        if !is_open {
            let Some(end) = buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
                continue;
            };
            buffer.drain(..end + 4);
            is_open = true;
            open.fetch_add(1, Ordering::Relaxed);
        }
        let now = clock.now().as_micros();
        let mut at = 0;
        while let Some((head, length)) = frame(&buffer[at..]) {
            if counting.load(Ordering::Relaxed)
                && let Some(due) = due(&buffer[at + head..at + head + length])
            {
                late.push(u32::try_from((now - due).max(0)).unwrap_or(u32::MAX));
            }
            at += head + length;
        }
        buffer.drain(..at);
    }
}

/// Lengths of the head and of the payload of the frame that a buffer begins with, if all of it is there.
fn frame(bytes: &[u8]) -> Option<(usize, usize)> {
    let (head, length) = match *bytes.get(1)? {
        126 => (4, usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?))),
        127 => (
            10,
            usize::try_from(u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)).ok()?,
        ),
        length => (2, usize::from(length)),
    };
    (bytes.len() >= head + length).then_some((head, length))
}

fn due(payload: &[u8]) -> Option<i64> {
    // The field follows from the order of the frame's data; looking at its beginning and end alone keeps the clients cheap.
    let start = payload.windows(5).rposition(|bytes| bytes == b"\"ts\":")? + 5;
    let digits = payload[start..].iter().take_while(|byte| byte.is_ascii_digit());
    Some(digits.fold(0, |number, digit| number * 10 + i64::from(digit - b'0')))
}

fn main() -> anyhow::Result<()> {
    let numbers: Vec<u32> = std::env::args().skip(1).filter_map(|text| text.parse().ok()).collect();
    let argument = |at: usize, default: u32| numbers.get(at).copied().unwrap_or(default);
    let (clients, rate, seconds) = (argument(0, 1000), argument(1, 100), argument(2, 10));

    let server = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let readers = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    // A free port; nobody else takes it in between.
    let port = server
        .block_on(async { TcpListener::bind("127.0.0.1:0").await })?
        .local_addr()?
        .port();
    let shutdown = CancellationToken::new();
    let serving = server.spawn(source::serve(port, rate, false, shutdown.clone()));
    let (open, counting) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let mut late = readers.block_on(async {
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let tasks: Vec<_> = (0..clients)
            .map(|_| tokio::spawn(client(port, Arc::clone(&open), Arc::clone(&counting))))
            .collect();
        while open.load(Ordering::Relaxed) < clients as usize {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // Until every client has its state.
        tokio::time::sleep(Duration::from_secs(3)).await;
        counting.store(true, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_secs(seconds.into())).await;
        counting.store(false, Ordering::Relaxed);
        shutdown.cancel();
        let mut late = Vec::new();
        for task in tasks {
            late.extend(task.await??);
        }
        anyhow::Ok(late)
    })?;
    server.block_on(serving)??;
    late.sort_unstable();
    let at = |part: usize| {
        late.get(late.len() * part / 1000)
            .map_or(f64::NAN, |micros| f64::from(*micros) / 1000.0)
    };
    println!(
        "{clients} clients, {rate} threats/s: {} deliveries/s of {}, p50 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms",
        late.len() / seconds as usize,
        clients * rate,
        at(500),
        at(990),
        at(999),
    );
    Ok(())
}
