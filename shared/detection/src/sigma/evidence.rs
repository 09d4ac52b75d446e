//! Because of what a rule matches.

use super::condition::Expr;
use super::detection::{Detection, LINE, Test};
use super::evaluate::Evaluation;
use super::pattern::lower;

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

impl Evaluation<'_, '_> {
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
            Expr::Leaf(number) if self.test(*number) => self.show(*number, evidence),
            Expr::Leaf(_) => {}
        }
    }

    fn show(&mut self, number: u32, evidence: &mut Vec<Evidence>) {
        let interner = self.interner;
        let test = &interner.tests[number as usize];
        let own = self.lookup.field(test.field);
        let by_value = !test.negated && test.comparison.exists.is_none() && test.comparison.fields.is_empty();
        let mut values = self.lookup.seen(own);
        let Some(seen) = values.find(|seen| !by_value || test.comparison.satisfied_by(*seen)) else {
            return;
        };
        let text = if test.field == LINE {
            around(seen.raw, test)
        } else {
            seen.raw
        };
        let name = interner.fields[test.field as usize].as_str();
        let shown = Evidence {
            field: if test.field == LINE { "message" } else { name }.to_owned(),
            value: text[..text.floor_char_boundary(MAX_SHOWN)].to_owned(),
        };
        if evidence.len() < MAX_EVIDENCE && !evidence.contains(&shown) {
            evidence.push(shown);
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
