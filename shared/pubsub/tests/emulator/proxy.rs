//! A connection that can be cut: a TCP proxy before the emulator, which keeps what it holds in memory and must live.

use std::net::SocketAddr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What the way does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// It is open.
    Open,
    /// Connections are closed, and new ones at once.
    Cut,
    /// Nothing moves any more, and nobody says so.
    Silent,
}

pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    way: watch::Sender<Way>,
}

impl Proxy {
    pub(crate) async fn before(upstream: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (way, watched) = watch::channel(Way::Open);
        let upstream = upstream.to_owned();
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                tokio::spawn(carry(client, upstream.clone(), watched.clone()));
            }
        });
        Self { address, way }
    }

    pub(crate) fn set(&self, way: Way) {
        self.way.send_replace(way);
    }
}

async fn carry(mut client: TcpStream, upstream: String, mut way: watch::Receiver<Way>) {
    let carried = async {
        let mut server = TcpStream::connect(upstream).await?;
        copy_bidirectional(&mut client, &mut server).await
    };
    tokio::select! {
        biased;
        changed = way.wait_for(|way| *way != Way::Open) => {
            if changed.is_err() {
                return;
            }
        }
        _ = carried => return,
    }
    // What was on its way when the way closed never arrives.
    let _ = way.wait_for(|way| *way != Way::Silent).await;
}
