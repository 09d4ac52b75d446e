//! One comparison of one field with all the values a rule lists for it.

use std::net::IpAddr;

use aho_corasick::AhoCorasick;
use ipnet::IpNet;
use memchr::memmem::Finder;
use regex::Regex;

use super::lookup::Seen;
use super::modifiers::Order;
use super::pattern::{Place, TextTest};
use crate::Value;

/// Lists longer than this are searched for in one pass.
const ONE_PASS_FROM: usize = 5;

/// A number of a rule or an event, exact as long as it is whole.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    Int(i64),
    Float(f64),
}

impl Number {
    /// The number that a value is, or that its text spells.
    pub(super) fn of(value: &Value<'_>) -> Option<Self> {
        match value {
            Value::Int(number) => Some(Self::Int(*number)),
            Value::Float(number) => Some(Self::Float(*number)),
            Value::Str(text) => {
                let text = text.trim();
                let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
                if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
                    return None;
                }
                text.parse()
                    .map(Self::Int)
                    .or_else(|_| text.parse().map(Self::Float))
                    .ok()
            }
            Value::Null | Value::Bool(_) | Value::List(_) | Value::Map(_) => None,
        }
    }

    fn cmp(self, other: Self) -> Option<std::cmp::Ordering> {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => Some(a.cmp(&b)),
            (a, b) => a.float().partial_cmp(&b.float()),
        }
    }

    fn float(self) -> f64 {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "one side is a float already")]
            Self::Int(number) => number as f64,
            Self::Float(number) => number,
        }
    }

    fn satisfies(self, order: Order, bound: Self) -> bool {
        self.cmp(bound).is_some_and(|ordering| match order {
            Order::Less => ordering.is_lt(),
            Order::LessOrEqual => ordering.is_le(),
            Order::Greater => ordering.is_gt(),
            Order::GreaterOrEqual => ordering.is_ge(),
        })
    }
}

/// What a field is compared with. The field matches when one of its values satisfies one of these.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    pub(super) cased: bool,
    /// A missing or null field matches.
    pub(super) null: bool,
    /// The field must be there, or must not.
    pub(super) exists: Option<bool>,
    /// Fields (by their number) whose value it is compared with.
    pub(super) fields: Vec<(u32, Place)>,
    always: bool,
    equals: Vec<Box<str>>,
    starts: Vec<Box<str>>,
    ends: Vec<Box<str>>,
    contains: Option<Contains>,
    expressions: Vec<(Regex, bool)>,
    numbers: Vec<Number>,
    orders: Vec<(Order, Number)>,
    networks: Vec<IpNet>,
}

#[derive(Debug)]
enum Contains {
    Few(Vec<Finder<'static>>),
    Many(AhoCorasick),
}

/// What a comparison is made of, before it is arranged for speed.
#[derive(Debug, Default)]
pub(super) struct Values {
    pub(super) texts: Vec<TextTest>,
    /// Regular expressions of the rule see the text as it is, those that stand for wildcards see lower case.
    pub(super) raw_expressions: bool,
    pub(super) numbers: Vec<Number>,
    pub(super) orders: Vec<(Order, Number)>,
    pub(super) networks: Vec<IpNet>,
}

impl Comparison {
    /// Arranges values for speed.
    ///
    /// # Errors
    /// They are too many to search for at once.
    pub(super) fn new(cased: bool, values: Values) -> Result<Self, String> {
        let mut own = Self {
            cased,
            numbers: values.numbers,
            orders: values.orders,
            networks: values.networks,
            ..Self::default()
        };
        let mut contains = Vec::new();
        for text in values.texts {
            match text {
                TextTest::Always => own.always = true,
                TextTest::Equals(text) => own.equals.push(text.into()),
                TextTest::StartsWith(text) => own.starts.push(text.into()),
                TextTest::EndsWith(text) => own.ends.push(text.into()),
                TextTest::Contains(text) => contains.push(text),
                TextTest::Regex(regex, _) => own.expressions.push((regex, values.raw_expressions)),
            }
        }
        own.equals.sort_unstable();
        own.equals.dedup();
        own.contains = match contains.len() {
            0 => None,
            n if n < ONE_PASS_FROM => Some(Contains::Few(
                contains.iter().map(|text| Finder::new(text).into_owned()).collect(),
            )),
            _ => Some(Contains::Many(
                AhoCorasick::new(&contains).map_err(|error| error.to_string())?,
            )),
        };
        Ok(own)
    }

    /// How long it takes, roughly, beside other comparisons: in steps over a short value.
    pub(super) fn cost(&self) -> usize {
        let contains = match &self.contains {
            None => 0,
            Some(Contains::Few(finders)) => 10 * finders.len(),
            Some(Contains::Many(_)) => 50,
        };
        1 + self.equals.len().min(4)
            + self.numbers.len()
            + self.orders.len()
            + 2 * (self.starts.len() + self.ends.len())
            + 10 * (self.networks.len() + self.fields.len())
            + contains
            + 100 * self.expressions.len()
    }

    /// Whether one value of an event satisfies it; `fields` are compared elsewhere.
    pub(super) fn satisfied_by(&self, seen: Seen<'_>) -> bool {
        let number = |wanted: bool| if wanted { seen.value.and_then(Number::of) } else { None };
        // Numbers are equal as numbers only when the event has a number; text that spells one is compared as text.
        let is_number = matches!(seen.value, Some(Value::Int(_) | Value::Float(_)));
        if is_number
            && let Some(own) = number(!self.numbers.is_empty())
            && self
                .numbers
                .iter()
                .any(|other| own.cmp(*other).is_some_and(std::cmp::Ordering::is_eq))
        {
            return true;
        }
        if let Some(own) = number(!self.orders.is_empty())
            && self.orders.iter().any(|(order, bound)| own.satisfies(*order, *bound))
        {
            return true;
        }
        let raw = seen.raw;
        let text = if self.cased { raw } else { seen.lower };
        self.always
            || (!self.equals.is_empty() && self.equals.binary_search_by(|own| (**own).cmp(text)).is_ok())
            || self.ends.iter().any(|end| text.ends_with(&**end))
            || self.starts.iter().any(|start| text.starts_with(&**start))
            || match &self.contains {
                None => false,
                Some(Contains::Few(finders)) => finders.iter().any(|finder| finder.find(text.as_bytes()).is_some()),
                Some(Contains::Many(finders)) => finders.is_match(text),
            }
            || self
                .expressions
                .iter()
                .any(|(regex, of_raw)| regex.is_match(if *of_raw { raw } else { text }))
            || (!self.networks.is_empty()
                && address(raw).is_some_and(|address| self.networks.iter().any(|net| within(net, address))))
    }
}

fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim().trim_start_matches('[').trim_end_matches(']');
    text.split('%').next()?.parse().ok()
}

/// An IPv4 address in IPv6 clothes is in the networks of both.
fn within(net: &IpNet, address: IpAddr) -> bool {
    net.contains(&address) || net.contains(&address.to_canonical())
}

/// Compares two texts in a place, as a `fieldref` asks.
pub(super) fn holds(text: &str, other: &str, place: Place) -> bool {
    match place {
        Place::Whole => text == other,
        Place::Start => text.starts_with(other),
        Place::End => text.ends_with(other),
        Place::Anywhere => text.contains(other),
    }
}
