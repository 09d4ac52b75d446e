//! The fields of one event as rules ask for them: each looked up once and lower-cased once, in memory that serves the next
//! event again.

use std::cell::Cell;
use std::fmt::Write as _;

use super::detection::{Interner, LINE};
use super::pattern::lower_onto;
use crate::{Event, Fields, Value};

/// Deeper values than this are out of sight; decoders do not make them.
const MAX_DEPTH: usize = 128;
/// Memory for texts beyond this is given back after an event.
const MOST_KEPT: usize = 1 << 20;

/// A value of an event with the forms in which it is compared.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leaf<'e> {
    pub(super) value: Option<&'e Value<'e>>,
    /// As it is; `None` for a number, whose text is what `lower` says.
    raw: Option<&'e str>,
    /// Where its lower case is among the texts.
    lower: (usize, usize),
}

/// A leaf as a comparison sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen<'v> {
    pub(super) value: Option<&'v Value<'v>>,
    pub(super) raw: &'v str,
    pub(super) lower: &'v str,
}

/// What was found for a field.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) present: bool,
    /// It is missing, or all there is of it is null.
    pub(super) null: bool,
    leaves: (usize, usize),
}

const ABSENT: Found = Found {
    present: false,
    null: true,
    leaves: (0, 0),
};

/// What is known of a field of the rules in this event. It is known when the number is the event's.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    /// A field of the event has exactly this name: which.
    named: u32,
    name: u32,
    /// It was looked up: where in `found`.
    looked_up: u32,
    found: u32,
}

/// What one event leaves behind for the next of its thread, whatever the rule set.
#[derive(Default)]
struct Memory {
    event: u32,
    slots: Vec<Slot>,
    outcomes: Vec<u32>,
    marks: Vec<u32>,
    chosen: Vec<u32>,
    texts: String,
    found: Vec<Found>,
    leaves: Vec<Leaf<'static>>,
}

thread_local! {
    static MEMORY: Cell<Memory> = Cell::default();
}

/// Rules that are worth evaluating on this event, each once.
pub(super) struct Candidates {
    event: u32,
    marks: Vec<u32>,
    pub(super) chosen: Vec<u32>,
}

impl Candidates {
    #[inline]
    pub(super) fn add(&mut self, rule: u32) {
        if let Some(mark) = self.marks.get_mut(rule as usize)
            && *mark != self.event
        {
            *mark = self.event;
            self.chosen.push(rule);
        }
    }

    /// In the order of the rules.
    pub(super) fn sort(&mut self) {
        self.chosen.sort_unstable();
    }
}

/// The outcomes of tests of this event.
pub(super) struct Outcomes {
    event: u32,
    known: Vec<u32>,
}

impl Outcomes {
    #[inline]
    pub(super) fn get(&self, test: u32) -> Option<bool> {
        let known = self.known[test as usize];
        (known >> 1 == self.event).then_some(known & 1 == 1)
    }

    #[inline]
    pub(super) fn set(&mut self, test: u32, outcome: bool) {
        self.known[test as usize] = self.event << 1 | u32::from(outcome);
    }
}

/// One event under evaluation.
pub(super) struct Lookup<'s, 'e> {
    interner: &'s Interner,
    pub(super) event: &'e Event<'e>,
    /// Some field of the event holds others.
    nested: bool,
    /// Where the text is that [`search_line`](Self::search_line) shows.
    line: Option<(usize, usize)>,
    number: u32,
    slots: Vec<Slot>,
    found: Vec<Found>,
    leaves: Vec<Leaf<'e>>,
    texts: String,
    pub(super) outcomes: Outcomes,
    pub(super) candidates: Candidates,
}

impl<'s, 'e> Lookup<'s, 'e> {
    pub(super) fn new(interner: &'s Interner, rules: usize, event: &'e Event<'e>) -> Self {
        let mut memory = MEMORY.take();
        memory.event += 1;
        if memory.event > u32::MAX >> 1 {
            memory = Memory {
                event: 1,
                ..Memory::default()
            };
        }
        let number = memory.event;
        let at_least = |length: usize, wanted: usize| length.max(wanted);
        memory
            .slots
            .resize(at_least(memory.slots.len(), interner.fields.len()), Slot::default());
        memory
            .outcomes
            .resize(at_least(memory.outcomes.len(), interner.tests.len()), 0);
        memory.marks.resize(at_least(memory.marks.len(), rules), 0);
        memory.found.push(ABSENT);
        let mut own = Self {
            interner,
            event,
            nested: false,
            line: None,
            number,
            slots: memory.slots,
            found: memory.found,
            leaves: emptied(memory.leaves),
            texts: memory.texts,
            outcomes: Outcomes {
                event: number,
                known: memory.outcomes,
            },
            candidates: Candidates {
                event: number,
                marks: memory.marks,
                chosen: memory.chosen,
            },
        };
        own.name();
        own
    }

