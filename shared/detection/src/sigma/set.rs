//! All rules, compiled once.

use std::borrow::Cow;

use super::correlation::Correlation;
use super::detection::{Detection, Interner};
use super::evaluate::Evaluation;
use super::evidence::Evidence;
use super::load;
use super::prefilter::RawPrefilter;
use super::route::Routes;
use super::rule::Rule;
use crate::Event;

/// A document that did not load.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct SetAside {
    /// The file it is in.
    pub file: String,
    /// Why, naming what is wrong with it.
    pub reason: String,
}

/// A rule that matches an event.
#[derive(Clone, Debug)]
pub struct RuleMatch<'r> {
    /// Which.
    pub rule: &'r Rule,
    /// The fields and values that made it match; empty when it matches by what is absent.
    pub evidence: Vec<Evidence>,
}

/// Rules, correlations and filters, compiled once and shared by all threads.
pub struct RuleSet {
    pub(super) hash: String,
    pub(super) rules: Vec<Rule>,
    pub(super) detections: Vec<Detection>,
    pub(super) interner: Interner,
    pub(super) correlations: Vec<Correlation>,
    /// For each rule, the correlations that count it.
    pub(super) feeds: Vec<Vec<u32>>,
    /// For each correlation, the correlations that count it.
    pub(super) chains: Vec<Vec<u32>>,
    pub(super) set_aside: Vec<SetAside>,
    pub(super) raw: RawPrefilter,
    pub(super) routes: Routes,
}

impl RuleSet {
    /// Compiles what loads; a document that does not is set aside with its reason. Each file is `(name, text)` and may
    /// hold several documents: rules, correlations, filters. Never panics, whatever the text.
    #[must_use]
    pub fn load<'a>(files: impl IntoIterator<Item = (Cow<'a, str>, Cow<'a, str>)>) -> Self {
        load::load(files.into_iter().collect())
    }

    /// Names this set: 16 hexadecimal digits over the content of everything in it, whatever the files' names and order.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// In the order of their ids.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// In the order of their ids.
    #[must_use]
    pub fn correlations(&self) -> &[Correlation] {
        &self.correlations
    }

    /// What did not load, in the order of files.
    #[must_use]
    pub fn set_aside(&self) -> &[SetAside] {
        &self.set_aside
    }

    /// False: no rule can match these bytes, whatever a decoder makes of them. It is a scan, not a parse.
    ///
    /// A rule helps only if it cannot match without some text in a field that decoders copy
    /// ([`copied_verbatim`](super::copied_verbatim)) or in the line itself; one rule that can makes this true for every
    /// line.
    #[must_use]
    pub fn might_match(&self, raw: &[u8]) -> bool {
        self.raw.might_match(raw)
    }

    /// The rules that can match without any text that a raw line must show: those for which
    /// [`might_match`](Self::might_match) says true of every line.
    pub fn unfiltered(&self) -> impl Iterator<Item = &Rule> {
        let unfiltered = RawPrefilter::unfiltered(&self.detections, &self.interner.tests, &self.interner.fields);
        unfiltered.into_iter().filter_map(|index| self.rules.get(index))
    }

    /// Every rule that matches, in the order of ids.
    #[must_use]
    pub fn matches<'r>(&'r self, event: &Event<'_>) -> Vec<RuleMatch<'r>> {
        self.evaluate(event, |evaluation| self.routes.choose(&mut evaluation.lookup))
    }

    /// As [`matches`](Self::matches), trying every rule of the event's log source: what the prefilter is tested against.
    #[must_use]
    pub fn matches_unfiltered<'r>(&'r self, event: &Event<'_>) -> Vec<RuleMatch<'r>> {
        self.evaluate(event, |evaluation| self.routes.choose_all(&mut evaluation.lookup))
    }

    fn evaluate<'r>(&'r self, event: &Event<'_>, choose: impl FnOnce(&mut Evaluation<'_, '_>)) -> Vec<RuleMatch<'r>> {
        let mut evaluation = Evaluation::new(&self.interner, self.rules.len(), event);
        choose(&mut evaluation);
        let mut found = Vec::new();
        let chosen = std::mem::take(&mut evaluation.lookup.candidates.chosen);
        for index in &chosen {
            let detection = &self.detections[*index as usize];
            if evaluation.matches(detection) {
                found.push(RuleMatch {
                    rule: &self.rules[*index as usize],
                    evidence: evaluation.evidence(detection),
                });
            }
        }
        evaluation.lookup.candidates.chosen = chosen;
        found
    }

    /// The rule of this id.
    #[must_use]
    pub fn rule(&self, id: &str) -> Option<&Rule> {
        let index = self.rules.binary_search_by(|rule| rule.id.as_str().cmp(id)).ok()?;
        self.rules.get(index)
    }

    /// The correlation of this id.
    #[must_use]
    pub fn correlation(&self, id: &str) -> Option<&Correlation> {
        let index = self.correlations.binary_search_by(|own| own.id.as_str().cmp(id)).ok()?;
        self.correlations.get(index)
    }

    /// The correlations that count a rule's matches, in the order of their ids. `rule` is one of this set.
    pub fn correlations_of(&self, rule: &Rule) -> impl Iterator<Item = &Correlation> {
        let feeds = self.feeds.get(rule.index).map(Vec::as_slice).unwrap_or_default();
        feeds.iter().filter_map(|index| self.correlations.get(*index as usize))
    }

    /// The correlations that count a correlation's windows, in the order of their ids. `inner` is one of this set.
    pub fn correlations_over(&self, inner: &Correlation) -> impl Iterator<Item = &Correlation> {
        let chains = self.chains.get(inner.index).map(Vec::as_slice).unwrap_or_default();
        chains.iter().filter_map(|index| self.correlations.get(*index as usize))
    }
}

impl std::fmt::Debug for RuleSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RuleSet")
            .field("hash", &self.hash)
            .field("rules", &self.rules.len())
            .field("correlations", &self.correlations.len())
            .field("set_aside", &self.set_aside.len())
            .finish_non_exhaustive()
    }
}
