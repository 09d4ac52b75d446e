//! One registry for the process, shown at `/metrics` as Prometheus's text, or as OpenMetrics to those who ask for it.
//!
//! A metric is made by name, and made once: whoever asks for the same name again gets the same metric, so that the five functions of one
//! process, and the tests of one binary, do not collide.
//!
//! ```
//! use threatstream_runtime::metrics;
//! let accepted = metrics::counter("doc_events_accepted", "events answered 202");
//! accepted.inc_by(3);
//! assert!(metrics::text().contains("doc_events_accepted_total 3"));
//! ```

mod exposition;

use std::any::Any;
use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::LazyLock;

pub use exposition::PROMETHEUS_CONTENT_TYPE;
pub(crate) use exposition::answer;
use parking_lot::Mutex;
pub use prometheus_client;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};

/// The media type of [`text`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper bounds in seconds that fit request and database latencies, from 0.5 ms to 10 s.
pub const LATENCY_SECONDS: [f64; 14] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

#[derive(Default)]
struct Metrics {
    registry: Registry,
    known: HashMap<&'static str, Box<dyn Any + Send>>,
}

static METRICS: LazyLock<Mutex<Metrics>> = LazyLock::new(Mutex::default);

/// A histogram for each set of labels.
pub type HistogramFamily<L> = Family<L, Histogram, Buckets>;

/// Makes the histograms of a family.
#[derive(Debug, Clone, Copy)]
pub struct Buckets(&'static [f64]);

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new(self.0.iter().copied())
    }
}

/// The metric of that name, made by `make` when there is none. `name` is without the suffix `_total`, which counters are shown with.
///
/// # Panics
/// When the name is already in use for a metric of another type: a mistake of the program's.
pub fn metric<M: Metric + Clone>(name: &'static str, help: &str, make: impl FnOnce() -> M) -> M {
    let mut metrics = METRICS.lock();
    if let Some(known) = metrics.known.get(name) {
        return known
            .downcast_ref::<M>()
            .unwrap_or_else(|| panic!("the metric {name} has another type"))
            .clone();
    }
    let metric = make();
    metrics.registry.register(name, help, metric.clone());
    metrics.known.insert(name, Box::new(metric.clone()));
    metric
}

/// A number that only grows.
pub fn counter(name: &'static str, help: &str) -> Counter {
    metric(name, help, Counter::default)
}

/// A number that goes up and down.
pub fn gauge(name: &'static str, help: &str) -> Gauge {
    metric(name, help, Gauge::default)
}

/// A distribution with the given upper bounds.
pub fn histogram(name: &'static str, help: &str, bounds: &'static [f64]) -> Histogram {
    metric(name, help, || Buckets(bounds).new_metric())
}

/// A counter for each set of labels. Labels must come from a closed set: each combination is kept for good.
pub fn counters<L>(name: &'static str, help: &str) -> Family<L, Counter>
where
    L: EncodeLabelSet + Clone + Hash + Eq + Debug + Send + Sync + 'static,
{
    metric(name, help, Family::default)
}

/// A gauge for each set of labels, as [`counters`].
pub fn gauges<L>(name: &'static str, help: &str) -> Family<L, Gauge>
where
    L: EncodeLabelSet + Clone + Hash + Eq + Debug + Send + Sync + 'static,
{
    metric(name, help, Family::default)
}

/// A histogram for each set of labels, as [`counters`].
pub fn histograms<L>(name: &'static str, help: &str, bounds: &'static [f64]) -> HistogramFamily<L>
where
    L: EncodeLabelSet + Clone + Hash + Eq + Debug + Send + Sync + 'static,
{
    metric(name, help, || Family::new_with_constructor(Buckets(bounds)))
}

/// Everything registered, as Prometheus's own text, whose media type is [`PROMETHEUS_CONTENT_TYPE`].
#[must_use]
pub fn prometheus_text() -> String {
    exposition::prometheus(&text())
}

/// Everything registered, as OpenMetrics text.
#[must_use]
pub fn text() -> String {
    let mut text = String::new();
    match prometheus_client::encoding::text::encode(&mut text, &METRICS.lock().registry) {
        Ok(()) => text,
        // A metric's own encoding failed: half an exposition would be taken for a whole one.
        Err(_) => {
            tracing::error!("a metric cannot be encoded");
            String::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_metric() {
        counter("test_shared", "counted twice").inc();
        counter("test_shared", "counted twice").inc();
        let labelled = histograms::<[(&'static str, &'static str); 1]>("test_latency", "latency", &LATENCY_SECONDS);
        labelled.get_or_create(&[("stage", "match")]).observe(0.002);
        let text = text();
        assert_eq!(text.matches("test_shared_total 2").count(), 1, "{text}");
        assert!(
            text.contains("test_latency_bucket{le=\"0.0025\",stage=\"match\"} 1"),
            "{text}"
        );
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    #[should_panic(expected = "another type")]
    fn another_type_of_the_same_name_is_a_mistake() {
        counter("test_confused", "a counter");
        gauge("test_confused", "a gauge");
    }
}
