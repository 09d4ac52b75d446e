//! What loads and is still likely a mistake: the checks that Sigma's own tools make of a rule.

mod condition;
mod metadata;
mod tags;
mod values;

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Serialize;

use super::load::{Document, Loader};
use crate::yaml::Node;

/// Something about a rule that deserves a look.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Warning {
    /// The file it is in.
    pub file: String,
    /// The rule's title; `None` where it has none.
    pub rule: Option<String>,
    /// What is the matter, and what to write instead where that is known.
    pub reason: String,
}

/// Checks the text of rule files, as [`RuleSet::load`](super::RuleSet::load) takes them. Documents that are not YAML have no
/// warnings: loading says what is wrong with them. In the order of files.
#[must_use]
pub fn lint<'a>(files: impl IntoIterator<Item = (Cow<'a, str>, Cow<'a, str>)>) -> Vec<Warning> {
    let mut files: Vec<_> = files.into_iter().collect();
    files.sort();
    let mut loader = Loader::default();
    let mut documents = Vec::new();
    for (name, text) in &files {
        loader.read(name, text, &mut documents);
    }
    let mut warnings = Vec::new();
    for document in &documents {
        let mut found = Vec::new();
        check(&document.node, &mut found);
        warnings.extend(found.into_iter().map(|reason| warning(document, reason)));
    }
    for attribute in ["id", "title"] {
        repeated(&documents, attribute, &mut warnings);
    }
    // What is said twice of one rule, about two of its values, is said once.
    warnings.sort();
    warnings.dedup();
    warnings
}

fn warning(document: &Document, reason: String) -> Warning {
    let title = document.node.get("title").and_then(Node::text);
    Warning {
        file: document.origin.file.clone(),
        rule: title.map(|title| title.trim().to_owned()),
        reason,
    }
}

fn check(rule: &Node, found: &mut Vec<String>) {
    metadata::check(rule, found);
    tags::check(rule, found);
    let filter = rule.get("filter");
    let sections = [(rule.get("detection"), [].as_slice()), (filter, ["rules"].as_slice())];
    for (section, besides) in sections {
        let Some(Node::Map(entries)) = section else { continue };
        let searches: Vec<(&str, &Node)> = entries
            .iter()
            .filter(|(name, _)| name != "condition" && name != "timeframe" && !besides.contains(&name.as_str()))
            .map(|(name, node)| (name.as_str(), node))
            .collect();
        let names: Vec<&str> = searches.iter().map(|(name, _)| *name).collect();
        if let Some((_, node)) = entries.iter().find(|(name, _)| name == "condition") {
            condition::check(node, &names, found);
        }
        for (name, node) in searches {
            values::check(name, node, found);
        }
    }
}

/// Two documents with one id, or one title.
fn repeated(documents: &[Document], attribute: &str, warnings: &mut Vec<Warning>) {
    let mut seen: HashMap<String, &Document> = HashMap::new();
    for document in documents {
        let Some(text) = document.node.get(attribute).and_then(Node::text) else {
            continue;
        };
        match seen.get(text.trim()) {
            Some(first) => {
                let file = &first.origin.file;
                let reason = format!("`{attribute}`: `{}` is also that of a rule in {file}", text.trim());
                warnings.push(warning(document, reason));
            }
            None => {
                seen.insert(text.trim().to_owned(), document);
            }
        }
    }
}

/// The texts of an attribute that is one text or a list of them.
fn texts<'n>(rule: &'n Node, attribute: &str) -> Vec<&'n str> {
    match rule.get(attribute) {
        Some(Node::List(items)) => items.iter().filter_map(Node::text).collect(),
        Some(node) => node.text().into_iter().collect(),
        None => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
