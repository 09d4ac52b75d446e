//! The two formats.

use opentelemetry::Context;
use opentelemetry::trace::noop::NoopSpan;
use opentelemetry::trace::{SpanBuilder, SpanId, TraceContextExt, TraceId, Tracer};
use tracing::Dispatch;
use tracing_opentelemetry::{OtelData, PreSampledTracer};
use tracing_stackdriver::CloudTraceConfiguration;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;

use super::LogConfig;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// Cloud Logging's structured JSON, with the fields that join a line to its trace.
    Stackdriver,
}

/// A subscriber that writes to `writer`, for tests that read what is logged.
pub fn dispatch<W>(config: &LogConfig, writer: W) -> Dispatch
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let registry = tracing_subscriber::registry().with(config.filter.clone());
    match config.format {
        LogFormat::Text => Dispatch::new(
            registry.with(
                tracing_subscriber::fmt::layer()
                    .with_ansi(config.ansi)
                    .with_writer(writer),
            ),
        ),
        LogFormat::Stackdriver => {
            let mut lines = tracing_stackdriver::layer().with_writer(writer);
            if let Some(project_id) = config.project.clone() {
                lines = lines.with_cloud_trace(CloudTraceConfiguration { project_id });
            }
            // Spans alone: the layer keeps every event of a span until it closes, and a worker's span never does.
            let traces = tracing_opentelemetry::layer()
                .with_location(false)
                .with_threads(false)
                .with_tracked_inactivity(false)
                .with_tracer(Ids)
                .with_filter(filter_fn(|metadata| metadata.is_span()));
            Dispatch::new(registry.with(traces).with(lines))
        }
    }
}

/// Makes ids and nothing else: spans are not exported, they only join log lines to the trace that Cloud Run began.
#[derive(Debug, Clone, Copy)]
struct Ids;

impl Tracer for Ids {
    type Span = NoopSpan;

    fn build_with_context(&self, _builder: SpanBuilder, _parent: &Context) -> NoopSpan {
        NoopSpan::DEFAULT
    }
}

impl PreSampledTracer for Ids {
    fn sampled_context(&self, data: &mut OtelData) -> Context {
        // Children inherit the trace from here.
        let parent = data.parent_cx.span().span_context().clone();
        // Google's header may name a trace without a span.
        let trace_id = match parent.trace_id() {
            TraceId::INVALID => data.builder.trace_id.unwrap_or(TraceId::INVALID),
            known => known,
        };
        let span_id = data.builder.span_id.unwrap_or(SpanId::INVALID);
        let context = opentelemetry::trace::SpanContext::new(
            trace_id,
            span_id,
            parent.trace_flags(),
            false,
            opentelemetry::trace::TraceState::default(),
        );
        data.parent_cx.with_remote_span_context(context)
    }

    fn new_trace_id(&self) -> TraceId {
        TraceId::from_bytes(rand::random::<u128>().to_be_bytes())
    }

    fn new_span_id(&self) -> SpanId {
        SpanId::from_bytes(rand::random::<u64>().to_be_bytes())
    }
}
