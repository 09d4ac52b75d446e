//! What a client says.

use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite};

use super::{Ending, Mode, Session};
use crate::allowance;
use crate::message::{self, Refusal};
use crate::request::Request;
use crate::wire::{self, CloseCode, Incoming, MAX_MESSAGE, Violation};

impl<Io: AsyncRead + AsyncWrite + Unpin> Session<Io> {
    /// Takes every message out of what was read.
    pub(super) async fn hear(&mut self) -> Result<(), Ending> {
        self.heard = Instant::now();
        loop {
            match self.decoder.next(&mut self.inbox) {
                Ok(Some(incoming)) => self.answer(incoming).await?,
                Ok(None) => return Ok(()),
                Err(Violation::Protocol(what)) => return Err(Ending::Close(CloseCode::Protocol, what)),
                Err(Violation::TooBig) => {
                    return Err(Ending::Close(CloseCode::TooBig, "the message is beyond all bounds"));
                }
            }
        }
    }

    async fn answer(&mut self, incoming: Incoming) -> Result<(), Ending> {
        let request = match incoming {
            Incoming::Text(text) => Request::parse(&text),
            Incoming::Binary => Err(Refusal::new("frame", "is binary; expected text")),
            Incoming::InvalidUtf8 => Err(Refusal::new("frame", "is not UTF-8")),
            Incoming::TooLong => Err(Refusal::new("frame", format!("is longer than {MAX_MESSAGE} bytes"))),
            Incoming::Ping(payload) => {
                self.charge(allowance::PLAIN).await?;
                let mut out = Vec::new();
                wire::control(&mut out, wire::PONG, &payload);
                return self.write(out.into()).await;
            }
            Incoming::Pong => return self.charge(allowance::PLAIN).await,
            Incoming::Close => return Err(Ending::Closed),
        };
        self.charge(match &request {
            Ok(Request::Handshake(_) | Request::State) => allowance::STATE,
            Ok(_) => allowance::PLAIN,
            Err(_) => allowance::MALFORMED,
        })
        .await?;
        match request {
            Ok(Request::Handshake(None) | Request::State) => self.mode = Mode::State,
            Ok(Request::Handshake(Some(resume))) => self.mode = Mode::Resume(resume),
            Ok(Request::Subscribe { topics, min_severity }) => self.subscription.subscribe(topics, min_severity),
            Ok(Request::Unsubscribe { topics }) => self.subscription.unsubscribe(topics),
            Ok(Request::Ping) => {
                let pong = message::frame("pong", None::<()>, self.relay().dependencies.clock.now());
                self.say(&pong).await?;
            }
            Err(refusal) => {
                self.relay().meters.malformed.inc();
                self.refuse(&refusal).await?;
            }
        }
        Ok(())
    }

    async fn charge(&mut self, cost: u32) -> Result<(), Ending> {
        if self.allowance.take(cost, Instant::now()) {
            return Ok(());
        }
        self.refuse(&Refusal::new("frame", "too many frames; the socket is closed"))
            .await?;
        Err(Ending::Close(CloseCode::Policy, "too many frames"))
    }

    async fn refuse(&mut self, refusal: &Refusal) -> Result<(), Ending> {
        let frame = message::frame("error", Some(refusal), self.relay().dependencies.clock.now());
        self.say(&frame).await
    }
}
