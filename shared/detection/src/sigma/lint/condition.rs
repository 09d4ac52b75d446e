//! The condition over the search identifiers that a rule defines.

use super::super::condition::{self, Expr};
use crate::yaml::Node;

pub(super) fn check(node: &Node, names: &[&str], found: &mut Vec<String>) {
    let conditions = match node {
        Node::List(items) => items.as_slice(),
        other => std::slice::from_ref(other),
    };
    let mut used = vec![false; names.len()];
    for text in conditions.iter().filter_map(Node::text) {
        // One that does not read sets the rule aside, with the reason.
        let Ok(expr) = condition::parse(text, names) else {
            return;
        };
        mark(&expr, &mut used);
        them(text, names, found);
    }
    for (name, _) in names.iter().zip(used).filter(|(_, used)| !used) {
        found.push(format!("the search identifier `{name}` is not used by the condition"));
    }
}

fn mark(expr: &Expr<usize>, used: &mut [bool]) {
    match expr {
        Expr::And(parts) | Expr::Or(parts) => parts.iter().for_each(|part| mark(part, used)),
        Expr::Not(part) => mark(part, used),
        Expr::Leaf(index) => used[*index] = true,
    }
}

/// `them` means every identifier, those that are added later and those that are meant as exceptions too.
fn them(text: &str, names: &[&str], found: &mut Vec<String>) {
    let lower = text.to_ascii_lowercase().replace(['(', ')'], " ");
    let words: Vec<&str> = lower.split_whitespace().collect();
    for three in words.windows(3) {
        let [quantifier, "of", "them"] = three else { continue };
        let meant: Vec<&&str> = names.iter().filter(|name| !name.starts_with('_')).collect();
        if let [only] = meant.as_slice() {
            found.push(format!("`{quantifier} of them` where there is only `{only}`; name it"));
        } else if let Some(filter) = meant.iter().find(|name| name.starts_with("filter")) {
            found.push(format!(
                "`{quantifier} of them` takes in `{filter}`; write `{quantifier} of selection*`"
            ));
        }
    }
}
