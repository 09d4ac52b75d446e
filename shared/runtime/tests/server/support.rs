//! A real server on a loopback port, and a client for it.
use std::net::SocketAddr;

use bytes::Bytes;
use http::header::HOST;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Body;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use threatstream_runtime::{CancellationToken, Function, ServeConfig, bind, serve_on};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// A running server; stopped when it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) shutdown: CancellationToken,
    pub(crate) served: JoinHandle<anyhow::Result<()>>,
}

impl Server {
    pub(crate) async fn start(function: Function, mut config: ServeConfig) -> Self {
        config.port = 0;
        let listener = bind(&config).unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let served = tokio::spawn(serve_on(listener, function, config, shutdown.clone()));
        Self {
            address,
            shutdown,
            served,
        }
    }

    pub(crate) async fn connect<B>(&self) -> Client<B>
    where
        B: Body<Data = Bytes, Error: std::error::Error + Send + Sync> + Send + 'static,
    {
        Client::connect(self.address).await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path)).await
    }

    pub(crate) async fn send(&self, request: http::request::Builder) -> Answer {
        self.post(request, Bytes::new()).await
    }

    pub(crate) async fn post(&self, request: http::request::Builder, body: impl Into<Bytes>) -> Answer {
        self.connect()
            .await
            .send(request.body(Full::new(body.into())).unwrap())
            .await
            .unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

pub(crate) struct Client<B> {
    sender: SendRequest<B>,
    address: SocketAddr,
}

impl<B> Client<B>
where
    B: Body<Data = Bytes, Error: std::error::Error + Send + Sync> + Send + 'static,
{
    pub(crate) async fn connect(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Ok(Self { sender, address })
    }

    pub(crate) async fn send(&mut self, mut request: Request<B>) -> Result<Answer, hyper::Error> {
        let host = self.address.to_string().parse().unwrap();
        request.headers_mut().entry(HOST).or_insert(host);
        let (head, body) = self.sender.send_request(request).await?.into_parts();
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body: body.collect().await?.to_bytes(),
        })
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// Checks that it is a problem of that status, and returns its document.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16) -> serde_json::Value {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        assert!(!self.header("x-request-id").is_empty());
        let json = self.json();
        assert_eq!(json["status"], status);
        assert!(
            json["type"].is_string() && json["title"].is_string() && json["detail"].is_string(),
            "{json}"
        );
        json
    }
}
