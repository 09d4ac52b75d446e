//! Whether a rule matches an event: each test is made once, whatever the number of rules that share it.

use super::comparison::holds;
use super::condition::Expr;
use super::detection::{Detection, Interner, Test};
use super::lookup::{Lookup, Seen};
use crate::Event;

/// One event under evaluation.
pub(super) struct Evaluation<'s, 'e> {
    pub(super) interner: &'s Interner,
    pub(super) lookup: Lookup<'s, 'e>,
}

impl<'s, 'e> Evaluation<'s, 'e> {
    /// `rules` is how many there are.
    pub(super) fn new(interner: &'s Interner, rules: usize, event: &'e Event<'e>) -> Self {
        Self {
            interner,
            lookup: Lookup::new(interner, rules, event),
        }
    }

    pub(super) fn matches(&mut self, detection: &Detection) -> bool {
        self.search(&detection.plan)
    }

    /// The condition, by its search identifiers.
    pub(super) fn condition(&mut self, expr: &Expr<usize>, detection: &Detection) -> bool {
        match expr {
            Expr::And(parts) => parts.iter().all(|part| self.condition(part, detection)),
            Expr::Or(parts) => parts.iter().any(|part| self.condition(part, detection)),
            Expr::Not(part) => !self.condition(part, detection),
            Expr::Leaf(search) => self.search(&detection.searches[*search].1),
        }
    }

    pub(super) fn search(&mut self, expr: &Expr<u32>) -> bool {
        match expr {
            Expr::And(parts) => parts.iter().all(|part| self.search(part)),
            Expr::Or(parts) => parts.iter().any(|part| self.search(part)),
            Expr::Not(part) => !self.search(part),
            Expr::Leaf(test) => self.test(*test),
        }
    }

    #[inline]
    pub(super) fn test(&mut self, number: u32) -> bool {
        if let Some(known) = self.lookup.outcomes.get(number) {
            return known;
        }
        let interner = self.interner;
        let test = &interner.tests[number as usize];
        let outcome = self.positive(test) != test.negated;
        self.lookup.outcomes.set(number, outcome);
        outcome
    }

    /// Whether a field is there, and every value of it as text.
    pub(super) fn shown(&mut self, field: u32) -> (bool, Vec<&str>) {
        let found = self.lookup.field(field);
        (found.present, self.lookup.seen(found).map(|seen| seen.raw).collect())
    }

    fn positive(&mut self, test: &Test) -> bool {
        let own = self.lookup.field(test.field);
        let comparison = &test.comparison;
        if let Some(wanted) = comparison.exists {
            return own.present == wanted;
        }
        if comparison.null && own.null {
            return true;
        }
        if self.lookup.seen(own).any(|seen| comparison.satisfied_by(seen)) {
            return true;
        }
        comparison.fields.iter().any(|(field, place)| {
            let other = self.lookup.field(*field);
            let form = |seen: Seen<'_>| if comparison.cased { seen.raw } else { seen.lower }.to_owned();
            let others: Vec<String> = self.lookup.seen(other).map(form).collect();
            self.lookup
                .seen(own)
                .map(form)
                .any(|text| others.iter().any(|other| holds(&text, other, *place)))
        })
    }
}
