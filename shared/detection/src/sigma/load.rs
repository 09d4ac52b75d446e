//! From files to a rule set.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use sha2::{Digest as _, Sha256};

use super::correlation::{Correlation, references};
use super::detection::{Detection, Interner};
use super::error::RuleError;
use super::prefilter::RawPrefilter;
use super::route::Routes;
use super::rule::{self, Header, Rule};
use super::set::{RuleSet, SetAside};
use crate::yaml::Node;

/// Where a document stands, for messages.
#[derive(Clone)]
pub(super) struct Origin {
    pub(super) file: String,
    /// Its title, or which document of the file it is, where the file has several.
    pub(super) label: Option<String>,
}

pub(super) struct Document {
    pub(super) origin: Origin,
    pub(super) node: Node,
    pub(super) digest: String,
}

#[derive(Default)]
pub(super) struct Loader {
    pub(super) interner: Interner,
    pub(super) rules: Vec<(Rule, Detection)>,
    pub(super) correlations: Vec<Correlation>,
    /// Whether correlations that others count are threats by themselves, by the place of their documents.
    pub(super) alone: HashMap<usize, bool>,
    /// Which rule is used instead of which, by their ids.
    replaced: HashMap<String, String>,
    set_aside: Vec<SetAside>,
    pub(super) digests: Vec<String>,
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
    loader.retire(&correlations);
    for document in &filters {
        loader.filter(document, &correlations);
    }
    loader.correlate(&correlations);
    loader.finish()
}

impl Loader {
    pub(super) fn aside(&mut self, origin: &Origin, reason: &RuleError) {
        let reason = match &origin.label {
            Some(label) => format!("{label}: {reason}"),
            None => reason.to_string(),
        };
        self.set_aside.push(SetAside {
            file: origin.file.clone(),
            reason,
        });
    }

    fn rule(&mut self, document: &Document) {
        match self.compile(document) {
            Ok((compiled, replaces)) => {
                for old in replaces {
                    self.replaced.insert(old, compiled.0.id.clone());
                }
                self.rules.push(compiled);
                self.digests.push(document.digest.clone());
            }
            Err(error) => self.aside(&document.origin, &error),
        }
    }

    fn compile(&mut self, document: &Document) -> Result<((Rule, Detection), Vec<String>), RuleError> {
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
        Ok(((rule, detection), header.replaces))
    }

    /// Sets aside the rules that say they are deprecated, where what replaces them is there: both would tell of everything twice.
    fn retire(&mut self, correlations: &[Document]) {
        let counted = correlations.iter().flat_map(|document| references(&document.node).0);
        let counted: HashSet<String> = counted.collect();
        let (mut kept, mut digests) = (Vec::new(), Vec::new());
        for ((rule, detection), digest) in std::mem::take(&mut self.rules)
            .into_iter()
            .zip(std::mem::take(&mut self.digests))
        {
            let is_counted =
                counted.contains(&rule.id) || rule.name.as_ref().is_some_and(|name| counted.contains(name));
            let successor = self
                .replaced
                .get(&rule.id)
                .filter(|_| rule.status.as_deref() == Some("deprecated"));
            match successor.filter(|successor| !is_counted && **successor != rule.id) {
                Some(successor) => self.set_aside.push(SetAside {
                    file: rule.file.clone(),
                    reason: format!("it is deprecated, and `{successor}`, which replaces it, is loaded"),
                }),
                None => {
                    kept.push((rule, detection));
                    digests.push(digest);
                }
            }
        }
        (self.rules, self.digests) = (kept, digests);
    }

    fn finish(mut self) -> RuleSet {
        self.rules.sort_by(|(a, _), (b, _)| a.id.cmp(&b.id));
        self.correlations.sort_by(|a, b| a.id.cmp(&b.id));
        self.set_aside
            .sort_by(|a, b| (&a.file, &a.reason).cmp(&(&b.file, &b.reason)));
        self.digests.sort_unstable();
        let (mut rules, mut detections): (Vec<Rule>, Vec<Detection>) = self.rules.into_iter().unzip();
        for (index, rule) in rules.iter_mut().enumerate() {
            rule.index = index;
        }
        for (index, correlation) in self.correlations.iter_mut().enumerate() {
            correlation.index = index;
        }
        let mut over: HashMap<&str, Vec<u32>> = HashMap::new();
        for (number, correlation) in (0u32..).zip(&self.correlations) {
            for counted in &correlation.rules {
                over.entry(counted).or_default().push(number);
            }
        }
        let over = |id: &str| over.get(id).cloned().unwrap_or_default();
        let feeds = rules.iter().map(|rule| over(&rule.id)).collect();
        let chains = self.correlations.iter().map(|inner| over(&inner.id)).collect();
        self.interner.seal();
        let (tests, fields) = (&self.interner.tests, &self.interner.fields);
        detections.iter_mut().for_each(|detection| detection.arrange(tests));
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
            chains,
            set_aside: self.set_aside,
            raw,
        }
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
