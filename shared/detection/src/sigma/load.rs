//! From files to a rule set.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use sha2::{Digest as _, Sha256};

use super::correlation::{self, Correlation, Draft};
use super::detection::{Detection, Interner};
use super::error::RuleError;
use super::prefilter::RawPrefilter;
use super::route::Routes;
use super::rule::{self, Header, Rule};
use super::set::{RuleSet, SetAside};
use crate::LogSource;
use crate::yaml::{self, Node};

/// The most documents a file may hold.
const MAX_DOCUMENTS: usize = 1_000;

/// Where a document stands, for messages.
#[derive(Clone)]
pub(super) struct Origin {
    pub(super) file: String,
    /// Its title, or which document of the file it is, where the file has several.
    label: Option<String>,
}

pub(super) struct Document {
    pub(super) origin: Origin,
    pub(super) node: Node,
    digest: String,
}

struct Filter {
    rules: Vec<String>,
    logsource: LogSource,
    detection: Detection,
}

#[derive(Default)]
pub(super) struct Loader {
    interner: Interner,
    rules: Vec<(Rule, Detection)>,
    correlations: Vec<Correlation>,
    set_aside: Vec<SetAside>,
    digests: Vec<String>,
}

pub(super) fn load(mut files: Vec<(Cow<'_, str>, Cow<'_, str>)>) -> RuleSet {
    // Which of two rules of one id counts must not depend on the order in which a directory is read.
    files.sort();
    let mut loader = Loader::default();
    let mut documents = Vec::new();
    for (name, text) in &files {
        loader.read(name, text, &mut documents);
    }
    let (mut correlations, mut filters) = (Vec::new(), Vec::new());
    for document in documents {
        if document.node.get("correlation").is_some() {
            correlations.push(document);
        } else if document.node.get("filter").is_some() {
            filters.push(document);
        } else {
            loader.rule(&document);
        }
    }
    for document in &filters {
        loader.filter(document);
    }
    loader.correlate(&correlations);
    loader.finish()
}

impl Loader {
    fn aside(&mut self, origin: &Origin, reason: &RuleError) {
        let reason = match &origin.label {
            Some(label) => format!("{label}: {reason}"),
            None => reason.to_string(),
        };
        self.set_aside.push(SetAside {
            file: origin.file.clone(),
            reason,
        });
    }

    /// Adds a file's documents; those that cannot be read are set aside.
    pub(super) fn read(&mut self, name: &str, text: &str, documents: &mut Vec<Document>) {
        let origin = |label| Origin {
            file: name.to_owned(),
            label,
        };
        if text.len() > yaml::MAX_BYTES {
            let reason = format!("the file is larger than {} bytes", yaml::MAX_BYTES);
            return self.aside(&origin(None), &RuleError::Yaml(reason));
        }
        let parts = yaml::split(text);
        if parts.is_empty() {
            return self.aside(&origin(None), &RuleError::Yaml("the file holds no document".to_owned()));
        }
        if parts.len() > MAX_DOCUMENTS {
            let reason = format!("the file holds more than {MAX_DOCUMENTS} documents");
            return self.aside(&origin(None), &RuleError::Yaml(reason));
        }
        let several = parts.len() > 1;
        let mut global: Option<Node> = None;
        for (index, part) in parts.iter().enumerate() {
            let numbered = origin(several.then(|| format!("document {}", index + 1)));
            let mut node = match yaml::parse(part) {
                Ok(node @ Node::Map(_)) => node,
                Ok(other) => {
                    let reason = format!("{} instead of a map of attributes", other.kind());
                    self.aside(&numbered, &RuleError::Yaml(reason));
                    continue;
                }
                Err(reason) => {
                    self.aside(&numbered, &RuleError::Yaml(reason));
                    continue;
                }
            };
            match node.get("action").and_then(Node::text) {
                Some("global") => {
                    global = Some(
                        global
                            .take()
                            .map_or(without_action(&node), |old| merged(&old, &without_action(&node))),
                    );
                    continue;
                }
                Some("reset") => {
                    global = None;
                    node = without_action(&node);
                }
                Some(other) => {
                    let reason = format!("collections with `action: {other}` are not supported");
                    self.aside(&numbered, &RuleError::Unsupported(reason));
                    continue;
                }
                None => {}
            }
            if let Some(global) = &global {
                node = merged(global, &node);
            }
            let title = node.get("title").and_then(Node::text).map(|title| format!("`{title}`"));
            let label = if several {
                title.or_else(|| numbered.label.clone())
            } else {
                None
            };
            let digest = hex(&Sha256::digest(format!("{node:?}")));
            documents.push(Document {
                origin: origin(label),
                node,
                digest,
            });
        }
    }

