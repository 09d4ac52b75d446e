//! From an event to the rules worth evaluating: by its log source, then by texts in its fields.

use std::collections::{BTreeMap, HashMap};

use aho_corasick::automaton::Automaton;
use aho_corasick::{Anchored, dfa, nfa, packed};

use super::detection::{Detection, Interner, LINE};
use super::lookup::{Candidates, Lookup};
use super::prefilter::{In, needs};
use super::rule::Rule;
use crate::names::Names;
use crate::{Event, LogSource};

/// A letter that expressions without regard to case take for `s`, but that is lower case itself.
const LONG_S: &str = "\u{17f}";
/// Automata over more text than this take the smaller form.
const MOST_IN_DFA: usize = 256 * 1024;
/// Up to this many texts, no shorter than this, are first looked for many bytes at a time, in values at least this long.
const FEW: (usize, usize, usize) = (64, 3, 64);
/// A part that a rule does not name.
const ANY: u64 = 0;
/// A part that no event has, because it is empty.
const NEVER: u64 = (1 << BITS) - 1;
/// Each part of a log source takes this many bits of its key.
const BITS: u32 = 21;

/// All rules, by the log source they ask for.
#[derive(Default)]
pub(super) struct Routes {
    /// What rules write in each part, numbered.
    parts: Names,
    /// The keys of the buckets, sorted, beside them.
    keys: Vec<u64>,
    buckets: Vec<Bucket>,
}

/// The rules of one log source.
#[derive(Default)]
struct Bucket {
    all: Vec<u32>,
    /// Those that no text excludes.
    always: Vec<u32>,
    searches: Vec<FieldSearch>,
}

/// Texts in a field, and the rules that cannot match without them.
struct FieldSearch {
    field: u32,
    /// Says quickly that there is nothing in a long value.
    glance: Option<packed::Searcher>,
    finder: Finder,
    /// For each text its rules; the text after the last stands for all of them.
    waiting: Vec<Vec<u32>>,
}

/// Texts, each with the rules that wait for it.
type Waiting = BTreeMap<String, Vec<u32>>;

enum Finder {
    Table(dfa::DFA),
    Compact(nfa::contiguous::NFA),
}

impl Routes {
    pub(super) fn new(rules: &[Rule], detections: &[Detection], interner: &Interner) -> Self {
        let mut numbers: HashMap<&LogSource, usize> = HashMap::new();
        let mut buckets: Vec<(Bucket, BTreeMap<u32, Waiting>)> = Vec::new();
        for ((index, rule), detection) in (0u32..).zip(rules).zip(detections) {
            let number = *numbers.entry(&rule.logsource).or_insert_with(|| {
                buckets.push(Default::default());
                buckets.len() - 1
            });
            let (bucket, texts) = &mut buckets[number];
            bucket.all.push(index);
            match needs(detection, &interner.tests, &interner.fields, In::Values) {
                None => bucket.always.push(index),
                Some(needed) => {
                    for (field, text) in needed {
                        let waiting = texts.entry(field).or_default().entry(text).or_default();
                        if waiting.last() != Some(&index) {
                            waiting.push(index);
                        }
                    }
                }
            }
        }
        let named = |source: &LogSource| [&source.category, &source.product, &source.service].map(Clone::clone);
        let mut parts: Vec<_> = numbers.keys().flat_map(|source| named(source)).flatten().collect();
        parts.sort_unstable();
        parts.dedup();
        let mut own = Self {
            parts: Names::new(parts.iter().map(AsRef::as_ref)),
            ..Self::default()
        };
        let mut keyed: Vec<(u64, Bucket)> = numbers
            .into_iter()
            .map(|(source, number)| {
                let (mut bucket, texts) = std::mem::take(&mut buckets[number]);
                for (field, texts) in texts {
                    match FieldSearch::new(field, texts) {
                        Ok(search) => bucket.searches.push(search),
                        Err(rules) => bucket.always.extend(rules),
                    }
                }
                bucket.always.sort_unstable();
                bucket.always.dedup();
                let parts = named(source).map(|part| part.map_or(ANY, |part| own.part(&part).unwrap_or(NEVER)));
                (key(parts[0], parts[1], parts[2]), bucket)
            })
            .collect();
        keyed.sort_unstable_by_key(|(key, _)| *key);
        (own.keys, own.buckets) = keyed.into_iter().unzip();
        own
    }

