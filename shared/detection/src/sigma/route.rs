//! From an event to the rules worth evaluating: by its log source, then by texts in its fields.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use aho_corasick::{AhoCorasick, AhoCorasickKind};

use super::detection::{Detection, Interner};
use super::evaluate::Evaluation;
use super::prefilter::{In, needs};
use super::rule::Rule;
use crate::LogSource;

/// A letter that expressions without regard to case take for `s`, but that is lower case itself.
const LONG_S: &str = "\u{17f}";
/// Automata over more text than this take the smaller form.
const MOST_IN_DFA: usize = 256 * 1024;

/// All rules, by the log source they ask for.
#[derive(Default)]
pub(super) struct Routes {
    numbers: HashMap<LogSource, usize>,
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
    finder: AhoCorasick,
    /// For each text its rules; the text after the last stands for all of them.
    waiting: Vec<Vec<u32>>,
}

impl Routes {
    pub(super) fn new(rules: &[Rule], detections: &[Detection], interner: &Interner) -> Self {
        let mut own = Self::default();
        let mut texts: Vec<BTreeMap<u32, BTreeMap<String, Vec<u32>>>> = Vec::new();
        for ((index, rule), detection) in (0u32..).zip(rules).zip(detections) {
            let number = *own.numbers.entry(rule.logsource.clone()).or_insert_with(|| {
                own.buckets.push(Bucket::default());
                texts.push(BTreeMap::new());
                own.buckets.len() - 1
            });
            let bucket = &mut own.buckets[number];
            bucket.all.push(index);
            match needs(detection, &interner.tests, &interner.fields, In::Values) {
                None => bucket.always.push(index),
                Some(needed) => {
                    for (field, text) in needed {
                        let waiting = texts[number].entry(field).or_default().entry(text).or_default();
                        if waiting.last() != Some(&index) {
                            waiting.push(index);
                        }
                    }
                }
            }
        }
        for (bucket, fields) in own.buckets.iter_mut().zip(texts) {
            for (field, texts) in fields {
                match FieldSearch::new(field, texts) {
                    Ok(search) => bucket.searches.push(search),
                    Err(rules) => bucket.always.extend(rules),
                }
            }
            bucket.always.sort_unstable();
            bucket.always.dedup();
        }
        own
    }

    /// The buckets whose every named part is this event's.
    fn of(&self, source: &LogSource) -> impl Iterator<Item = &Bucket> {
        let part = |keep: bool, part: &Option<Cow<'static, str>>| if keep { part.clone() } else { None };
        let mut found = [usize::MAX; 8];
        for (bits, slot) in found.iter_mut().enumerate() {
            let asked = LogSource {
                category: part(bits & 1 != 0, &source.category),
                product: part(bits & 2 != 0, &source.product),
                service: part(bits & 4 != 0, &source.service),
            };
            *slot = self.numbers.get(&asked).copied().unwrap_or(usize::MAX);
        }
        // Absent parts ask the same question twice.
        found.sort_unstable();
        let mut last = usize::MAX;
        found
            .into_iter()
            .filter(move |number| *number != usize::MAX && std::mem::replace(&mut last, *number) != *number)
            .filter_map(|number| self.buckets.get(number))
    }

    /// Every rule of an event's log source, in their order.
    pub(super) fn all(&self, source: &LogSource) -> Vec<u32> {
        let mut rules: Vec<u32> = self.of(source).flat_map(|bucket| bucket.all.iter().copied()).collect();
        rules.sort_unstable();
        rules
    }

    /// The rules that the log source and the texts in the fields leave, in their order.
    pub(super) fn candidates(&self, evaluation: &mut Evaluation<'_, '_>) -> Vec<u32> {
        let mut rules = Vec::new();
        for bucket in self.of(evaluation.logsource()) {
            rules.extend(&bucket.always);
            for search in &bucket.searches {
                evaluation.texts(search.field, |text| search.add(text, &mut rules));
            }
        }
        rules.sort_unstable();
        rules.dedup();
        rules
    }
}

impl FieldSearch {
    /// The rules, if the texts are too many to search for at once.
    fn new(field: u32, texts: BTreeMap<String, Vec<u32>>) -> Result<Self, Vec<u32>> {
        let size: usize = texts.keys().map(String::len).sum();
        let kind = if size <= MOST_IN_DFA {
            AhoCorasickKind::DFA
        } else {
            AhoCorasickKind::ContiguousNFA
        };
        let built = AhoCorasick::builder()
            .kind(Some(kind))
            .build(texts.keys().map(String::as_str).chain([LONG_S]));
        let waiting: Vec<_> = texts.into_values().collect();
        match built {
            Ok(finder) => Ok(Self { field, finder, waiting }),
            Err(_) => Err(waiting.concat()),
        }
    }

    /// Adds the rules that wait for what this lower-case text holds.
    fn add(&self, text: &str, rules: &mut Vec<u32>) {
        let mut last = usize::MAX;
        for found in self.finder.find_overlapping_iter(text) {
            let pattern = found.pattern().as_usize();
            if pattern == last {
                continue;
            }
            last = pattern;
            match self.waiting.get(pattern) {
                Some(waiting) => rules.extend(waiting),
                None => self.waiting.iter().for_each(|waiting| rules.extend(waiting)),
            }
        }
    }
}
