//! Pulling, and what is said about what was pulled.

use std::time::Duration;

use google_cloud_auth::credentials::{CacheableResource, Credentials};
use threatstream_backend::BackendError;
use tokio::time::{Instant, sleep, timeout_at};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

use crate::clients::PATIENCE;
use crate::fault;
use crate::wire::{AcknowledgeRequest, Empty, ModifyAckDeadlineRequest, PullRequest, PullResponse, ReceivedMessage};

/// The longest lease that Pub/Sub gives.
pub(crate) const MAX_LEASE: Duration = Duration::from_secs(600);
/// A server that holds a pull answers after about this long even when nothing came.
const LONGEST_PULL: Duration = Duration::from_secs(80);
/// How long a server gets for a pull that does not wait.
const SHORTEST_PULL: Duration = Duration::from_secs(10);
/// Above what one answer holds.
const MAX_ANSWER: usize = 64 * 1024 * 1024;
/// How many acknowledgement ids go into a call: one has up to about 200 bytes, a call 512 KiB.
const IDS_AT_ONCE: usize = 1000;
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The unary calls of the subscriber's service.
pub(crate) struct Puller {
    channel: Channel,
    credentials: Credentials,
}

impl Puller {
    /// Connects at the first call.
    pub(crate) fn new(endpoint: &str, credentials: Credentials) -> Result<Self, BackendError> {
        let wrong = |error: tonic::transport::Error| fault::rejected(format!("{endpoint}: {error}"));
        let mut builder = Endpoint::from_shared(endpoint.to_owned())
            .map_err(wrong)?
            .connect_timeout(Duration::from_secs(5))
            // A connection that is cut without a word is noticed while somebody waits on it. Not by HTTP/2 pings: the service
            // closes connections that ping more often than every five minutes.
            .tcp_keepalive(Some(Duration::from_secs(10)))
            .tcp_keepalive_interval(Some(Duration::from_secs(5)))
            .tcp_keepalive_retries(Some(2));
        if endpoint.starts_with("https") {
            builder = builder
                .tls_config(ClientTlsConfig::new().with_enabled_roots())
                .map_err(wrong)?;
        }
        Ok(Self {
            channel: builder.connect_lazy(),
            credentials,
        })
    }

    /// Up to `max` messages, the first of them waited for until `until`; none when nothing came. A server that does not answer looks
    /// like one that has nothing until TCP gives the connection up: only a pull that does not wait tells them apart.
    pub(crate) async fn pull(
        &self,
        subscription: &str,
        max: usize,
        until: Instant,
    ) -> Result<Vec<ReceivedMessage>, BackendError> {
        let wait = until.saturating_duration_since(Instant::now());
        // The server is told in whole messages what it may not wait for; less than this is as good as not at all.
        let return_immediately = wait < Duration::from_millis(50);
        let limit = if return_immediately {
            SHORTEST_PULL
        } else {
            wait.min(LONGEST_PULL)
        };
        let request = PullRequest {
            subscription: subscription.to_owned(),
            return_immediately,
            max_messages: i32::try_from(max.clamp(1, 1000)).unwrap_or(1000),
        };
        let answer: Result<PullResponse, Status> = self.call("Pull", subscription, request, limit).await;
        match answer {
            Ok(answer) => Ok(answer.received_messages),
            // The time given was over: nothing came.
            Err(status) if !return_immediately && status.code() == Code::DeadlineExceeded => Ok(Vec::new()),
            Err(status) => Err(fault::status(&status)),
        }
    }

    /// They come again after `lease`, cut to what Pub/Sub allows; at once when it is zero.
    pub(crate) async fn lease(&self, subscription: &str, ids: &[String], lease: Duration) -> Result<(), BackendError> {
        let lease = lease.min(MAX_LEASE);
        let seconds = lease.as_secs() + u64::from(lease.subsec_nanos() > 0);
        for ids in ids.chunks(IDS_AT_ONCE) {
            let request = ModifyAckDeadlineRequest {
                subscription: subscription.to_owned(),
                ack_deadline_seconds: i32::try_from(seconds).unwrap_or(600),
                ack_ids: ids.to_vec(),
            };
            self.insist("ModifyAckDeadline", subscription, request).await?;
        }
        Ok(())
    }

    /// They come no more.
    pub(crate) async fn acknowledge(&self, subscription: &str, id: &str) -> Result<(), BackendError> {
        let request = AcknowledgeRequest {
            subscription: subscription.to_owned(),
            ack_ids: vec![id.to_owned()],
        };
        self.insist("Acknowledge", subscription, request).await
    }

    /// Calls until it succeeds, for a while: what is said here changes nothing when it is said twice.
    async fn insist<Q>(&self, method: &str, subscription: &str, request: Q) -> Result<(), BackendError>
    where
        Q: prost::Message + Clone + 'static,
    {
        let deadline = Instant::now() + PATIENCE;
        let mut pause = FIRST_PAUSE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let answer: Result<Empty, Status> = self.call(method, subscription, request.clone(), left).await;
            match answer {
                Ok(Empty {}) => return Ok(()),
                Err(status) if fault::status_passes_soon(&status) && Instant::now() + pause < deadline => {
                    sleep(pause).await;
                    pause *= 2;
                }
                Err(status) => return Err(fault::status(&status)),
            }
        }
    }

    async fn call<Q, A>(&self, method: &str, subscription: &str, request: Q, limit: Duration) -> Result<A, Status>
    where
        Q: prost::Message + 'static,
        A: prost::Message + Default + 'static,
    {
        let deadline = Instant::now() + limit;
        let over = || Status::deadline_exceeded(format!("{method} was not answered within {limit:?}"));
        let called = async {
            let headers = match self.credentials.headers(http::Extensions::new()).await {
                Ok(CacheableResource::New { data, .. }) => data,
                // Said only to who names what it has, and this does not.
                Ok(CacheableResource::NotModified) => return Err(Status::internal("the credentials gave no headers")),
                Err(error) if error.is_transient() => return Err(Status::unavailable(error.to_string())),
                Err(error) => return Err(Status::unauthenticated(error.to_string())),
            };
            let mut request = Request::new(request);
            *request.metadata_mut() = MetadataMap::from_headers(headers);
            let routing = format!("subscription={}", subscription.replace('/', "%2F"));
            if let Ok(routing) = MetadataValue::try_from(routing) {
                request.metadata_mut().insert("x-goog-request-params", routing);
            }
            // The server is told, too, and hands nothing to a caller who has gone.
            request.set_timeout(limit);
            let path = PathAndQuery::try_from(format!("/google.pubsub.v1.Subscriber/{method}"))
                .map_err(|error| Status::internal(error.to_string()))?;
            let mut grpc = tonic::client::Grpc::new(self.channel.clone()).max_decoding_message_size(MAX_ANSWER);
            grpc.ready()
                .await
                .map_err(|error| Status::unavailable(error.to_string()))?;
            let answer = grpc.unary(request, path, ProstCodec::<Q, A>::default()).await?;
            Ok(answer.into_inner())
        };
        match timeout_at(deadline, called).await {
            Ok(Err(status)) if Instant::now() >= deadline && status.code() == Code::Cancelled => Err(over()),
            Ok(answer) => answer,
            Err(_) => Err(over()),
        }
    }
}
