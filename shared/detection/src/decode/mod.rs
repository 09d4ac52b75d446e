//! From the text of one line to an [`Event`]: one decoder a file, tried in the order of the registry.
//!
//! A decoder has a name and reads either the line, behind a `sniff` that looks at a few bytes, or the JSON object that the
//! line is; it says when the line is not its format after all. Adding one is a file and a line in the registry below; no
//! stage knows any of them.
//!
//! A field keeps the product's own name when its value stands in the line as it is; a value that is worked out (an
//! outcome, a decoded path) has a name of ECS or below one of its roots. The prefilter of rules relies on it.
//!
//! Nginx's default format and Apache's `combined` are the same bytes: such a line is called `nginx` under `auto`, and
//! its log source names no product. What only Apache writes (`common`, a virtual host's `:port`, its error log) is
//! called `apache`.

mod access;
mod accounts;
mod apache;
mod calendar;
mod channels;
mod cloudtrail;
mod document;
mod gcp_audit;
mod ingest;
mod json;
mod native;
mod nginx;
mod pam;
mod percent;
mod reader;
mod sshd;
mod structured;
mod sudo;
mod syslog;
mod text;
mod windows;

use std::borrow::Cow;
use std::net::IpAddr;

use threatstream_domain::{Timestamp, UnknownName};

use crate::{Event, Fields, LogSource, Value};

pub use document::MAX_DEPTH;
pub use ingest::{FieldError, check_native, vendor_id};

/// What a decoder is told beside the line.
#[derive(Clone, Copy)]
struct Context {
    /// When the line came in: the year of a time that has none is nearest before it.
    received_at: Timestamp,
    /// Whether the sender named this decoder, so that what the bytes leave open is settled.
    named: bool,
}

/// One entry of the registry.
struct Decoder {
    format: Format,
    reader: Reader,
}

/// How a decoder comes to its event.
enum Reader {
    /// From the text of the line.
    Line {
        /// A look at a few bytes: `false` when this decoder need not be tried.
        sniff: fn(&str) -> bool,
        /// `None` when the line is not this format after all.
        decode: for<'a> fn(&'a str, Context) -> Option<Event<'a>>,
    },
    /// From the fields of a JSON object, which is read once for all of these. They are given back when it is not this
    /// format.
    Document(for<'a> fn(&'a str, Fields<'a>, Context) -> Result<Event<'a>, Fields<'a>>),
}

macro_rules! registry {
    (@reader Line $module:ident) => {
        Reader::Line { sniff: $module::sniff, decode: $module::decode }
    };
    (@reader Document $module:ident) => {
        Reader::Document($module::decode)
    };
    ($($(#[$meta:meta])* $variant:ident = $name:literal in $kind:ident $module:ident),+ $(,)?) => {
        /// How a line is to be read.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        pub enum Format {
            /// By whichever decoder knows it.
            #[default]
            #[serde(rename = "auto")]
            Auto,
            $($(#[$meta])* #[serde(rename = $name)] $variant),+
        }

        /// The formats' names, as `--format` and `?format=` take them.
        pub const FORMATS: &[&str] = &["auto", $($name),+];

        impl Format {
            /// Every format, in the order of [`FORMATS`].
            pub const ALL: &'static [Self] = &[Self::Auto, $(Self::$variant),+];

            /// As `--format` takes it.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { Self::Auto => "auto", $(Self::$variant => $name),+ }
            }
        }

        static REGISTRY: &[Decoder] = &[
            $(Decoder { format: Format::$variant, reader: registry!(@reader $kind $module) }),+
        ];
    };
}

// In the order of trying: vendors before the general form that would take their lines too.
registry! {
    /// Windows events in JSON, as Winlogbeat, NXLog and the readers of event log files write them.
    Windows = "windows" in Document windows,
    /// AWS CloudTrail records.
    CloudTrail = "cloudtrail" in Document cloudtrail,
    /// Google Cloud audit log entries.
    GcpAudit = "gcp_audit" in Document gcp_audit,
    /// Our own JSON events.
    Native = "native" in Document native,
    /// Any other JSON object.
    Json = "json" in Document json,
    /// Nginx access and error logs.
    Nginx = "nginx" in Line nginx,
    /// Apache access and error logs.
    Apache = "apache" in Line apache,
    /// Syslog, RFC 3164 and RFC 5424, with what sshd, sudo and their like say in it.
    Syslog = "syslog" in Line syslog,
    /// A line that no decoder knows.
    Text = "text" in Line text,
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::str::FromStr for Format {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        let found = Self::ALL.iter().find(|format| format.as_str() == text);
        found.copied().ok_or(UnknownName {
            what: "format",
            allowed: FORMATS,
        })
    }
}

/// Decodes one line or JSON document.
///
/// Never fails: what no decoder knows is `text`, a JSON object of no known vendor is `json`. With a `format` other than
/// [`Format::Auto`] only that decoder is tried. A time without a year gets the year that puts it nearest before
/// `received_at` and a day; a time without a zone is UTC.
#[must_use]
pub fn decode<'a>(raw: &'a str, format: Format, received_at: Timestamp) -> Event<'a> {
    let line = raw.trim_end_matches(['\n', '\r']);
    let named = format != Format::Auto;
    let context = Context { received_at, named };
    let mut event = read(line, named.then_some(format), context).unwrap_or_else(|| text::plain(line));
    event.raw = raw;
    event
}

