//! The rules that an event nearly matches.

use super::super::condition::Expr;
use super::super::evaluate::Evaluation;
use super::super::rule::Rule;
use super::super::set::RuleSet;
use super::{Explanation, source_parts};
use crate::Event;

/// A rule that an event does not match, and how little is missing.
#[derive(Clone, Debug)]
pub struct Nearby<'r> {
    /// Which.
    pub rule: &'r Rule,
    /// What came of it.
    pub explanation: Explanation,
    /// The fewest search identifiers that would have to come out the other way; 0: all but the log source fits.
    pub failed_selections: usize,
}

/// How far something is from what is wanted: search identifiers first, then tests within them.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Distance {
    selections: usize,
    tests: usize,
}

impl RuleSet {
    /// The rules that an event comes nearest to without matching, nearest first, at most `limit`: those of its log source of
    /// which some test holds, fewest failed search identifiers first, then fewest failed tests; and before them those whose
    /// condition holds and that are for another log source.
    #[must_use]
    pub fn nearest<'r>(&'r self, event: &Event<'_>, limit: usize) -> Vec<Nearby<'r>> {
        let mut evaluation = Evaluation::new(&self.interner, self.rules.len(), event);
        let mut near: Vec<(Distance, &Rule)> = Vec::new();
        for (rule, detection) in self.rules.iter().zip(&self.detections) {
            let mut touched = false;
            let distance = distance(&detection.condition, true, &mut |search: &usize, wanted| {
                let mut tests = |number: &u32, wanted| {
                    let holds = evaluation.test(*number);
                    // A test that holds because a field is absent says nothing about this event.
                    touched |= holds && evaluation.shown(self.interner.tests[*number as usize].field).0;
                    Distance {
                        selections: 0,
                        tests: usize::from(holds != wanted),
                    }
                };
                let tests = distance(&detection.searches[*search].1, wanted, &mut tests).tests;
                Distance {
                    selections: usize::from(tests > 0),
                    tests,
                }
            });
            let is_source = source_parts(&rule.logsource, &event.logsource)
                .iter()
                .all(|part| part.holds);
            if touched && is_source == (distance.selections > 0) {
                near.push((distance, rule));
            }
        }
        near.sort_by_key(|(distance, _)| *distance);
        near.truncate(limit);
        near.into_iter()
            .map(|(distance, rule)| Nearby {
                rule,
                explanation: self.explained(rule, event, &mut evaluation),
                failed_selections: distance.selections,
            })
            .collect()
    }
}

fn distance<L>(expr: &Expr<L>, wanted: bool, leaf: &mut dyn FnMut(&L, bool) -> Distance) -> Distance {
    let parts = match expr {
        Expr::Leaf(own) => return leaf(own, wanted),
        Expr::Not(part) => return distance(part, !wanted, leaf),
        Expr::And(parts) | Expr::Or(parts) => parts,
    };
    let each = parts.iter().map(|part| distance(part, wanted, leaf));
    // That all hold, or that none does, takes every part; otherwise one will do.
    if matches!(expr, Expr::And(_)) == wanted {
        each.fold(Distance::default(), |sum, one| Distance {
            selections: sum.selections + one.selections,
            tests: sum.tests + one.tests,
        })
    } else {
        each.min().unwrap_or_default()
    }
}
