//! The connection, made when it is first needed, and the few RPCs that everything here is made of.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use firestore::gcloud_sdk::google::firestore::v1::firestore_client::FirestoreClient;
use firestore::gcloud_sdk::google::firestore::v1::structured_aggregation_query::{self, Aggregation, aggregation};
use firestore::gcloud_sdk::google::firestore::v1::{
    BatchGetDocumentsRequest, CommitRequest, Document, ListenRequest, ListenResponse, RunAggregationQueryRequest,
    RunQueryRequest, StructuredAggregationQuery, Write, batch_get_documents_response, run_aggregation_query_request,
    run_query_request, value::ValueType,
};
use firestore::gcloud_sdk::google_cloud_auth::credentials::anonymous;
use firestore::gcloud_sdk::{GCP_DEFAULT_SCOPES, GoogleAuthHeaders, GoogleAuthMiddleware, GoogleAuthMiddlewareLayer};
use futures_util::{StreamExt, stream};
use parking_lot::Mutex;
use threatstream_backend::BackendError;
use threatstream_domain::Timestamp;
use tokio::sync::OnceCell;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Status, Streaming};
use tower::Layer;

use crate::codec::{UpdateTime, document_id, from_proto, unsigned};
use crate::error::{Fault, of_read, rejected, unavailable};
use crate::meter::{Meter, Usage};
use crate::options::FirestoreOptions;
use crate::query::Query;

/// A request is at most 10 MiB, for the emulator 4 MiB; this leaves room for what is around its writes.
const MAX_REQUEST: usize = 9 << 20;
const MAX_EMULATOR_REQUEST: usize = 7 << 19;

const PRODUCTION: &str = "https://firestore.googleapis.com";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a connection is asked whether it still lives, and how long it may take to say so.
const PING: Duration = Duration::from_secs(30);
const PONG: Duration = Duration::from_secs(10);
/// A lookup asks for at most this many documents at once, so that its answer stays well below any limit in time and size.
const LOOKUP: usize = 100;

type Rpc = FirestoreClient<GoogleAuthMiddleware>;

/// The database, cheap to clone.
#[derive(Clone)]
pub(crate) struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    database: String,
    emulator_host: Option<String>,
    timeout: Duration,
    auth: OnceCell<GoogleAuthMiddlewareLayer>,
    rpc: Mutex<Option<Rpc>>,
    server_time: Mutex<Option<(Timestamp, Instant)>>,
    meter: Meter,
}

/// What a commit answered.
#[derive(Debug)]
pub(crate) struct Committed {
    /// When each write's document is said to have been written, in the order of the writes: what the next precondition needs.
    pub(crate) update_times: Vec<Option<UpdateTime>>,
}

impl Committed {
    /// When the first write's document was written.
    pub(crate) fn first(&self) -> Result<UpdateTime, Fault> {
        let first = self.update_times.first().copied().flatten();
        first.ok_or_else(|| unavailable("a commit was answered without times").into())
    }
}

/// What a query answered.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) documents: Vec<Document>,
    /// By the server's clock: everything committed up to here was seen.
    pub(crate) read_at: Timestamp,
}

impl Client {
    /// Connects to nothing yet.
    pub(crate) fn new(options: &FirestoreOptions) -> Self {
        Self {
            inner: Arc::new(Inner {
                database: format!("projects/{}/databases/{}", options.project, options.database),
                emulator_host: options.emulator_host.clone(),
                timeout: options.request_timeout,
                auth: OnceCell::new(),
                rpc: Mutex::new(None),
                server_time: Mutex::new(None),
                meter: Meter::default(),
            }),
        }
    }

    pub(crate) fn meter(&self) -> &Meter {
        &self.inner.meter
    }

    /// The full name of a document; the id may be any text.
    pub(crate) fn name(&self, collection: &str, id: &str) -> String {
        format!("{}/{collection}/{}", self.root(), document_id(id))
    }

    /// What all documents at the root lie under.
    pub(crate) fn root(&self) -> String {
        format!("{}/documents", self.inner.database)
    }

    /// How many bytes of writes go into one commit.
    pub(crate) fn max_request(&self) -> usize {
        match self.inner.emulator_host {
            Some(_) => MAX_EMULATOR_REQUEST,
            None => MAX_REQUEST,
        }
    }

    /// Makes all writes or none.
    pub(crate) async fn commit(&self, writes: Vec<Write>) -> Result<Committed, Fault> {
        let mut rpc = self.rpc().await?;
        let used = Usage::of(&writes);
        let request = self.request(CommitRequest {
            database: self.inner.database.clone(),
            writes,
            ..CommitRequest::default()
        });
        let response = tokio::time::timeout(self.inner.timeout, rpc.commit(request))
            .await
            .map_err(|_| self.too_slow())?
            .map_err(|status| {
                self.doubt(&status);
                Fault::of_commit(&status)
            })?
            .into_inner();
        self.meter().committed(used);
        Ok(Committed {
            update_times: response
                .write_results
                .into_iter()
                .map(|result| result.update_time)
                .collect(),
        })
    }