/// What the first decoder that knows the line makes of it, or the one that is named.
fn read(line: &str, named: Option<Format>, context: Context) -> Option<Event<'_>> {
    let mut object = None;
    let mut is_object = document::looks_like_object(line);
    for decoder in REGISTRY {
        if named.is_some_and(|format| format != decoder.format) {
            continue;
        }
        match decoder.reader {
            Reader::Line { sniff, decode } => {
                if (named.is_some() || sniff(line))
                    && let Some(event) = decode(line, context)
                {
                    return Some(event);
                }
            }
            Reader::Document(decode) if is_object => {
                let Some(fields) = object.take().or_else(|| document::object(line).ok()) else {
                    is_object = false;
                    continue;
                };
                match decode(line, fields, context) {
                    Ok(event) => return Some(event),
                    Err(fields) => object = Some(fields),
                }
            }
            Reader::Document(_) => {}
        }
    }
    None
}

/// An event of this format with nothing in it yet.
fn blank<'a>(format: Format, raw: &'a str, logsource: LogSource) -> Event<'a> {
    let fields = || Fields(Vec::with_capacity(16));
    Event {
        format: format.as_str(),
        logsource,
        also: &[],
        raw,
        time: None,
        vendor_id: None,
        original: fields(),
        ecs: fields(),
    }
}

/// A log source from its parts.
fn logsource(
    category: Option<&'static str>,
    product: Option<&'static str>,
    service: Option<&'static str>,
) -> LogSource {
    LogSource {
        category: category.map(Cow::Borrowed),
        product: product.map(Cow::Borrowed),
        service: service.map(Cow::Borrowed),
    }
}

/// Where something came from: `source.address` as written, and `source.ip` or `source.domain` by what it is.
fn push_source<'a>(ecs: &mut Fields<'a>, address: Cow<'a, str>) {
    if address.is_empty() || address == "-" {
        return;
    }
    let name = if address.parse::<IpAddr>().is_ok() {
        "source.ip"
    } else {
        "source.domain"
    };
    ecs.push(name, Value::Str(address.clone()));
    ecs.push("source.address", Value::Str(address));
}

/// A list of fixed words, as ECS wants `event.category` and `event.type`.
fn words<'a>(words: &[&'static str]) -> Value<'a> {
    Value::List(words.iter().map(|word| Value::Str(Cow::Borrowed(*word))).collect())
}

/// Fixed text.
fn fixed<'a>(text: &'static str) -> Value<'a> {
    Value::Str(Cow::Borrowed(text))
}
