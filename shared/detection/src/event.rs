//! What a decoder makes of a line, and what a rule looks at.

use std::borrow::Cow;

use threatstream_domain::Timestamp;

/// A value in an event, borrowed from the line wherever the line holds it as it is.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// Present, and nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// Text.
    Str(Cow<'a, str>),
    /// Several values; a rule matches when one of them does.
    List(Vec<Value<'a>>),
    /// Nested fields, in the order of the line.
    Map(Fields<'a>),
}

/// Named values in the order of the line. When a name comes twice, the first is what a lookup finds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fields<'a>(pub Vec<(Cow<'a, str>, Value<'a>)>);

/// Which events a Sigma rule speaks of, and which one this is. An absent part says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, serde::Serialize)]
pub struct LogSource {
    /// A kind of event whoever reports it: `process_creation`, `webserver`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<Cow<'static, str>>,
    /// Whose product wrote it: `linux`, `aws`, `gcp`, `nginx`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product: Option<Cow<'static, str>>,
    /// Which log of the product: `sshd`, `sudo`, `cloudtrail`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<Cow<'static, str>>,
}

/// One decoded event. A rule sees the original fields under their original names first, then the normalised ones (ECS,
/// dotted: `source.ip`), and the whole line as keywords do.
#[derive(Clone, Debug, PartialEq)]
pub struct Event<'a> {
    /// The decoder's name, as `--format` takes it; `text` when none knew the line.
    pub format: &'static str,
    /// What the rules' `logsource` is compared with.
    pub logsource: LogSource,
    /// Categories that it is of besides that of its log source: a `registry_set` is a `registry_event` too.
    pub also: &'static [&'static str],
    /// The line as it came.
    pub raw: &'a str,
    /// When it happened, if the line says so.
    pub time: Option<Timestamp>,
    /// The sender's own id of the event (CloudTrail `eventID`), if the format has one.
    pub vendor_id: Option<Cow<'a, str>>,
    /// As the product wrote them.
    pub original: Fields<'a>,
    /// Normalised, with dotted ECS names, flat.
    pub ecs: Fields<'a>,
}

impl<'a> Fields<'a> {
    /// Adds a field.
    pub fn push(&mut self, name: impl Into<Cow<'a, str>>, value: Value<'a>) {
        self.0.push((name.into(), value));
    }

    /// The field of exactly this name, dots included.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value<'a>> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// The field of this name, or what a dotted path finds in nested maps: `a.b.c`. At each level the longest name wins.
    #[must_use]
    pub fn path(&self, path: &str) -> Option<&Value<'a>> {
        if let Some(value) = self.get(path) {
            return Some(value);
        }
        let mut end = path.len();
        while let Some(dot) = path[..end].rfind('.') {
            if let Some(Value::Map(inner)) = self.get(&path[..dot])
                && let Some(value) = inner.path(&path[dot + 1..])
            {
                return Some(value);
            }
            end = dot;
        }
        None
    }
}

impl<'a> Event<'a> {
    /// What a rule's field name means in this event: the original field, else the normalised one.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Value<'a>> {
        self.original.path(name).or_else(|| self.ecs.get(name))
    }

    /// A normalised field as text, if it is text or a number.
    #[must_use]
    pub fn ecs_text(&self, name: &str) -> Option<Cow<'_, str>> {
        self.ecs.get(name).and_then(Value::text)
    }
}

impl<'a> Value<'a> {
    /// Text that borrows.
    #[must_use]
    pub fn str(text: &'a str) -> Self {
        Self::Str(Cow::Borrowed(text))
    }

    /// A scalar as text; `None` for null, a list or a map.
    #[must_use]
    pub fn text(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Str(text) => Some(Cow::Borrowed(text)),
            Self::Int(number) => Some(Cow::Owned(number.to_string())),
            Self::Float(number) => Some(Cow::Owned(number.to_string())),
            Self::Bool(value) => Some(Cow::Borrowed(if *value { "true" } else { "false" })),
            Self::Null | Self::List(_) | Self::Map(_) => None,
        }
    }

    /// A number, also when it is written as text.
    #[must_use]
    pub fn number(&self) -> Option<f64> {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "rules compare magnitudes")]
            Self::Int(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
            Self::Str(text) => text.trim().parse().ok(),
            Self::Null | Self::Bool(_) | Self::List(_) | Self::Map(_) => None,
        }
    }
}
