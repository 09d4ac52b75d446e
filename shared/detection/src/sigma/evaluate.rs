//! Whether a rule matches an event, and because of what.

use std::borrow::Cow;

use super::comparison::{Leaf, holds};
use super::condition::Expr;
use super::detection::{Detection, Interner, LINE, Test};
use super::pattern::lower;
use crate::{Event, Fields, LogSource, Value};

/// Deeper values than this are out of sight; decoders do not make them.
const MAX_DEPTH: usize = 128;
/// A value is shown up to this many bytes.
const MAX_SHOWN: usize = 1024;
/// More fields than this explain nothing.
const MAX_EVIDENCE: usize = 32;

/// A field and its value that made a rule match.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize)]
pub struct Evidence {
    /// The field as the rule names it; `message` when a keyword was found in the line.
    pub field: String,
    /// Its value, at most 1 KiB of it.
    pub value: String,
}

/// A field of an event, looked up once.
struct Resolved<'e> {
    present: bool,
    /// It is missing, or all there is of it is null.
    null: bool,
    leaves: Vec<Leaf<'e>>,
}

const UNKNOWN: u8 = 0;

/// One event under evaluation: fields are looked up and tests made once, whatever the number of rules.
pub(super) struct Evaluation<'s, 'e> {
    interner: &'s Interner,
    event: &'e Event<'e>,
    /// For each field, 0 or one more than its place in `resolved`.
    slots: Vec<u32>,
    resolved: Vec<Resolved<'e>>,
    outcomes: Vec<u8>,
}

impl<'s, 'e> Evaluation<'s, 'e> {
    pub(super) fn new(interner: &'s Interner, event: &'e Event<'e>) -> Self {
        Self {
            interner,
            event,
            slots: vec![0; interner.fields.len()],
            resolved: Vec::new(),
            outcomes: vec![UNKNOWN; interner.tests.len()],
        }
    }

    pub(super) fn logsource(&self) -> &'e LogSource {
        &self.event.logsource
    }

    /// Shows every value of a field as lower-case text.
    pub(super) fn texts(&mut self, field: u32, mut show: impl FnMut(&str)) {
        let own = self.resolve(field);
        self.resolved[own]
            .leaves
            .iter()
            .filter_map(Leaf::lower)
            .for_each(&mut show);
    }

    pub(super) fn matches(&mut self, detection: &Detection) -> bool {
        self.condition(&detection.condition, detection)
    }

    fn condition(&mut self, expr: &Expr<usize>, detection: &Detection) -> bool {
        match expr {
            Expr::And(parts) => parts.iter().all(|part| self.condition(part, detection)),
            Expr::Or(parts) => parts.iter().any(|part| self.condition(part, detection)),
            Expr::Not(part) => !self.condition(part, detection),
            Expr::Leaf(search) => self.search(&detection.searches[*search].1),
        }
    }

    fn search(&mut self, expr: &Expr<u32>) -> bool {
        match expr {
            Expr::And(parts) => parts.iter().all(|part| self.search(part)),
            Expr::Or(parts) => parts.iter().any(|part| self.search(part)),
            Expr::Not(part) => !self.search(part),
            Expr::Leaf(test) => self.test(*test as usize),
        }
    }

    /// Whether a test holds.
    pub(super) fn test(&mut self, number: usize) -> bool {
        let known = self.outcomes[number];
        if known != UNKNOWN {
            return known == 2;
        }
        let interner = self.interner;
        let test = &interner.tests[number];
        let outcome = self.positive(test) != test.negated;
        self.outcomes[number] = 1 + u8::from(outcome);
        outcome
    }

    fn positive(&mut self, test: &Test) -> bool {
        let own = self.resolve(test.field);
        let comparison = &test.comparison;
        if let Some(wanted) = comparison.exists {
            return self.resolved[own].present == wanted;
        }
        if comparison.null && self.resolved[own].null {
            return true;
        }
        if self.resolved[own]
            .leaves
            .iter()
            .any(|leaf| comparison.satisfied_by(leaf))
        {
            return true;
        }
        comparison.fields.iter().any(|(field, place)| {
            let other = self.resolve(*field);
            let form = |leaf: &'_ Leaf<'e>| -> Option<String> {
                if comparison.cased {
                    leaf.text.as_deref()
                } else {
                    leaf.lower()
                }
                .map(str::to_owned)
            };
            let others: Vec<_> = self.resolved[other].leaves.iter().filter_map(form).collect();
            self.resolved[own]
                .leaves
                .iter()
                .filter_map(form)
                .any(|text| others.iter().any(|other| holds(&text, other, *place)))
        })
    }

    fn resolve(&mut self, field: u32) -> usize {
        let slot = self.slots[field as usize];
        if slot != 0 {
            return slot as usize - 1;
        }
        let mut found = Resolved {
            present: false,
            null: true,
            leaves: Vec::new(),
        };
        if field == LINE {
            found.present = true;
            found.null = false;
            found.leaves.push(leaf(None, Some(Cow::Borrowed(self.event.raw))));
            for (_, value) in &self.event.original.0 {
                add(value, &mut found, true, 0);
            }
        } else {
            let name = &self.interner.fields[field as usize];
            if let Some(value) = self.event.field(name) {
                add(value, &mut found, false, 0);
            } else if name.contains('.') {
                through_lists(&self.event.original, name, &mut found, 0);
            }
        }
        self.resolved.push(found);
        self.slots[field as usize] = u32::try_from(self.resolved.len()).unwrap_or(0);
        self.resolved.len() - 1
    }

    /// Whether a field is there, and every value of it as text.
    pub(super) fn shown(&mut self, field: u32) -> (bool, Vec<&str>) {
        let own = self.resolve(field);
        let found = &self.resolved[own];
        let texts = found.leaves.iter().filter_map(|leaf| leaf.text.as_deref());
        (found.present, texts.collect())
    }

    /// What made a matching rule match.
    pub(super) fn evidence(&mut self, detection: &Detection) -> Vec<Evidence> {
        let mut evidence = Vec::new();
        self.explain(&detection.condition, detection, &mut evidence);
        evidence
    }

    fn explain(&mut self, expr: &Expr<usize>, detection: &Detection, evidence: &mut Vec<Evidence>) {
        match expr {
            Expr::And(parts) | Expr::Or(parts) => {
                for part in parts {
                    if self.condition(part, detection) {
                        self.explain(part, detection, evidence);
                    }
                }
            }
            Expr::Not(_) => {}
            Expr::Leaf(search) => self.explain_search(&detection.searches[*search].1, evidence),
        }
    }

    fn explain_search(&mut self, expr: &Expr<u32>, evidence: &mut Vec<Evidence>) {
        match expr {
            Expr::And(parts) | Expr::Or(parts) => {
                for part in parts {
                    if self.search(part) {
                        self.explain_search(part, evidence);
                    }
                }
            }
            Expr::Not(_) => {}
            Expr::Leaf(number) if self.test(*number as usize) => {
                let interner = self.interner;
                let test = &interner.tests[*number as usize];
                let own = self.resolve(test.field);
                let leaves = &self.resolved[own].leaves;
                let by_value = !test.negated && test.comparison.exists.is_none() && test.comparison.fields.is_empty();
                let found = leaves
                    .iter()
                    .find(|leaf| !by_value || test.comparison.satisfied_by(leaf));
                let Some(text) = found.and_then(|leaf| leaf.text.as_deref()) else {
                    return;
                };
                let text = if test.field == LINE { around(text, test) } else { text };
                let name = interner.fields[test.field as usize].as_str();
                let shown = Evidence {
                    field: if test.field == LINE { "message" } else { name }.to_owned(),
                    value: text[..text.floor_char_boundary(MAX_SHOWN)].to_owned(),
                };
                if evidence.len() < MAX_EVIDENCE && !evidence.contains(&shown) {
                    evidence.push(shown);
                }
            }
            Expr::Leaf(_) => {}
        }
    }
}

