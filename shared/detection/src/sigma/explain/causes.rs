//! What keeps a rule from matching: the few tests whose outcome would have to change.

use serde::Serialize;

use super::{Explanation, FieldTest, Holds, Operator, Selected, Tree};

/// Why a test stands in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The event has no such field.
    Missing,
    /// The field has another value than the rule wants.
    Differs,
    /// The field has a value that the rule excludes.
    Excluded,
}

/// A test that keeps a rule from matching.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The search identifier it belongs to.
    pub selection: String,
    /// Why it stands in the way.
    pub cause: Cause,
    /// The test.
    #[serde(flatten)]
    pub test: FieldTest,
}

impl Explanation {
    /// The tests that keep the condition from holding, in the order of the rule; empty when it holds. Of alternatives all are
    /// named: any one of them would do.
    #[must_use]
    pub fn failures(&self) -> Vec<Failure> {
        let mut selections = Vec::new();
        blocking(&self.condition, true, &mut selections);
        let mut failures: Vec<Failure> = Vec::new();
        for (Selected { selection, index, .. }, wanted) in selections {
            let Some(own) = self.selections.get(*index) else {
                continue;
            };
            let mut tests = Vec::new();
            blocking(&own.tests, wanted, &mut tests);
            for (test, wanted) in tests {
                let failure = Failure {
                    selection: selection.clone(),
                    cause: match (wanted, test.present) {
                        (false, _) => Cause::Excluded,
                        (true, true) if test.field.contains("|neq") => Cause::Excluded,
                        (true, false) => Cause::Missing,
                        (true, true) => Cause::Differs,
                    },
                    test: test.clone(),
                };
                if !failures.contains(&failure) {
                    failures.push(failure);
                }
            }
        }
        failures
    }
}

/// The leaves that keep an expression from coming out as it is wanted, each with how it is wanted itself.
fn blocking<'t, T: Holds>(tree: &'t Tree<T>, wanted: bool, found: &mut Vec<(&'t T, bool)>) {
    if tree.holds() == wanted {
        return;
    }
    match tree {
        Tree::Leaf(leaf) => found.push((leaf, wanted)),
        Tree::Join { operator, of, .. } => {
            let wanted = wanted != (*operator == Operator::Not);
            of.iter().for_each(|part| blocking(part, wanted, found));
        }
    }
}
