//! When a correlation fires.

use serde::{Deserialize, Serialize};

use super::super::condition::{Expr, parse};
use super::super::error::RuleError;
use super::CorrelationKind;
use super::draft::wrong;
use crate::yaml::Node;

/// The rules that a `temporal` correlation may name: their places are bits.
pub(super) const MAX_STEPS: usize = 64;
/// The different ways in which an expression over rules may be satisfied.
const MAX_ALTERNATIVES: usize = 64;
/// More different values are not remembered.
const MAX_VALUES: f64 = 10_000.0;

/// When a correlation fires.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Condition {
    /// All of these hold of what is measured.
    Bounds(Vec<Bound>),
    /// The rules of one of these sets have all matched: each set has a bit for each rule, the first rule's is the lowest.
    Rules(Vec<u64>),
}

/// A bound on what is measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bound {
    /// How it is compared.
    pub is: Comparison,
    /// What it is compared with.
    #[serde(with = "crate::found::exact")]
    pub value: f64,
}

/// A comparison, as conditions name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Comparison {
    /// Greater.
    Gt,
    /// Greater or equal.
    Gte,
    /// Lesser.
    Lt,
    /// Lesser or equal.
    Lte,
    /// Equal.
    Eq,
    /// Not equal.
    Neq,
}

impl Comparison {
    /// As it is written: `gte`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gt => "gt",
            Self::Gte => "gte",
            Self::Lt => "lt",
            Self::Lte => "lte",
            Self::Eq => "eq",
            Self::Neq => "neq",
        }
    }

    /// In words: `at least`.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Gt => "more than",
            Self::Gte => "at least",
            Self::Lt => "fewer than",
            Self::Lte => "at most",
            Self::Eq => "exactly",
            Self::Neq => "other than",
        }
    }

    fn named(name: &str) -> Option<Self> {
        [Self::Gt, Self::Gte, Self::Lt, Self::Lte, Self::Eq, Self::Neq]
            .into_iter()
            .find(|own| own.as_str() == name)
    }
}

impl Bound {
    /// Whether a measure is within it.
    #[must_use]
    #[expect(clippy::float_cmp, reason = "a rule that asks for equality means equality")]
    pub fn holds(&self, measure: f64) -> bool {
        match self.is {
            Comparison::Gt => measure > self.value,
            Comparison::Gte => measure >= self.value,
            Comparison::Lt => measure < self.value,
            Comparison::Lte => measure <= self.value,
            Comparison::Eq => measure == self.value,
            Comparison::Neq => measure != self.value,
        }
    }
}

impl Condition {
    /// Whether a measure satisfies all bounds. Of which rules matched, no measure tells.
    #[must_use]
    pub fn holds(&self, measure: f64) -> bool {
        match self {
            Self::Bounds(bounds) => bounds.iter().all(|bound| bound.holds(measure)),
            Self::Rules(_) => false,
        }
    }

    /// False: it has an upper bound, which only a window that is over decides.
    #[must_use]
    pub fn is_decided_at_once(&self) -> bool {
        match self {
            Self::Bounds(bounds) => bounds
                .iter()
                .all(|bound| matches!(bound.is, Comparison::Gt | Comparison::Gte)),
            Self::Rules(_) => true,
        }
    }

    /// The smallest count that satisfies all lower bounds, at least 1.
    #[must_use]
    pub fn least(&self) -> u64 {
        let Self::Bounds(bounds) = self else { return 1 };
        let least = bounds.iter().map(|bound| match bound.is {
            Comparison::Gt => bound.value.floor() + 1.0,
            Comparison::Gte | Comparison::Eq => bound.value.ceil(),
            Comparison::Lt | Comparison::Lte | Comparison::Neq => 1.0,
        });
        to_count(least.fold(1.0, f64::max))
    }

    /// A count beyond all bounds: more need not be told apart.
    #[must_use]
    pub fn enough(&self) -> u64 {
        let Self::Bounds(bounds) = self else { return u64::MAX };
        let most = bounds.iter().map(|bound| bound.value.floor() + 1.0).fold(1.0, f64::max);
        to_count(most)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturates, and is at least 1"
)]
fn to_count(value: f64) -> u64 {
    value.max(1.0) as u64
}

