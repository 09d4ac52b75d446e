//! The two forms of `/metrics`, and who gets which.

use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use http::header::{ACCEPT, CONTENT_TYPE, VARY};

use super::{CONTENT_TYPE as OPENMETRICS_CONTENT_TYPE, prometheus_text, text};

/// The media type of [`prometheus_text`](super::prometheus_text).
pub const PROMETHEUS_CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// `/metrics`: OpenMetrics for whoever asks for it no less than for plain text, which is what everyone can read.
pub(crate) fn answer(headers: &HeaderMap) -> Response {
    let vary = (VARY, "accept");
    if wants_openmetrics(headers) {
        ([(CONTENT_TYPE, OPENMETRICS_CONTENT_TYPE), vary], text()).into_response()
    } else {
        ([(CONTENT_TYPE, PROMETHEUS_CONTENT_TYPE), vary], prometheus_text()).into_response()
    }
}

fn wants_openmetrics(headers: &HeaderMap) -> bool {
    let (mut openmetrics, mut plain) = (0.0_f32, 0.0_f32);
    let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    for range in values.flat_map(|value| value.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let media_type = parts.next().unwrap_or_default();
        let (mut quality, mut version) = (1.0, "");
        for (name, value) in parts.filter_map(|parameter| parameter.split_once('=')) {
            if name.eq_ignore_ascii_case("q") {
                quality = value.parse().unwrap_or(0.0);
            } else if name.eq_ignore_ascii_case("version") {
                version = value.trim_matches('"');
            }
        }
        if media_type.eq_ignore_ascii_case("application/openmetrics-text") && matches!(version, "" | "0.0.1" | "1.0.0")
        {
            openmetrics = openmetrics.max(quality);
        } else if media_type.eq_ignore_ascii_case("text/plain") && matches!(version, "" | "0.0.4") {
            plain = plain.max(quality);
        }
    }
    openmetrics > 0.0 && openmetrics >= plain
}

/// Prometheus's text of an OpenMetrics text. They differ in what a counter is called where it is described, in types that one does not
/// know, and in what the other has for a comment.
pub(super) fn prometheus(openmetrics: &str) -> String {
    let mut text = String::with_capacity(openmetrics.len());
    // The help comes before the type, which decides the name.
    let mut help = None;
    for line in openmetrics.lines() {
        if let Some(described) = line.strip_prefix("# HELP ") {
            help = described.split_once(' ');
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|typed| typed.split_once(' ')) {
            let (suffix, kind) = match kind {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                "stateset" => ("", "gauge"),
                "unknown" => ("", "untyped"),
                kind => ("", kind),
            };
            if let Some((_, help)) = help.take().filter(|(helped, _)| *helped == name) {
                text.extend(["# HELP ", name, suffix, " ", help, "\n"]);
            }
            text.extend(["# TYPE ", name, suffix, " ", kind, "\n"]);
        } else if !line.starts_with('#') {
            text.extend([sample(line), "\n"]);
        }
    }
    text
}

/// The line without an exemplar, which follows a `#` outside the labels' quotes.
fn sample(line: &str) -> &str {
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in line.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'#' if !quoted => return line[..at].trim_end(),
            _ => {}
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_form_is_negotiated() {
        // What Prometheus 2 and 3 send.
        let prometheus_2 = "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        let prometheus_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        for (accept, expected) in [
            (prometheus_2, true),
            (prometheus_3, true),
            ("application/openmetrics-text", true),
            ("Application/OpenMetrics-Text; Version=\"1.0.0\"", true),
            ("application/openmetrics-text;version=7.0.0", false),
            ("application/openmetrics-text;q=0", false),
            (
                "application/openmetrics-text;q=0.2,text/plain;version=0.0.4;q=0.9",
                false,
            ),
            ("application/openmetrics-text;q=many", false),
            ("text/plain", false),
            ("*/*", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_static(accept));
            assert_eq!(wants_openmetrics(&headers), expected, "{accept}");
            let response = answer(&headers);
            let media_type = if expected {
                OPENMETRICS_CONTENT_TYPE
            } else {
                PROMETHEUS_CONTENT_TYPE
            };
            assert_eq!(response.headers()[CONTENT_TYPE], media_type);
        }
        assert!(!wants_openmetrics(&HeaderMap::new()));
    }

    #[test]
    fn the_older_form_names_counters_as_their_samples_are() {
        let openmetrics = "\
            # HELP requests requests answered.\n# TYPE requests counter\n\
            requests_total{path=\"a # \\\" b\"} 3 # {trace_id=\"x\"} 1.0\n\
            # HELP depth_bytes depth.\n# TYPE depth_bytes gauge\n# UNIT depth_bytes bytes\ndepth_bytes 1\n\
            # HELP odd odd.\n# TYPE odd unknown\nodd 1\n\
            # HELP build build.\n# TYPE build info\nbuild_info{version=\"1\"} 1\n# EOF\n";
        assert_eq!(
            prometheus(openmetrics),
            "# HELP requests_total requests answered.\n# TYPE requests_total counter\n\
             requests_total{path=\"a # \\\" b\"} 3\n\
             # HELP depth_bytes depth.\n# TYPE depth_bytes gauge\ndepth_bytes 1\n\
             # HELP odd odd.\n# TYPE odd untyped\nodd 1\n\
             # HELP build_info build.\n# TYPE build_info gauge\nbuild_info{version=\"1\"} 1\n"
        );
    }
}
