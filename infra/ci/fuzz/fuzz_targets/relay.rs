//! Any bytes from a client of the relay's socket, behind a proper handshake: what it answers are frames that a client can
//! read, each of them JSON with a type, and it lets the connection go when the client does.
#![no_main]

use std::io::Cursor;
use std::sync::LazyLock;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use tempfile::TempDir;
use threatstream_domain::{Clock, Timestamp};
use threatstream_embedded::Options;
use threatstream_relay::{Config, Dependencies, build};
use threatstream_runtime::{ServeConfig, app};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::{Builder, Runtime};
use tungstenite::protocol::{Role, WebSocket};
use tungstenite::{Error, Message};

const HANDSHAKE: &[u8] = b"GET /ws/live HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const TEXT: u8 = 0x81;
const MASKED: u8 = 0x80;

struct Relay {
    runtime: Runtime,
    router: Router,
    _folder: TempDir,
}

static RELAY: LazyLock<Relay> = LazyLock::new(|| {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let folder = TempDir::new().expect("a folder for the store");
    let router = runtime.block_on(async {
        let backends = threatstream_embedded::open(Options::new(folder.path())).expect("an empty folder can be opened");
        let dependencies = Dependencies {
            backends: backends.backends(),
            clock: Clock::fixed(Timestamp::from_secs(1_795_338_000)),
        };
        let serve = ServeConfig {
            rate_limit_requests: 0,
            ..ServeConfig::local()
        };
        app(build(Config::default(), dependencies), &serve)
    });
    Relay {
        runtime,
        router,
        _folder: folder,
    }
});

// The first byte says whether the rest are frames, bit by bit, or lines that are each put into a proper text frame.
fuzz_target!(|data: &[u8]| {
    let Some((how, rest)) = data.split_first() else { return };
    let sent = if how & 1 == 0 {
        rest.to_vec()
    } else {
        rest.split(|byte| *byte == b'\n').flat_map(text_frame).collect()
    };
    let answer = RELAY.runtime.block_on(converse(&sent));
    let frames = answer
        .strip_prefix(b"HTTP/1.1 101 ")
        .and_then(behind_head)
        .expect("the socket opens");
    read(frames);
});

/// A text frame of a client, masked with zeros.
fn text_frame(text: &[u8]) -> Vec<u8> {
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    let [high, low] = length.to_be_bytes();
    let mut frame = match u8::try_from(length) {
        Ok(short @ ..126) => vec![TEXT, MASKED | short],
        _ => vec![TEXT, MASKED | 126, high, low],
    };
    frame.extend([0; 4]);
    frame.extend(&text[..usize::from(length)]);
    frame
}

/// Says all of it and hangs up; everything that came back.
async fn converse(sent: &[u8]) -> Vec<u8> {
    let (mut client, server) = tokio::io::duplex(1 << 20);
    let service = TowerToHyperService::new(RELAY.router.clone());
    let serving = http1::Builder::new()
        .serve_connection(TokioIo::new(server), service)
        .with_upgrades();
    let talking = async {
        let mut answer = Vec::new();
        client.write_all(HANDSHAKE).await.expect("room for the handshake");
        // A client that hangs up before it is answered is not owed an answer.
        answer.push(client.read_u8().await.expect("an answer to the handshake"));
        client
            .write_all(sent)
            .await
            .expect("a relay that reads, or room for it");
        client.shutdown().await.expect("an end");
        client.read_to_end(&mut answer).await.expect("the relay's end");
        answer
    };
    let (_, answer) = tokio::join!(serving, talking);
    answer
}

/// What follows the head of the response.
fn behind_head(response: &[u8]) -> Option<&[u8]> {
    let end = response.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    Some(&response[end + 4..])
}

fn read(frames: &[u8]) {
    let mut socket = WebSocket::from_raw_socket(Cursor::new(frames.to_vec()), Role::Client, None);
    loop {
        match socket.read() {
            Ok(Message::Text(text)) => {
                let frame: Value = serde_json::from_str(&text).expect("a frame is JSON");
                assert!(frame["type"].is_string(), "a frame has a type: {frame}");
            }
            Ok(Message::Ping(_) | Message::Pong(_) | Message::Close(_)) => {}
            Ok(other) => panic!("the relay sends {other:?}"),
            // The end of what it said.
            Err(Error::Io(_) | Error::ConnectionClosed | Error::AlreadyClosed) => return,
            Err(Error::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake)) => return,
            Err(error) => panic!("a client cannot read what the relay sends: {error}"),
        }
    }
}