    /// One document.
    pub(crate) async fn get(&self, name: String) -> Result<Option<Document>, BackendError> {
        Ok(self.get_all(vec![name]).await?.into_values().next())
    }

    /// Documents by full name; those that are not there are absent.
    pub(crate) async fn get_all(&self, names: Vec<String>) -> Result<HashMap<String, Document>, BackendError> {
        let mut found = HashMap::with_capacity(names.len());
        for names in names.chunks(LOOKUP) {
            let lookup = self.lookup(names.to_vec(), &mut found);
            tokio::time::timeout(self.inner.timeout, lookup)
                .await
                .map_err(|_| self.too_slow())??;
        }
        Ok(found)
    }

    async fn lookup(&self, names: Vec<String>, found: &mut HashMap<String, Document>) -> Result<(), BackendError> {
        let asked = names.len();
        let request = self.request(BatchGetDocumentsRequest {
            database: self.inner.database.clone(),
            documents: names,
            ..BatchGetDocumentsRequest::default()
        });
        let mut rpc = self.rpc().await?;
        let mut answers = rpc
            .batch_get_documents(request)
            .await
            .map_err(|status| self.failed(&status))?
            .into_inner();
        while let Some(answer) = answers.message().await.map_err(|status| self.failed(&status))? {
            self.heard(answer.read_time.as_ref());
            if let Some(batch_get_documents_response::Result::Found(document)) = answer.result {
                found.insert(document.name.clone(), document);
            }
        }
        self.meter().read(asked);
        Ok(())
    }

    /// What a query finds, in its order.
    pub(crate) async fn query(&self, query: Query) -> Result<Answer, BackendError> {
        tokio::time::timeout(self.inner.timeout, self.run_query(query))
            .await
            .map_err(|_| self.too_slow())?
    }

    async fn run_query(&self, query: Query) -> Result<Answer, BackendError> {
        let request = self.request(RunQueryRequest {
            parent: self.root(),
            query_type: Some(run_query_request::QueryType::StructuredQuery(query.build())),
            ..RunQueryRequest::default()
        });
        let mut rpc = self.rpc().await?;
        let mut answers = rpc
            .run_query(request)
            .await
            .map_err(|status| self.failed(&status))?
            .into_inner();
        let mut answer = Answer::default();
        while let Some(message) = answers.message().await.map_err(|status| self.failed(&status))? {
            if let Some(read_at) = self.heard(message.read_time.as_ref()) {
                answer.read_at = answer.read_at.max(read_at);
            }
            answer.documents.extend(message.document);
        }
        self.meter().queried(answer.documents.len());
        Ok(answer)
    }

    /// How many documents a query finds, at most `up_to`.
    pub(crate) async fn count(&self, query: Query, up_to: u64) -> Result<u64, BackendError> {
        tokio::time::timeout(self.inner.timeout, self.run_count(query, up_to))
            .await
            .map_err(|_| self.too_slow())?
    }

    async fn run_count(&self, query: Query, up_to: u64) -> Result<u64, BackendError> {
        const ALIAS: &str = "count";
        let request = self.request(RunAggregationQueryRequest {
            parent: self.root(),
            query_type: Some(run_aggregation_query_request::QueryType::StructuredAggregationQuery(
                StructuredAggregationQuery {
                    aggregations: vec![Aggregation {
                        alias: ALIAS.to_owned(),
                        operator: Some(aggregation::Operator::Count(aggregation::Count {
                            up_to: Some(i64::try_from(up_to).unwrap_or(i64::MAX)),
                        })),
                    }],
                    query_type: Some(structured_aggregation_query::QueryType::StructuredQuery(query.build())),
                },
            )),
            ..RunAggregationQueryRequest::default()
        });
        let mut rpc = self.rpc().await?;
        let mut answers = rpc
            .run_aggregation_query(request)
            .await
            .map_err(|status| self.failed(&status))?
            .into_inner();
        let mut count = None;
        while let Some(answer) = answers.message().await.map_err(|status| self.failed(&status))? {
            let value = answer
                .result
                .and_then(|mut result| result.aggregate_fields.remove(ALIAS));
            if let Some(ValueType::IntegerValue(value)) = value.and_then(|value| value.value_type) {
                count = Some(unsigned(value));
            }
        }
        let count = count.ok_or_else(|| unavailable("a count was not answered"))?;
        // One read for up to a thousand index entries.
        self.meter()
            .queried(usize::try_from(count.div_ceil(1000)).unwrap_or(usize::MAX));
        Ok(count)
    }