/// The part of a long line that shows what was found in it.
fn around<'t>(text: &'t str, test: &Test) -> &'t str {
    if text.len() <= MAX_SHOWN || !text.is_ascii() {
        return text;
    }
    let lowered = lower(text);
    let found = test
        .needs
        .iter()
        .flatten()
        .find_map(|needed| lowered.find(needed.as_str()));
    &text[found.map_or(0, |at| at.saturating_sub(MAX_SHOWN / 4))..]
}

fn leaf<'e>(value: Option<&'e Value<'e>>, text: Option<Cow<'e, str>>) -> Leaf<'e> {
    let lowered = match text.as_deref().map(lower) {
        Some(Cow::Owned(lowered)) => Some(lowered),
        Some(Cow::Borrowed(_)) | None => None,
    };
    Leaf {
        value,
        text,
        lower: lowered,
    }
}

/// Adds a value; those of a list one by one, and those of a map only where the whole line is searched.
fn add<'e>(value: &'e Value<'e>, found: &mut Resolved<'e>, into_maps: bool, depth: usize) {
    found.present = true;
    if depth > MAX_DEPTH {
        return;
    }
    match value {
        Value::Null => {}
        Value::List(items) => items.iter().for_each(|item| add(item, found, into_maps, depth + 1)),
        Value::Map(fields) => {
            found.null = false;
            if into_maps {
                fields
                    .0
                    .iter()
                    .for_each(|(_, value)| add(value, found, into_maps, depth + 1));
            }
        }
        scalar => {
            found.null = false;
            found.leaves.push(leaf(Some(scalar), scalar.text()));
        }
    }
}

/// Follows a dotted path through lists of maps, where any element may hold the rest of it.
fn through_lists<'e>(fields: &'e Fields<'e>, path: &str, found: &mut Resolved<'e>, depth: usize) {
    if depth > MAX_DEPTH {
        return;
    }
    if let Some(value) = fields.get(path) {
        add(value, found, false, 0);
        return;
    }
    for (dot, _) in path.match_indices('.').rev() {
        match fields.get(&path[..dot]) {
            Some(Value::Map(inner)) => through_lists(inner, &path[dot + 1..], found, depth + 1),
            Some(Value::List(items)) => {
                for item in items {
                    if let Value::Map(inner) = item {
                        through_lists(inner, &path[dot + 1..], found, depth + 1);
                    }
                }
            }
            _ => {}
        }
    }
}
