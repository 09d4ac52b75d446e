//! The trace that a request belongs to.

use http::HeaderMap;
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Makes `span` a part of the trace that the request's headers name, if they do.
pub(crate) fn join(span: &Span, headers: &HeaderMap) {
    if span.is_disabled() {
        return;
    }
    if let Some(parent) = parent(headers) {
        span.set_parent(Context::new().with_remote_span_context(parent));
    }
}

fn parent(headers: &HeaderMap) -> Option<SpanContext> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    text("traceparent")
        .and_then(w3c)
        .or_else(|| text("x-cloud-trace-context").and_then(google))
}

/// `00-<32 hex>-<16 hex>-<2 hex>`; later versions may append more.
fn w3c(header: &str) -> Option<SpanContext> {
    let mut parts = header.trim().split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    if version.len() != 2 || version == "ff" || (version == "00" && parts.next().is_some()) || !is_hex(version) {
        return None;
    }
    let trace = hex_trace(trace)?;
    let span = (span.len() == 16 && is_hex(span)).then(|| u64::from_str_radix(span, 16).ok())??;
    let flags = (flags.len() == 2 && is_hex(flags)).then(|| u8::from_str_radix(flags, 16).ok())??;
    (span != 0).then(|| context(trace, span, flags & 1 == 1))
}

/// `<32 hex>/<decimal>;o=<0 or 1>`, where span and option may be missing.
fn google(header: &str) -> Option<SpanContext> {
    let (trace, rest) = header.trim().split_once('/').unwrap_or((header.trim(), ""));
    let (span, options) = rest.split_once(';').unwrap_or((rest, ""));
    let trace = hex_trace(trace.split(';').next()?)?;
    let span = if span.is_empty() { 0 } else { span.parse().ok()? };
    Some(context(trace, span, options.trim() == "o=1"))
}

fn hex_trace(text: &str) -> Option<u128> {
    (text.len() == 32 && is_hex(text))
        .then(|| u128::from_str_radix(text, 16).ok())?
        .filter(|trace| *trace != 0)
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn context(trace: u128, span: u64, sampled: bool) -> SpanContext {
    let (trace, span) = (
        TraceId::from_bytes(trace.to_be_bytes()),
        SpanId::from_bytes(span.to_be_bytes()),
    );
    SpanContext::new(
        trace,
        span,
        TraceFlags::default().with_sampled(sampled),
        true,
        TraceState::default(),
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TRACE: &str = "105445aa7843bc8bf206b12000100000";

    #[test]
    fn headers() {
        for (header, span, sampled) in [
            (format!("{TRACE}/1;o=1"), 1, true),
            (format!("{TRACE}/18446744073709551615;o=0"), u64::MAX, false),
            (format!("{TRACE}/1"), 1, false),
            (TRACE.to_owned(), 0, false),
        ] {
            let context = google(&header).unwrap_or_else(|| panic!("{header}"));
            assert_eq!(context.trace_id().to_string(), TRACE);
            assert_eq!(
                (context.span_id().to_bytes(), context.is_sampled()),
                (span.to_be_bytes(), sampled),
                "{header}"
            );
        }
        let context = w3c(&format!("00-{TRACE}-00f067aa0ba902b7-01")).unwrap();
        assert_eq!(
            (context.trace_id().to_string().as_str(), context.is_sampled()),
            (TRACE, true)
        );
        assert!(w3c(&format!("cc-{TRACE}-00f067aa0ba902b7-00-what the future brings")).is_some());
        for wrong in [
            format!("00-{TRACE}-0000000000000000-01"),
            format!("ff-{TRACE}-00f067aa0ba902b7-01"),
            format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
            format!("00-{TRACE}-00f067aa0ba902b7-01-x"),
            format!("00-{TRACE}-+0f067aa0ba902b7-01"),
            "00".to_owned(),
        ] {
            assert!(w3c(&wrong).is_none(), "{wrong}");
        }
        for wrong in [
            "",
            "x/1",
            &format!("{TRACE}/x"),
            &format!("{TRACE}0/1"),
            &format!("{}/1", "0".repeat(32)),
        ] {
            assert!(google(wrong).is_none(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_ignored(text in any::<String>()) {
            let _ = (w3c(&text), google(&text));
        }
    }
}