    fn rule(&mut self, document: &Document) {
        match self.compile(document) {
            Ok(compiled) => {
                self.rules.push(compiled);
                self.digests.push(document.digest.clone());
            }
            Err(error) => self.aside(&document.origin, &error),
        }
    }

    fn compile(&mut self, document: &Document) -> Result<(Rule, Detection), RuleError> {
        let node = &document.node;
        let Some(section) = node.get("detection") else {
            return Err(RuleError::attribute(
                "detection",
                "is missing, and so are `correlation` and `filter`",
            ));
        };
        let header = Header::read(node, &document.digest[..16])?;
        let logsource = rule::logsource(node)?;
        if let Some((other, _)) = self.rules.iter().find(|(other, _)| other.id == header.id) {
            return Err(RuleError::Reference(format!(
                "the id `{}` is taken by a rule of {}",
                header.id, other.file
            )));
        }
        let detection = Detection::compile(section, "detection", &[], &mut self.interner)?;
        let threat_type = header.threat_type(&logsource);
        let rule = Rule {
            id: header.id,
            name: header.name,
            title: header.title,
            description: header.description,
            level: header.level,
            status: header.status,
            logsource,
            techniques: header.techniques,
            tactics: header.tactics,
            threat_type,
            false_positives: header.false_positives,
            fields: header.fields,
            recommended_actions: header.recommended_actions,
            file: document.origin.file.clone(),
            alerts_alone: true,
            index: 0,
        };
        Ok((rule, detection))
    }

    fn filter(&mut self, document: &Document) {
        let applied = self.read_filter(document).and_then(|filter| self.apply(&filter));
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
        let logsource = rule::logsource(node)?;
        let detection = Detection::compile(section, "filter", &["rules"], &mut self.interner)?;
        Ok(Filter {
            rules,
            logsource,
            detection,
        })
    }