    /// The number of a part; `None`: no rule names it.
    fn part(&self, part: &str) -> Option<u64> {
        self.parts.number(part).map(|number| u64::from(number) + 1)
    }

    /// The buckets whose every named part is this event's, each once.
    fn of(&self, event: &Event<'_>) -> impl Iterator<Item = &Bucket> {
        let source = &event.logsource;
        let number = |part: &Option<std::borrow::Cow<'static, str>>| part.as_deref().and_then(|part| self.part(part));
        let (own, product, service) = (
            number(&source.category),
            number(&source.product),
            number(&source.service),
        );
        let also = event.also.iter().filter_map(|category| self.part(category));
        let categories = [Some(ANY), own]
            .into_iter()
            .flatten()
            .chain(also.filter(move |also| Some(*also) != own));
        categories
            .flat_map(move |category| {
                let products = [Some(ANY), product].into_iter().flatten();
                products.map(move |product| (category, product))
            })
            .flat_map(move |(category, product)| {
                let services = [Some(ANY), service].into_iter().flatten();
                services.map(move |service| key(category, product, service))
            })
            .filter_map(|key| self.keys.binary_search(&key).ok())
            .filter_map(|number| self.buckets.get(number))
    }

    /// Chooses every rule of an event's log source.
    pub(super) fn choose_all(&self, lookup: &mut Lookup<'_, '_>) {
        for bucket in self.of(lookup.event) {
            bucket.all.iter().for_each(|rule| lookup.candidates.add(*rule));
        }
        lookup.candidates.sort();
    }

    /// Chooses the rules that the log source and the texts in the fields leave.
    pub(super) fn choose(&self, lookup: &mut Lookup<'_, '_>) {
        for bucket in self.of(lookup.event) {
            bucket.always.iter().for_each(|rule| lookup.candidates.add(*rule));
            for search in &bucket.searches {
                if search.field == LINE {
                    lookup.search_line(|text, candidates| search.add(text, candidates));
                } else {
                    lookup.search(search.field, |text, candidates| search.add(text, candidates));
                }
            }
        }
        lookup.candidates.sort();
    }
}

/// Of the numbers of a category, a product and a service.
fn key(category: u64, product: u64, service: u64) -> u64 {
    category << (2 * BITS) | product << BITS | service
}

impl FieldSearch {
    /// The rules, if the texts are too many to search for at once.
    fn new(field: u32, texts: Waiting) -> Result<Self, Vec<u32>> {
        let size: usize = texts.keys().map(String::len).sum();
        let patterns = || texts.keys().map(String::as_str).chain([LONG_S]);
        let built = if size <= MOST_IN_DFA {
            dfa::DFA::new(patterns()).map(Finder::Table)
        } else {
            nfa::contiguous::NFA::new(patterns()).map(Finder::Compact)
        };
        let (most, shortest, _) = FEW;
        let few = texts.len() <= most && texts.keys().all(|text| text.len() >= shortest);
        let glance = few.then(|| packed::Searcher::new(texts.keys().map(String::as_str)));
        match built {
            Ok(finder) => Ok(Self {
                field,
                glance: glance.flatten(),
                finder,
                waiting: texts.into_values().collect(),
            }),
            Err(_) => Err(texts.into_values().flatten().collect()),
        }
    }

    /// Adds the rules that wait for what this lower-case text holds.
    fn add(&self, text: &str, candidates: &mut Candidates) {
        if let Some(glance) = &self.glance
            && text.len() >= FEW.2
            && glance.find(text).is_none()
            && memchr::memchr(LONG_S.as_bytes()[0], text.as_bytes()).is_none()
        {
            return;
        }
        match &self.finder {
            Finder::Table(finder) => self.find(finder, text, candidates),
            Finder::Compact(finder) => self.find(finder, text, candidates),
        }
    }

    #[inline(always)]
    fn find(&self, finder: &impl Automaton, text: &str, candidates: &mut Candidates) {
        let Ok(mut state) = finder.start_state(Anchored::No) else {
            return;
        };
        for byte in text.bytes() {
            state = finder.next_state(Anchored::No, state, byte);
            if finder.is_special(state) && finder.is_match(state) {
                for index in 0..finder.match_len(state) {
                    match self.waiting.get(finder.match_pattern(state, index).as_usize()) {
                        Some(waiting) => waiting.iter().for_each(|rule| candidates.add(*rule)),
                        None => self.waiting.iter().flatten().for_each(|rule| candidates.add(*rule)),
                    }
                }
            }
        }
    }
}
