//! Finding what correlations name: rules, and other correlations, without cycles.

mod order;

use std::collections::{BTreeMap, HashMap};

use super::correlation::{self, Correlation, CorrelationKind, Draft};
use super::error::RuleError;
use super::load::{Document, Loader};
use crate::LogSource;
use order::order;

/// What a name in a correlation means.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Named {
    /// A rule, by its place.
    Rule(usize),
    /// A correlation's document, by its place.
    Correlation(usize),
}

/// A correlation on its way into the set.
struct Linked {
    draft: Draft,
    names: Vec<Named>,
}

impl Loader {
    /// Reads the correlations and finds what they name. One that names what does not load does not load either.
    pub(super) fn correlate(&mut self, documents: &[Document]) {
        let taken = self.first_of_their_ids(documents);
        let names = Names::new(self, documents);
        self.leave_alone(documents, &names);
        let mut linked: Vec<Option<Linked>> = Vec::new();
        for (document, is_taken) in documents.iter().zip(taken) {
            let read = match is_taken {
                Some(reason) => Err(reason),
                None => Draft::read(&document.node, &document.digest[..16]).and_then(|draft| {
                    let found = draft.rules.iter().map(|reference| names.find(reference));
                    let names = found.collect::<Result<Vec<_>, _>>()?;
                    Ok(Linked { draft, names })
                }),
            };
            linked.push(read.map_err(|error| self.aside(&document.origin, &error)).ok());
        }
        let inner_of = |own: &Linked| -> Vec<(usize, String)> {
            let named = own.names.iter().zip(&own.draft.rules);
            let inner = named.filter_map(|(named, reference)| match named {
                Named::Correlation(index) => Some((*index, reference.clone())),
                Named::Rule(_) => None,
            });
            inner.collect()
        };
        let chain = order(linked.iter().map(|own| own.as_ref().map(inner_of)).collect());
        for (index, reason) in chain.refused {
            self.aside(&documents[index].origin, &RuleError::Reference(reason));
        }
        let mut built: BTreeMap<usize, Correlation> = BTreeMap::new();
        // The innermost first: those over them take over what they speak of.
        for index in chain.innermost_first {
            let Some(Some(own)) = linked.get(index) else { continue };
            match self.build(own, &documents[index], &built) {
                Ok(correlation) => {
                    built.insert(index, correlation);
                }
                Err(error) => self.aside(&documents[index].origin, &error),
            }
        }
        for (index, mut correlation) in built {
            correlation.alerts_alone = self.alone.get(&index).copied().unwrap_or(true);
            self.digests.push(documents[index].digest.clone());
            self.correlations.push(correlation);
        }
    }

    /// For each document why its id is not its own, if so.
    fn first_of_their_ids(&self, documents: &[Document]) -> Vec<Option<RuleError>> {
        let mut seen: HashMap<&str, &str> = self
            .rules
            .iter()
            .map(|(rule, _)| (rule.id.as_str(), rule.file.as_str()))
            .collect();
        let mut taken = Vec::new();
        for document in documents {
            let id = document.node.get("id").and_then(crate::yaml::Node::text).map(str::trim);
            let before = id.and_then(|id| seen.insert(id, &document.origin.file).map(|file| (id, file)));
            taken.push(before.map(|(id, file)| RuleError::Reference(format!("the id `{id}` is taken by {file}"))));
        }
        taken
    }

    /// What correlations name is no threat by itself, unless one of them says so.
    fn leave_alone(&mut self, documents: &[Document], names: &Names) {
        let mut alone: HashMap<Named, bool> = HashMap::new();
        for document in documents {
            let (references, generate) = correlation::references(&document.node);
            for named in references.iter().filter_map(|reference| names.find(reference).ok()) {
                *alone.entry(named).or_default() |= generate;
            }
        }
        for (named, alone) in alone {
            match named {
                Named::Rule(index) => self.rules[index].0.alerts_alone = alone,
                Named::Correlation(index) => {
                    self.alone.insert(index, alone);
                }
            }
        }
    }