/// What the condition says, beside its bounds.
pub(super) struct Read {
    pub(super) condition: Condition,
    pub(super) fields: Vec<String>,
    pub(super) percentile: Option<f64>,
}

/// Reads `correlation.condition`. `references` are the rules as the correlation names them.
pub(super) fn read(section: &Node, is_temporal: bool, references: &[String]) -> Result<Read, RuleError> {
    let all = || Condition::Rules(vec![u64::MAX >> (MAX_STEPS - references.len())]);
    if is_temporal && references.len() > MAX_STEPS {
        let reason = format!(
            "it names {} rules; at most {MAX_STEPS} are told apart",
            references.len()
        );
        return Err(RuleError::Unsupported(reason));
    }
    let rules = |condition| Read {
        condition,
        fields: Vec::new(),
        percentile: None,
    };
    match section.get("condition") {
        None | Some(Node::Null) if is_temporal => Ok(rules(all())),
        None | Some(Node::Null) => Err(wrong("condition", "is missing")),
        Some(Node::Map(entries)) => bounds(entries),
        Some(other) => match other.text().filter(|_| is_temporal) {
            Some(text) => Ok(rules(Condition::Rules(expression(text, references)?))),
            None => Err(wrong("condition", format!("{} instead of a map", other.kind()))),
        },
    }
}

fn bounds(entries: &[(String, Node)]) -> Result<Read, RuleError> {
    let (mut bounds, mut fields, mut percentile) = (Vec::new(), Vec::new(), None);
    for (key, value) in entries {
        let named = |name: &Node| {
            let name = name.text().map(str::trim).filter(|name| !name.is_empty());
            name.map(str::to_owned)
                .ok_or_else(|| wrong("condition.field", "is no name of a field"))
        };
        match (key.as_str(), value) {
            ("field", Node::List(names)) => fields = names.iter().map(named).collect::<Result<_, _>>()?,
            ("field", name) => fields = vec![named(name)?],
            ("percentile", value) => {
                let value = number(value).filter(|value| (0.0..=100.0).contains(value));
                percentile = Some(value.ok_or_else(|| wrong("condition.percentile", "is no number from 0 to 100"))?);
            }
            (key, value) => {
                let is = Comparison::named(key).ok_or_else(|| wrong("condition", format!("`{key}` is unknown")))?;
                let value = number(value).ok_or_else(|| {
                    let reason = format!("{} instead of a number", value.kind());
                    wrong(&format!("condition.{key}"), reason)
                })?;
                bounds.push(Bound { is, value });
            }
        }
    }
    if bounds.is_empty() {
        return Err(wrong(
            "condition",
            "has none of `gt`, `gte`, `lt`, `lte`, `eq` and `neq`",
        ));
    }
    Ok(Read {
        condition: Condition::Bounds(bounds),
        fields,
        percentile,
    })
}

fn number(node: &Node) -> Option<f64> {
    let number = match node {
        #[expect(clippy::cast_precision_loss, reason = "bounds are magnitudes")]
        Node::Int(number, _) => Some(*number as f64),
        Node::Float(number, _) => Some(*number),
        _ => None,
    };
    number.filter(|number| number.is_finite())
}

/// Refuses bounds that nothing satisfies, that nothing having happened satisfies, or that take too much memory.
pub(super) fn check(condition: &Condition, kind: &CorrelationKind, steps: usize) -> Result<(), RuleError> {
    let Condition::Bounds(bounds) = condition else {
        return Ok(());
    };
    if kind.is_count() {
        if condition.is_decided_at_once() && condition.holds(0.0) {
            return Err(wrong("condition", "is satisfied by nothing having happened"));
        }
        if let Some(bound) = bounds.iter().find(|bound| bound.value.fract() != 0.0) {
            let reason = format!("{} instead of a whole number", bound.value);
            return Err(wrong(&format!("condition.{}", bound.is.as_str()), reason));
        }
    }
    if matches!(kind, CorrelationKind::ValueCount { .. })
        && let Some(bound) = bounds.iter().find(|bound| bound.value > MAX_VALUES)
    {
        let reason = format!("{} different values; at most {MAX_VALUES} are counted", bound.value);
        return Err(RuleError::Unsupported(reason));
    }
    let most = if matches!(kind, CorrelationKind::Temporal { .. }) {
        #[expect(clippy::cast_precision_loss, reason = "at most 64")]
        let steps = steps as f64;
        steps
    } else {
        f64::MAX
    };
    let near = bounds.iter().flat_map(|bound| {
        let middles = bounds.iter().map(|other| f64::midpoint(bound.value, other.value));
        [bound.value - 1.0, bound.value, bound.value + 1.0]
            .into_iter()
            .chain(middles)
    });
    let is_possible = |value: &f64| !kind.is_count() || (1.0..=most).contains(value) && value.fract() == 0.0;
    if near.filter(is_possible).any(|value| condition.holds(value)) {
        Ok(())
    } else {
        Err(wrong("condition", "nothing can satisfy it"))
    }
}

