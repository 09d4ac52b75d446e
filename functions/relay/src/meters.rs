//! What the relay says about itself at `/metrics`.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use threatstream_runtime::metrics;

/// The relay's metrics.
#[derive(Clone, Debug)]
pub(crate) struct Meters {
    /// Sockets open now.
    pub(crate) connections: Gauge,
    /// Sockets refused because too many were open.
    pub(crate) refused: Counter,
    /// Frames written to sockets.
    pub(crate) frames: Counter,
    /// Bytes written to sockets.
    pub(crate) bytes: Counter,
    /// Frames built.
    pub(crate) published: Counter,
    /// Clients that lost their place in the ring and read on from the feed.
    pub(crate) overtaken: Counter,
    /// Clients told to start anew.
    pub(crate) resyncs: Counter,
    /// Clients that went on where they were cut.
    pub(crate) resumes: Counter,
    /// Sockets closed because the client did not read or did not answer.
    pub(crate) dropped: Counter,
    /// Frames from clients that could not be understood.
    pub(crate) malformed: Counter,
    /// From the commit of the last record to its publication, in milliseconds.
    pub(crate) lag_ms: Gauge,
    /// Failures of the feed.
    pub(crate) feed_errors: Counter,
}

impl Meters {
    pub(crate) fn new() -> Self {
        Self {
            connections: metrics::gauge("relay_connections", "sockets open now"),
            refused: metrics::counter(
                "relay_connections_refused",
                "sockets refused because too many were open",
            ),
            frames: metrics::counter("relay_frames_sent", "frames written to sockets"),
            bytes: metrics::counter("relay_bytes_sent", "bytes written to sockets"),
            published: metrics::counter("relay_frames_published", "frames built, each for all clients"),
            overtaken: metrics::counter(
                "relay_clients_overtaken",
                "clients that lost their place and read on from the feed",
            ),
            resyncs: metrics::counter("relay_resyncs", "clients told to start anew"),
            resumes: metrics::counter("relay_resumes", "clients that went on where they were cut"),
            dropped: metrics::counter(
                "relay_clients_dropped",
                "sockets closed because the client did not read or did not answer",
            ),
            malformed: metrics::counter(
                "relay_frames_malformed",
                "frames from clients that could not be understood",
            ),
            lag_ms: metrics::gauge(
                "relay_feed_lag_milliseconds",
                "from the commit of the last record to its publication",
            ),
            feed_errors: metrics::counter("relay_feed_errors", "failures of the feed"),
        }
    }
}
