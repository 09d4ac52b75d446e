//! The documents of a file, and what the old collection format does with them.

use sha2::{Digest as _, Sha256};

use super::error::RuleError;
use super::load::{Document, Loader, Origin, hex};
use crate::yaml::{self, Node};

/// The most documents a file may hold.
const MAX_DOCUMENTS: usize = 1_000;

/// What `action` of earlier documents leaves for those after them.
#[derive(Default)]
struct Collection {
    /// What all of them have in common.
    global: Option<Node>,
    /// The last rule, for those that repeat it.
    last: Option<Node>,
}

impl Collection {
    /// The rule that a document makes, if any: `global` is kept for those after it, `reset` forgets that, and `repeat` is the
    /// rule before it with changes.
    fn take(&mut self, node: Node) -> Result<Option<Node>, RuleError> {
        let node = match node.get("action").and_then(Node::text) {
            None => node,
            Some("global") => {
                let own = without_action(&node);
                self.global = Some(self.global.take().map_or_else(|| own.clone(), |old| merged(&old, &own)));
                return Ok(None);
            }
            Some("reset") => {
                *self = Self::default();
                let own = without_action(&node);
                if matches!(&own, Node::Map(entries) if entries.is_empty()) {
                    return Ok(None);
                }
                own
            }
            Some("repeat") => {
                let Some(last) = &self.last else {
                    return Err(RuleError::attribute("action", "there is no rule before it to repeat"));
                };
                merged(last, &without_action(&node))
            }
            Some(other) => {
                let reason = format!("`{other}` is none of `global`, `reset` and `repeat`");
                return Err(RuleError::attribute("action", reason));
            }
        };
        let node = match &self.global {
            Some(global) => merged(global, &node),
            None => node,
        };
        self.last = Some(node.clone());
        Ok(Some(node))
    }
}

impl Loader {
    /// Reads a file into its documents; what is no document is set aside.
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
        let mut collection = Collection::default();
        for (index, part) in parts.iter().enumerate() {
            let numbered = origin(several.then(|| format!("document {}", index + 1)));
            let read = match yaml::parse(part) {
                Ok(node @ Node::Map(_)) => collection.take(node),
                Ok(other) => Err(RuleError::Yaml(format!(
                    "{} instead of a map of attributes",
                    other.kind()
                ))),
                Err(reason) => Err(RuleError::Yaml(reason)),
            };
            let node = match read {
                Ok(Some(node)) => node,
                Ok(None) => continue,
                Err(error) => {
                    self.aside(&numbered, &error);
                    continue;
                }
            };
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
