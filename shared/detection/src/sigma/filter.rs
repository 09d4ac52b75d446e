//! Filters: conditions that are added to rules without touching them.

use std::borrow::Cow;
use std::collections::HashSet;

use super::detection::Detection;
use super::error::RuleError;
use super::load::{Document, Loader};
use super::rule;
use crate::LogSource;
use crate::yaml::Node;

struct Filter {
    rules: Vec<String>,
    logsource: LogSource,
    detection: Detection,
}

impl Loader {
    /// Adds a filter to the rules it names. `correlations` are only there to say what it does not go with.
    pub(super) fn filter(&mut self, document: &Document, correlations: &[Document]) {
        let applied = self
            .read_filter(document)
            .and_then(|filter| self.apply(&filter, correlations));
        match applied {
            Ok(()) => self.digests.push(document.digest.clone()),
            Err(error) => self.aside(&document.origin, &error),
        }
    }

    fn read_filter(&mut self, document: &Document) -> Result<Filter, RuleError> {
        let node = &document.node;
        let section = node.get("filter").unwrap_or(&Node::Null);
        let rules = rule::texts(section, "rules")?;
        if rules.is_empty() {
            return Err(RuleError::attribute("filter.rules", "is missing"));
        }
        rule::taxonomy(node)?;
        let logsource = rule::logsource(node)?;
        let detection = Detection::compile(section, "filter", &["rules"], &mut self.interner)?;
        Ok(Filter {
            rules,
            logsource,
            detection,
        })
    }

    fn apply(&mut self, filter: &Filter, correlations: &[Document]) -> Result<(), RuleError> {
        let any = matches!(filter.rules.as_slice(), [only] if only.eq_ignore_ascii_case("any"));
        let mut known = HashSet::new();
        let mut applied = false;
        for (rule, detection) in &mut self.rules {
            let named = |reference: &String| *reference == rule.id || Some(reference) == rule.name.as_ref();
            let mut meant = any;
            for reference in filter.rules.iter().filter(|reference| named(reference)) {
                known.insert(reference.as_str());
                meant = true;
            }
            if meant && within(&filter.logsource, &rule.logsource) {
                detection.and(&filter.detection);
                applied = true;
            }
        }
        if let Some(missing) = filter
            .rules
            .iter()
            .find(|reference| !any && !known.contains(reference.as_str()))
        {
            // Those that are there stay filtered: a filter over many rules is not lost with one of them.
            if !applied {
                let named = |document: &Document| {
                    ["id", "name"].iter().any(|attribute| {
                        let own = document.node.get(attribute).and_then(Node::text);
                        own.map(str::trim) == Some(missing.as_str())
                    })
                };
                if correlations.iter().any(named) {
                    return Err(RuleError::Unsupported(format!(
                        "it filters `{missing}`, a correlation; a filter is for the rules that it counts"
                    )));
                }
                return Err(RuleError::Reference(format!(
                    "it filters the rule `{missing}`, which is not loaded"
                )));
            }
        }
        if applied {
            Ok(())
        } else {
            Err(RuleError::Reference("none of its rules has its log source".to_owned()))
        }
    }
}

/// Whether a filter for `filter` speaks of rules for `rule`: every part it names is the rule's.
fn within(filter: &LogSource, rule: &LogSource) -> bool {
    let part = |own: &Option<Cow<'static, str>>, other: &Option<Cow<'static, str>>| own.is_none() || own == other;
    part(&filter.category, &rule.category)
        && part(&filter.product, &rule.product)
        && part(&filter.service, &rule.service)
}