    /// Numbers the event's fields by the names that rules know. The first of a name counts, and an original one before a
    /// normalised one; a name with dots may be found among the original fields' own fields, which comes first too.
    fn name(&mut self) {
        let names = &self.interner.names;
        let original = &self.event.original.0;
        for (index, (name, value)) in (0u32..).zip(original) {
            self.nested |= holds_fields(value);
            if let Some(field) = names.number(name) {
                self.slots[field as usize].claim(self.number, index);
            }
        }
        for (index, (name, _)) in (0u32..)
            .zip(&self.event.ecs.0)
            .map(|(index, field)| (index + len(original), field))
        {
            if let Some(field) = names.number(name)
                && !(self.nested && self.interner.dotted[field as usize])
            {
                self.slots[field as usize].claim(self.number, index);
            }
        }
    }

    fn named(&self, index: u32) -> Option<&'e Value<'e>> {
        let original = &self.event.original.0;
        let field = match index.checked_sub(len(original)) {
            None => original.get(index as usize),
            Some(index) => self.event.ecs.0.get(index as usize),
        };
        field.map(|(_, value)| value)
    }

    /// Looks a field up, unless it has been.
    #[inline]
    pub(super) fn field(&mut self, field: u32) -> Found {
        let slot = self.slots[field as usize];
        if slot.looked_up == self.number {
            return self.found[slot.found as usize];
        }
        if slot.named != self.number && field != LINE && !(self.nested && self.interner.dotted[field as usize]) {
            return ABSENT;
        }
        self.look_up(field, slot)
    }

    fn look_up(&mut self, field: u32, slot: Slot) -> Found {
        let from = self.leaves.len();
        let mut found = ABSENT;
        if field == LINE {
            found = Found {
                present: true,
                null: false,
                ..ABSENT
            };
            self.text(None, self.event.raw);
            for (_, value) in &self.event.original.0 {
                self.add(value, &mut found, true, 0);
            }
        } else if slot.named == self.number {
            if let Some(value) = self.named(slot.name) {
                self.add(value, &mut found, false, 0);
            }
        } else {
            let name = &self.interner.fields[field as usize];
            match self.event.field(name) {
                Some(value) => self.add(value, &mut found, false, 0),
                None => self.through_lists(&self.event.original, name, &mut found, 0),
            }
        }
        found.leaves = (from, self.leaves.len());
        let slot = &mut self.slots[field as usize];
        slot.looked_up = self.number;
        slot.found = u32::try_from(self.found.len()).unwrap_or(0);
        self.found.push(found);
        found
    }