    fn build(
        &self,
        own: &Linked,
        document: &Document,
        built: &BTreeMap<usize, Correlation>,
    ) -> Result<Correlation, RuleError> {
        let draft = &own.draft;
        let mut header = draft.header.clone();
        let mut bases = Vec::new();
        for (named, reference) in own.names.iter().zip(&draft.rules) {
            let base = match *named {
                Named::Rule(index) => {
                    let rule = &self.rules[index].0;
                    Base {
                        id: &rule.id,
                        name: rule.name.as_deref(),
                        techniques: &rule.techniques,
                        tactics: &rule.tactics,
                        logsource: Some(&rule.logsource),
                    }
                }
                Named::Correlation(index) => {
                    let inner = built.get(&index).ok_or_else(|| {
                        RuleError::Reference(format!("it counts the correlation `{reference}`, which is not loaded"))
                    })?;
                    Base {
                        id: &inner.id,
                        name: inner.name.as_deref(),
                        techniques: &inner.techniques,
                        tactics: &inner.tactics,
                        logsource: None,
                    }
                }
            };
            if bases.iter().any(|other: &Base<'_>| other.id == base.id) {
                // One rule by its id and by its name: of an order or an expression it would be two places.
                if matches!(draft.kind, CorrelationKind::Temporal { .. }) {
                    let reason = format!("it names the rule `{}` twice", base.id);
                    return Err(RuleError::Reference(reason));
                }
                continue;
            }
            bases.push(base);
        }
        if header.techniques.is_empty() && header.tactics.is_empty() {
            let inherit = |of: fn(&Base<'_>) -> Vec<String>| {
                let mut all: Vec<String> = Vec::new();
                for text in bases.iter().flat_map(of) {
                    if !all.contains(&text) {
                        all.push(text);
                    }
                }
                all
            };
            header.techniques = inherit(|base| base.techniques.to_vec());
            header.tactics = inherit(|base| base.tactics.to_vec());
        }
        let logsource = bases
            .iter()
            .find_map(|base| base.logsource)
            .cloned()
            .unwrap_or_default();
        Ok(Correlation {
            threat_type: header.threat_type(&logsource),
            id: header.id,
            name: header.name,
            title: header.title,
            description: header.description,
            level: header.level,
            status: header.status,
            techniques: header.techniques,
            tactics: header.tactics,
            false_positives: header.false_positives,
            fields: header.fields,
            recommended_actions: header.recommended_actions,
            file: document.origin.file.clone(),
            aliases: aliases(draft, &bases)?,
            rules: bases.iter().map(|base| base.id.to_owned()).collect(),
            group_by: draft.group_by.clone(),
            timespan: draft.timespan,
            kind: draft.kind.clone(),
            condition: draft.condition.clone(),
            generate: draft.generate,
            alerts_alone: true,
            index: 0,
        })
    }
}

/// What a correlation counts, as far as it speaks of it.
struct Base<'a> {
    id: &'a str,
    name: Option<&'a str>,
    techniques: &'a [String],
    tactics: &'a [String],
    logsource: Option<&'a LogSource>,
}

/// The aliases by the ids of the rules, each with a field in the events of every rule.
fn aliases(draft: &Draft, bases: &[Base<'_>]) -> Result<BTreeMap<String, BTreeMap<String, String>>, RuleError> {
    let mut aliases = BTreeMap::new();
    for (alias, fields) in &draft.aliases {
        let attribute = || format!("correlation.aliases.{alias}");
        let mut by_id = BTreeMap::new();
        for (reference, field) in fields {
            let named = |base: &&Base<'_>| base.id == reference || base.name == Some(reference);
            let Some(base) = bases.iter().find(named) else {
                let reason = format!("`{reference}` is none of the rules that it counts");
                return Err(RuleError::attribute(attribute(), reason));
            };
            by_id.insert(base.id.to_owned(), field.clone());
        }
        if let Some(base) = bases.iter().find(|base| !by_id.contains_key(base.id)) {
            let reason = format!("has no field for the rule `{}`", base.name.unwrap_or(base.id));
            return Err(RuleError::attribute(attribute(), reason));
        }
        aliases.insert(alias.clone(), by_id);
    }
    Ok(aliases)
}

/// Names and ids of everything that may be counted.
struct Names {
    ids: HashMap<String, Named>,
    names: HashMap<String, Vec<Named>>,
}

impl Names {
    fn new(loader: &Loader, documents: &[Document]) -> Self {
        let mut own = Self {
            ids: HashMap::new(),
            names: HashMap::new(),
        };
        for (index, (rule, _)) in loader.rules.iter().enumerate() {
            own.add(Some(&rule.id), rule.name.as_deref(), Named::Rule(index));
        }
        for (index, document) in documents.iter().enumerate() {
            let text = |attribute: &str| {
                document
                    .node
                    .get(attribute)
                    .and_then(crate::yaml::Node::text)
                    .map(str::trim)
            };
            own.add(text("id"), text("name"), Named::Correlation(index));
        }
        own
    }

    fn add(&mut self, id: Option<&str>, name: Option<&str>, named: Named) {
        if let Some(id) = id {
            self.ids.entry(id.to_owned()).or_insert(named);
        }
        if let Some(name) = name {
            self.names.entry(name.to_owned()).or_default().push(named);
        }
    }

    fn find(&self, reference: &str) -> Result<Named, RuleError> {
        if let Some(named) = self.ids.get(reference) {
            return Ok(*named);
        }
        match self.names.get(reference).map(Vec::as_slice) {
            Some([named]) => Ok(*named),
            Some([_, ..]) => Err(RuleError::Reference(format!("two rules have the name `{reference}`"))),
            _ => Err(RuleError::Reference(format!(
                "it counts the rule `{reference}`, which is not loaded"
            ))),
        }
    }
}
