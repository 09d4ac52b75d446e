//! A way to the emulator that can be cut, or left open for requests alone.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    /// Everything passes.
    Open,
    /// Connections are closed, new ones at once.
    Cut,
    /// Requests pass, answers are lost.
    Deaf,
}

/// A TCP proxy.
pub(crate) struct Proxy {
    pub(crate) host: String,
    way: watch::Sender<Way>,
}

impl Proxy {
    /// An open way to this host.
    pub(crate) async fn to(host: &str) -> Self {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let way = watch::Sender::new(Way::Open);
        let proxy = Self {
            host: listener.local_addr().unwrap().to_string(),
            way: way.clone(),
        };
        let host = host.to_owned();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, host.clone(), way.subscribe()));
            }
        });
        proxy
    }

    /// Lets everything pass; connections that lost something are closed.
    pub(crate) fn open(&self) {
        self.way.send_replace(Way::Open);
    }

    /// Lets nothing pass.
    pub(crate) fn cut(&self) {
        self.way.send_replace(Way::Cut);
    }

    /// Loses the answers.
    pub(crate) fn deafen(&self) {
        self.way.send_replace(Way::Deaf);
    }
}

async fn pass(client: TcpStream, host: String, mut way: watch::Receiver<Way>) {
    if *way.borrow_and_update() == Way::Cut {
        return;
    }
    let Ok(server) = TcpStream::connect(host).await else {
        return;
    };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let requests = async { tokio::io::copy(&mut from_client, &mut to_server).await.map(drop) };
    let mut now = way.clone();
    let answers = async {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let read = from_server.read(&mut buffer).await?;
            if read == 0 {
                return std::io::Result::Ok(());
            }
            if *now.borrow_and_update() != Way::Deaf {
                to_client.write_all(&buffer[..read]).await?;
            }
        }
    };
    // Cut, or open again after it was deaf: what is left of the connection is of no use.
    let ended = async {
        let mut deaf = *way.borrow() == Way::Deaf;
        while way.changed().await.is_ok() {
            match *way.borrow_and_update() {
                Way::Cut => return,
                Way::Open if deaf => return,
                Way::Open => {}
                Way::Deaf => deaf = true,
            }
        }
    };
    tokio::select! {
        _ = requests => {}
        _ = answers => {}
        () = ended => {}
    }
}