    fn apply(&mut self, filter: &Filter) -> Result<(), RuleError> {
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

    fn correlate(&mut self, documents: &[Document]) {
        let mut alone: HashMap<usize, bool> = HashMap::new();
        let mut of_correlations: HashSet<String> = HashSet::new();
        for document in documents {
            for attribute in ["id", "name"] {
                of_correlations.extend(document.node.get(attribute).and_then(Node::text).map(str::to_owned));
            }
            let (references, generate) = correlation::references(&document.node);
            for index in references.iter().filter_map(|reference| self.find(reference).ok()) {
                *alone.entry(index).or_default() |= generate;
            }
        }
        for (index, alone) in alone {
            self.rules[index].0.alerts_alone = alone;
        }
        for document in documents {
            match self.correlation(document, &of_correlations) {
                Ok(correlation) => {
                    self.correlations.push(correlation);
                    self.digests.push(document.digest.clone());
                }
                Err(error) => self.aside(&document.origin, &error),
            }
        }
    }

    fn find(&self, reference: &str) -> Result<usize, RuleError> {
        if let Some(index) = self.rules.iter().position(|(rule, _)| rule.id == reference) {
            return Ok(index);
        }
        let mut named = (0..self.rules.len()).filter(|index| self.rules[*index].0.name.as_deref() == Some(reference));
        match (named.next(), named.next()) {
            (Some(index), None) => Ok(index),
            (Some(_), Some(_)) => Err(RuleError::Reference(format!("two rules have the name `{reference}`"))),
            (None, _) => Err(RuleError::Reference(format!(
                "it counts the rule `{reference}`, which is not loaded"
            ))),
        }
    }

    fn correlation(&self, document: &Document, of_correlations: &HashSet<String>) -> Result<Correlation, RuleError> {
        let draft = Draft::read(&document.node, &document.digest[..16])?;
        let mut indices = Vec::new();
        for reference in &draft.rules {
            let index = match self.find(reference) {
                Err(_) if of_correlations.contains(reference) => {
                    let reason = format!("it counts the correlation `{reference}`; chains are not evaluated yet");
                    return Err(RuleError::Unsupported(reason));
                }
                found => found?,
            };
            if !indices.contains(&index) {
                indices.push(index);
            }
        }
        let mut header = draft.header;
        let taken = self.rules.iter().any(|(rule, _)| rule.id == header.id)
            || self.correlations.iter().any(|other| other.id == header.id);
        if taken {
            return Err(RuleError::Reference(format!("the id `{}` is taken", header.id)));
        }
        let bases: Vec<&Rule> = indices.iter().map(|index| &self.rules[*index].0).collect();
        if header.techniques.is_empty() && header.tactics.is_empty() {
            let inherit = |of: fn(&Rule) -> &Vec<String>| {
                let mut all: Vec<String> = Vec::new();
                for text in bases.iter().flat_map(|rule| of(rule)) {
                    if !all.contains(text) {
                        all.push(text.clone());
                    }
                }
                all
            };
            header.techniques = inherit(|rule| &rule.techniques);
            header.tactics = inherit(|rule| &rule.tactics);
        }
        let logsource = bases.first().map(|rule| rule.logsource.clone()).unwrap_or_default();
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
            rules: bases.iter().map(|rule| rule.id.clone()).collect(),
            group_by: draft.group_by,
            timespan: draft.timespan,
            kind: draft.kind,
            threshold: draft.threshold,
            generate: draft.generate,
        })
    }

    fn finish(mut self) -> RuleSet {
        self.rules.sort_by(|(a, _), (b, _)| a.id.cmp(&b.id));
        self.correlations.sort_by(|a, b| a.id.cmp(&b.id));
        self.set_aside
            .sort_by(|a, b| (&a.file, &a.reason).cmp(&(&b.file, &b.reason)));
        self.digests.sort_unstable();
        let (mut rules, detections): (Vec<Rule>, Vec<Detection>) = self.rules.into_iter().unzip();
        let mut feeds = vec![Vec::new(); rules.len()];
        for (index, rule) in rules.iter_mut().enumerate() {
            rule.index = index;
            for (number, correlation) in (0u32..).zip(&self.correlations) {
                if correlation.rules.contains(&rule.id) {
                    feeds[index].push(number);
                }
            }
        }
        let (tests, fields) = (&self.interner.tests, &self.interner.fields);
        let raw = RawPrefilter::new(&detections, tests, fields);
        let mut hash = hex(&Sha256::digest(self.digests.concat()));
        hash.truncate(16);
        RuleSet {
            hash,
            routes: Routes::new(&rules, &detections, &self.interner),
            rules,
            detections,
            interner: self.interner,
            correlations: self.correlations,
            feeds,
            set_aside: self.set_aside,
            raw,
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

fn without_action(node: &Node) -> Node {
    match node {
        Node::Map(entries) => Node::Map(entries.iter().filter(|(name, _)| name != "action").cloned().collect()),
        other => other.clone(),
    }
}

/// What a document says, over what all documents of its file say; maps are merged, all else is replaced.
fn merged(global: &Node, own: &Node) -> Node {
    match (global, own) {
        (Node::Map(below), Node::Map(above)) => {
            let mut entries = below.clone();
            for (name, value) in above {
                match entries.iter_mut().find(|(other, _)| other == name) {
                    Some((_, old)) => *old = merged(old, value),
                    None => entries.push((name.clone(), value.clone())),
                }
            }
            Node::Map(entries)
        }
        (_, own) => own.clone(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