/// The sets of rules that satisfy an expression over the names of rules; none of them contains another.
fn expression(text: &str, references: &[String]) -> Result<Vec<u64>, RuleError> {
    let names: Vec<&str> = references.iter().map(String::as_str).collect();
    alternatives(&parse(text, &names)?)
}

fn alternatives(expr: &Expr<usize>) -> Result<Vec<u64>, RuleError> {
    let mut sets = match expr {
        Expr::Leaf(index) => vec![1 << index],
        Expr::Or(parts) => {
            let parts: Vec<_> = parts.iter().map(alternatives).collect::<Result<_, _>>()?;
            parts.concat()
        }
        Expr::And(parts) => {
            let mut sets = vec![0];
            for part in parts {
                let others = alternatives(part)?;
                sets = sets
                    .iter()
                    .flat_map(|set| others.iter().map(move |other| set | other))
                    .collect();
                minimal(&mut sets)?;
            }
            sets
        }
        Expr::Not(_) => {
            return Err(RuleError::Unsupported(
                "`not` in a correlation's condition: events that may still come decide it".to_owned(),
            ));
        }
    };
    minimal(&mut sets)?;
    Ok(sets)
}

fn minimal(sets: &mut Vec<u64>) -> Result<(), RuleError> {
    sets.sort_unstable_by_key(|set| (set.count_ones(), *set));
    sets.dedup();
    let all = std::mem::take(sets);
    for set in all {
        if !sets.iter().any(|smaller| smaller & set == *smaller) {
            sets.push(set);
        }
    }
    if sets.len() > MAX_ALTERNATIVES {
        let reason = format!("a condition that can be satisfied in more than {MAX_ALTERNATIVES} ways");
        return Err(RuleError::Unsupported(reason));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sets(text: &str) -> String {
        let names = ["a", "b", "c", "d"].map(str::to_owned);
        match expression(text, &names) {
            Ok(sets) => sets
                .iter()
                .map(|set| format!("{set:04b}"))
                .collect::<Vec<_>>()
                .join(" "),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn expressions_become_sets_of_rules() {
        assert_eq!(sets("a and b"), "0011");
        assert_eq!(sets("a AND (b or c)"), "0011 0101");
        assert_eq!(sets("a or a and b"), "0001");
        assert_eq!(sets("all of them"), "1111");
        assert_eq!(sets("1 of them and d"), "1000");
        assert!(sets("a and not b").contains("may still come"));
        assert!(sets("a and e").contains("no search identifier `e`"));
    }

    #[test]
    fn an_expression_with_too_many_ways_is_refused() {
        let names: Vec<String> = (0..64).map(|n| format!("r{n}")).collect();
        let pairs: Vec<String> = (0..32).map(|n| format!("(r{} or r{})", 2 * n, 2 * n + 1)).collect();
        let refused = expression(&pairs.join(" and "), &names).unwrap_err().to_string();
        assert!(refused.contains("more than 64 ways"), "{refused}");
    }

    #[test]
    fn counts_that_need_no_telling_apart() {
        let bounds = |list: &[(Comparison, f64)]| {
            Condition::Bounds(
                list.iter()
                    .map(|(is, value)| Bound { is: *is, value: *value })
                    .collect(),
            )
        };
        let range = bounds(&[(Comparison::Gt, 100.0), (Comparison::Lte, 200.0)]);
        assert_eq!((range.least(), range.enough()), (101, 201));
        assert!(range.holds(150.0) && !range.holds(201.0) && !range.is_decided_at_once());
        assert!(bounds(&[(Comparison::Gte, 5.0)]).is_decided_at_once());
        assert_eq!(bounds(&[(Comparison::Gte, 1e300)]).least(), u64::MAX);
    }
}