    /// The values of a field.
    #[inline]
    pub(super) fn seen(&self, found: Found) -> impl Iterator<Item = Seen<'_>> {
        self.leaves[found.leaves.0..found.leaves.1].iter().map(|leaf| {
            let lower = &self.texts[leaf.lower.0..leaf.lower.1];
            Seen {
                value: leaf.value,
                raw: leaf.raw.unwrap_or(lower),
                lower,
            }
        })
    }

    /// Shows `show` every value of a field as lower-case text, and lets it add candidates.
    #[inline]
    pub(super) fn search(&mut self, field: u32, mut show: impl FnMut(&str, &mut Candidates)) {
        let found = self.field(field);
        for leaf in &self.leaves[found.leaves.0..found.leaves.1] {
            show(&self.texts[leaf.lower.0..leaf.lower.1], &mut self.candidates);
        }
    }

    /// As [`search`](Self::search), for the whole line and all values that do not stand in it as they are.
    pub(super) fn search_line(&mut self, mut show: impl FnMut(&str, &mut Candidates)) {
        if self.line.is_none() {
            let from = self.texts.len();
            lower_onto(&mut self.texts, self.event.raw);
            let line = self.event.raw.as_bytes().as_ptr_range();
            for (_, value) in &self.event.original.0 {
                beside(value, &line, &mut self.texts, 0);
            }
            self.line = Some((from, self.texts.len()));
        }
        if let Some((from, to)) = self.line {
            show(&self.texts[from..to], &mut self.candidates);
        }
    }

    fn text(&mut self, value: Option<&'e Value<'e>>, raw: &'e str) {
        let from = self.texts.len();
        lower_onto(&mut self.texts, raw);
        self.leaves.push(Leaf {
            value,
            raw: Some(raw),
            lower: (from, self.texts.len()),
        });
    }

    /// Adds a value; those of a list one by one, and those of a map only where the whole line is searched.
    fn add(&mut self, value: &'e Value<'e>, found: &mut Found, into_maps: bool, depth: usize) {
        found.present = true;
        if depth > MAX_DEPTH {
            return;
        }
        match value {
            Value::Null => return,
            Value::List(items) => {
                for item in items {
                    self.add(item, found, into_maps, depth + 1);
                }
                return;
            }
            Value::Map(fields) => {
                if into_maps {
                    for (_, value) in &fields.0 {
                        self.add(value, found, into_maps, depth + 1);
                    }
                }
            }
            Value::Str(text) => self.text(Some(value), text),
            Value::Bool(own) => self.text(Some(value), if *own { "true" } else { "false" }),
            Value::Int(number) => self.number(value, number),
            Value::Float(number) => self.number(value, number),
        }
        found.null = false;
    }

    fn number(&mut self, value: &'e Value<'e>, number: &dyn std::fmt::Display) {
        let from = self.texts.len();
        // Writing to a string cannot fail.
        let _ = write!(self.texts, "{number}");
        self.leaves.push(Leaf {
            value: Some(value),
            raw: None,
            lower: (from, self.texts.len()),
        });
    }

    /// Follows a dotted path through lists of maps, where any element may hold the rest of it.
    fn through_lists(&mut self, fields: &'e Fields<'e>, path: &str, found: &mut Found, depth: usize) {
        if depth > MAX_DEPTH {
            return;
        }
        if let Some(value) = fields.get(path) {
            self.add(value, found, false, 0);
            return;
        }
        for (dot, _) in path.match_indices('.').rev() {
            match fields.get(&path[..dot]) {
                Some(Value::Map(inner)) => self.through_lists(inner, &path[dot + 1..], found, depth + 1),
                Some(Value::List(items)) => {
                    for item in items {
                        if let Value::Map(inner) = item {
                            self.through_lists(inner, &path[dot + 1..], found, depth + 1);
                        }
                    }
                }
                _ => {}
            }
        }
    }
}

impl Drop for Lookup<'_, '_> {
    fn drop(&mut self) {
        let take = std::mem::take::<Vec<u32>>;
        let mut memory = Memory {
            event: self.number,
            slots: std::mem::take(&mut self.slots),
            outcomes: take(&mut self.outcomes.known),
            marks: take(&mut self.candidates.marks),
            chosen: take(&mut self.candidates.chosen),
            texts: std::mem::take(&mut self.texts),
            found: std::mem::take(&mut self.found),
            leaves: emptied(std::mem::take(&mut self.leaves)),
        };
        memory.chosen.clear();
        memory.found.clear();
        memory.texts.clear();
        memory.texts.shrink_to(MOST_KEPT);
        // A thread that ends takes no memory back.
        let _ = MEMORY.try_with(|kept| kept.set(memory));
    }
}

impl Slot {
    #[inline]
    fn claim(&mut self, event: u32, name: u32) {
        if self.named != event {
            (self.named, self.name) = (event, name);
        }
    }
}

/// The list's memory, for values of another lifetime.
fn emptied<'a, 'b>(mut leaves: Vec<Leaf<'a>>) -> Vec<Leaf<'b>> {
    leaves.clear();
    leaves.into_iter().map_while(|_| None).collect()
}

/// Appends, in lower case and apart from each other, the values whose text is not a part of the line.
fn beside(value: &Value<'_>, line: &std::ops::Range<*const u8>, texts: &mut String, depth: usize) {
    match value {
        _ if depth > MAX_DEPTH => {}
        Value::Str(text) if line.contains(&text.as_ptr()) => {}
        Value::Str(text) => {
            texts.push('\n');
            lower_onto(texts, text);
        }
        Value::Int(number) => drop(write!(texts, "\n{number}")),
        Value::Float(number) => drop(write!(texts, "\n{number}")),
        Value::Bool(own) => texts.push_str(if *own { "\ntrue" } else { "\nfalse" }),
        Value::List(items) => items.iter().for_each(|item| beside(item, line, texts, depth + 1)),
        Value::Map(fields) => fields
            .0
            .iter()
            .for_each(|(_, value)| beside(value, line, texts, depth + 1)),
        Value::Null => {}
    }
}

fn len<T>(fields: &[T]) -> u32 {
    u32::try_from(fields.len()).unwrap_or(u32::MAX)
}

fn holds_fields(value: &Value<'_>) -> bool {
    match value {
        Value::Map(_) => true,
        Value::List(items) => items.iter().any(holds_fields),
        _ => false,
    }
}
