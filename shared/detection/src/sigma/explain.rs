//! Why a rule matches an event, or what keeps it from matching: selection by selection, field by field.

mod causes;
mod nearest;

use serde::Serialize;

use super::condition::Expr;
use super::detection::{Detection, LINE};
use super::evaluate::Evaluation;
use super::rule::Rule;
use super::set::RuleSet;
use crate::yaml::Node;
use crate::{Event, LogSource};

pub use causes::{Cause, Failure};
pub use nearest::Nearby;

/// A value is shown up to this many bytes.
const MAX_SHOWN: usize = 1024;
/// Of a field with more values than this the first are shown.
const MAX_VALUES: usize = 64;

/// A test as a rule writes it.
#[derive(Debug)]
pub(super) struct Written {
    /// `CommandLine|contains|all`; empty for keywords.
    key: Box<str>,
    values: Box<[Box<str>]>,
}

impl Written {
    pub(super) fn new(key: &str, values: &[Node]) -> Self {
        Self {
            key: key.into(),
            values: values.iter().map(|node| node.text().unwrap_or("null").into()).collect(),
        }
    }
}

/// What came of a rule on an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The rule is for this log source, and its condition holds.
    pub matched: bool,
    /// The parts of the log source that the rule asks for; empty: it is for every event.
    pub logsource: Vec<SourcePart>,
    /// The condition over the search identifiers, with those of filters. Quantifiers are written out: `1 of a*` is an `or`.
    pub condition: Tree<Selected>,
    /// Each search identifier, and what came of its tests.
    pub selections: Vec<Selection>,
}

/// A part of the log source that a rule asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SourcePart {
    /// `category`, `product` or `service`.
    pub part: &'static str,
    /// What the rule asks for.
    pub wants: String,
    /// What the event has there.
    pub has: Option<String>,
    /// They are the same.
    pub holds: bool,
}

/// How the branches of a [`Tree`] are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Operator {
    /// All must hold.
    And,
    /// One must hold.
    Or,
    /// The only branch must not hold.
    Not,
}

/// An expression with what came of each part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Tree<T> {
    /// Branches.
    Join {
        /// How they are joined.
        operator: Operator,
        /// What came of it.
        holds: bool,
        /// The branches, in the order of the rule.
        of: Vec<Tree<T>>,
    },
    /// What the expression is about.
    Leaf(T),
}

/// A search identifier in a condition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Selected {
    /// Its name; `filter:` stands before one of a filter.
    pub selection: String,
    /// What came of it.
    pub holds: bool,
    /// Its place among [`Explanation::selections`]; two filters may use one name.
    #[serde(skip)]
    pub index: usize,
}

/// A search identifier and its tests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Selection {
    /// Its name; `filter:` stands before one of a filter.
    pub name: String,
    /// What came of it.
    pub holds: bool,
    /// Its tests: those of a map are joined by `and`, those of a list by `or`.
    pub tests: Tree<FieldTest>,
}

/// A field of the event held against the values that a rule lists for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldTest {
    /// The field with its modifiers, as the rule writes them; `keywords` for the whole line.
    pub field: String,
    /// What came of it.
    pub holds: bool,
    /// The event has the field.
    pub present: bool,
    /// What the rule wants, one of them unless a modifier says otherwise, as the rule writes it.
    pub wants: Vec<String>,
    /// What the event has: the first 64 values, 1 KiB of each.
    pub has: Vec<String>,
}

/// What came of something.
pub trait Holds {
    /// Whether it is so.
    fn holds(&self) -> bool;
}

impl Holds for Selected {
    fn holds(&self) -> bool {
        self.holds
    }
}

impl Holds for FieldTest {
    fn holds(&self) -> bool {
        self.holds
    }
}

impl<T: Holds> Holds for Tree<T> {
    fn holds(&self) -> bool {
        match self {
            Self::Join { holds, .. } => *holds,
            Self::Leaf(leaf) => leaf.holds(),
        }
    }
}

impl<T: Holds> Tree<T> {
    /// The same expression over what the leaves became.
    fn of<L>(expr: &Expr<L>, leaf: &mut dyn FnMut(&L) -> T) -> Self {
        let mut all = |parts: &[Expr<L>]| -> Vec<Self> { parts.iter().map(|part| Self::of(part, leaf)).collect() };
        let (operator, of) = match expr {
            Expr::Leaf(own) => return Self::Leaf(leaf(own)),
            Expr::And(parts) => (Operator::And, all(parts)),
            Expr::Or(parts) => (Operator::Or, all(parts)),
            Expr::Not(part) => (Operator::Not, vec![Self::of(part, leaf)]),
        };
        let holds = match operator {
            Operator::And => of.iter().all(Self::holds),
            Operator::Or => of.iter().any(Self::holds),
            Operator::Not => !of.iter().any(Self::holds),
        };
        Self::Join { operator, holds, of }
    }
}

impl RuleSet {
    /// Why a rule of this set matches an event or does not. Agrees with [`matches`](Self::matches).
    #[must_use]
    pub fn explain(&self, rule: &Rule, event: &Event<'_>) -> Explanation {
        let mut evaluation = Evaluation::new(&self.interner, self.rules.len(), event);
        self.explained(rule, event, &mut evaluation)
    }

    fn explained(&self, rule: &Rule, event: &Event<'_>, evaluation: &mut Evaluation<'_, '_>) -> Explanation {
        let detection: &Detection = &self.detections[rule.index];
        let selections: Vec<_> = detection
            .searches
            .iter()
            .map(|(name, expr)| {
                let tests = Tree::of(expr, &mut |number: &u32| self.field_test(*number, evaluation));
                Selection {
                    name: name.clone(),
                    holds: tests.holds(),
                    tests,
                }
            })
            .collect();
        let condition = Tree::of(&detection.condition, &mut |index: &usize| Selected {
            selection: selections[*index].name.clone(),
            holds: selections[*index].holds,
            index: *index,
        });
        let logsource = source_parts(&rule.logsource, &event.logsource);
        Explanation {
            matched: condition.holds() && logsource.iter().all(|part| part.holds),
            logsource,
            condition,
            selections,
        }
    }

    fn field_test(&self, number: u32, evaluation: &mut Evaluation<'_, '_>) -> FieldTest {
        let index = number as usize;
        let holds = evaluation.test(number);
        let (test, written) = (&self.interner.tests[index], &self.interner.written[index]);
        let (present, values) = evaluation.shown(test.field);
        // The line stands for the fields that were read from it.
        let shown = if test.field == LINE { 1 } else { MAX_VALUES };
        FieldTest {
            field: if test.field == LINE {
                format!("keywords{}", written.key)
            } else {
                written.key.to_string()
            },
            holds,
            present,
            wants: written.values.iter().map(|value| value.to_string()).collect(),
            has: values
                .into_iter()
                .take(shown)
                .map(|text| text[..text.floor_char_boundary(MAX_SHOWN)].to_owned())
                .collect(),
        }
    }
}

fn source_parts(wanted: &LogSource, event: &LogSource) -> Vec<SourcePart> {
    let parts = [
        ("category", &wanted.category, &event.category),
        ("product", &wanted.product, &event.product),
        ("service", &wanted.service, &event.service),
    ];
    let asked = parts.into_iter().filter_map(|(part, wants, has)| {
        Some(SourcePart {
            part,
            wants: wants.as_deref()?.to_owned(),
            has: has.as_deref().map(str::to_owned),
            holds: wants == has,
        })
    });
    asked.collect()
}

#[cfg(test)]
mod tests;