    /// Opens a stream of changes. What it delivers is counted by who reads it: only that one knows what is sent again for
    /// nothing.
    pub(crate) async fn listen(&self, mut first: ListenRequest) -> Result<Streaming<ListenResponse>, BackendError> {
        first.database = self.inner.database.clone();
        let mut rpc = self.rpc().await?;
        // The requests' side stays open: its end would end the stream.
        let requests = stream::once(std::future::ready(first)).chain(stream::pending());
        let opened = tokio::time::timeout(self.inner.timeout, rpc.listen(Request::new(requests)))
            .await
            .map_err(|_| self.too_slow())?;
        Ok(opened.map_err(|status| self.failed(&status))?.into_inner())
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        // For the server. Ours is a little shorter, and sees to the connection too.
        request.set_timeout(self.inner.timeout + Duration::from_secs(1));
        request
    }

    /// What does not answer may be a connection that died unnoticed: the next request makes a new one.
    fn reconnect(&self) {
        self.inner.rpc.lock().take();
    }

    /// A request that ran out of time may end as a status too, whichever clock was first.
    fn doubt(&self, status: &Status) {
        if matches!(status.code(), Code::Cancelled | Code::DeadlineExceeded) {
            self.reconnect();
        }
    }

    /// What the status of anything but a commit means, and what it means for the connection.
    fn failed(&self, status: &Status) -> BackendError {
        self.doubt(status);
        of_read(status)
    }

    fn too_slow(&self) -> BackendError {
        self.reconnect();
        unavailable(format!("no answer within {:?}", self.inner.timeout))
    }

    /// The server's time, from its last answer that said it; `None` before the first.
    pub(crate) fn server_time(&self) -> Option<Timestamp> {
        self.inner
            .server_time
            .lock()
            .map(|(time, heard)| time.plus(heard.elapsed()))
    }

    /// Takes note of a time that the server read at; what was read.
    pub(crate) fn heard(&self, read_time: Option<&UpdateTime>) -> Option<Timestamp> {
        let time = from_proto(read_time?);
        *self.inner.server_time.lock() = Some((time, Instant::now()));
        Some(time)
    }

    async fn rpc(&self) -> Result<Rpc, BackendError> {
        let auth = self.inner.auth.get_or_try_init(|| self.authentication()).await?;
        let mut rpc = self.inner.rpc.lock();
        if let Some(rpc) = &*rpc {
            return Ok(rpc.clone());
        }
        let made = FirestoreClient::new(auth.layer(self.channel()?));
        Ok(rpc.insert(made).clone())
    }

    async fn authentication(&self) -> Result<GoogleAuthMiddlewareLayer, BackendError> {
        // Another crate may have chosen a provider already: any will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let headers = match &self.inner.emulator_host {
            Some(_) => GoogleAuthHeaders::from(anonymous::Builder::new().build()),
            None => GoogleAuthHeaders::from_adc_with_scopes(GCP_DEFAULT_SCOPES.clone())
                .await
                .map_err(|error| unusable(&error))?,
        };
        GoogleAuthMiddlewareLayer::new(headers, Some(self.inner.database.clone())).map_err(|error| unusable(&error))
    }

    /// Connects with the first request, and again whenever it must.
    fn channel(&self) -> Result<Channel, BackendError> {
        let endpoint = match &self.inner.emulator_host {
            Some(host) => Endpoint::from_shared(format!("http://{host}")).map_err(|error| unusable(&error))?,
            None => Endpoint::from_static(PRODUCTION)
                .tls_config(ClientTlsConfig::new().with_native_roots())
                .map_err(|error| unusable(&error))?,
        };
        Ok(endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(PING)
            .keep_alive_timeout(PONG)
            .keep_alive_while_idle(true)
            .connect_lazy())
    }
}

fn unusable(error: &dyn std::fmt::Display) -> BackendError {
    rejected(format!("cannot make a client: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_request_out_of_time_costs_the_connection() {
        let mut options = FirestoreOptions::new("test");
        options.emulator_host = Some("127.0.0.1:1".to_owned());
        let client = Client::new(&options);
        for (code, kept) in [
            (Code::Cancelled, false),
            (Code::DeadlineExceeded, false),
            (Code::Unavailable, true),
            (Code::NotFound, true),
        ] {
            client.rpc().await.unwrap();
            client.doubt(&Status::new(code, "x"));
            assert_eq!(client.inner.rpc.lock().is_some(), kept, "{code}");
        }
    }
}
