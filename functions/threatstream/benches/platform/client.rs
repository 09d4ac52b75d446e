//! The least HTTP client that can be: one connection, kept alive, one request at a time. The generator shares the cores with
//! what it measures.

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) struct Client {
    socket: TcpStream,
    host: String,
    answer: Vec<u8>,
}

impl Client {
    pub(crate) async fn connect(address: &str) -> Self {
        let socket = TcpStream::connect(address).await.expect("it listens");
        socket.set_nodelay(true).expect("a socket option");
        Self {
            socket,
            host: address.to_owned(),
            answer: Vec::new(),
        }
    }

    /// Posts; only 202 is an answer.
    pub(crate) async fn post(&mut self, path: &str, kind: &str, body: &str) {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n",
            self.host,
            body.len()
        );
        let mut request = head.into_bytes();
        request.extend_from_slice(body.as_bytes());
        self.socket.write_all(&request).await.expect("it reads");
        self.read().await;
        assert!(
            self.answer.starts_with(b"HTTP/1.1 202"),
            "{}",
            String::from_utf8_lossy(&self.answer)
        );
    }

    pub(crate) async fn get(&mut self, path: &str) -> Value {
        let request = format!("GET {path} HTTP/1.1\r\nhost: {}\r\n\r\n", self.host);
        self.socket.write_all(request.as_bytes()).await.expect("it reads");
        let body = self.read().await;
        serde_json::from_slice(&self.answer[body..]).expect("JSON")
    }

    /// Reads one answer: where its body begins.
    async fn read(&mut self) -> usize {
        self.answer.clear();
        loop {
            assert!(
                self.socket.read_buf(&mut self.answer).await.expect("it answers") > 0,
                "closed"
            );
            let Some(end) = self.answer.windows(4).position(|window| window == b"\r\n\r\n") else {
                continue;
            };
            let head = String::from_utf8_lossy(&self.answer[..end]).to_lowercase();
            let length = head
                .split("content-length:")
                .nth(1)
                .and_then(|rest| rest.lines().next());
            let length: usize = length.and_then(|text| text.trim().parse().ok()).expect("a length");
            if self.answer.len() >= end + 4 + length {
                return end + 4;
            }
        }
    }
}
