//! What a rule says about itself, besides what it looks for.

use std::borrow::Cow;

use threatstream_domain::{Severity, ThreatType};

use super::error::RuleError;
use super::threat_type;
use crate::LogSource;
use crate::yaml::Node;

/// A rule about single events, compiled.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Rule {
    /// Its `id`, or one made of its content where it has none.
    pub id: String,
    /// The `name` by which correlations and filters may refer to it.
    pub name: Option<String>,
    /// What it detects, in a line.
    pub title: String,
    /// What it detects, at length.
    pub description: Option<String>,
    /// Its `level`; `medium` where it has none, as Sigma's tools take it.
    pub level: Severity,
    /// How far it is trusted: `stable`, `test`, `experimental`, `deprecated`.
    pub status: Option<String>,
    /// The events it looks at. A part it does not name may be anything.
    pub logsource: LogSource,
    /// ATT&CK techniques of its tags: `T1110`, `T1110.001`.
    pub techniques: Vec<String>,
    /// ATT&CK tactics of its tags, as they are tagged: `credential-access`.
    pub tactics: Vec<String>,
    /// Its `threat_type`, else what its techniques, tactics and log source say.
    pub threat_type: ThreatType,
    /// What else may look like this.
    pub false_positives: Vec<String>,
    /// Fields that an analyst wants to see.
    pub fields: Vec<String>,
    /// Its `recommended_actions`.
    pub recommended_actions: Vec<String>,
    /// The file it came from.
    pub file: String,
    /// False when it only feeds correlations, none of which says `generate: true`.
    pub alerts_alone: bool,
    pub(super) index: usize,
}

/// The attributes that rules and correlations share.
#[derive(Clone, Debug)]
pub(super) struct Header {
    pub(super) id: String,
    pub(super) name: Option<String>,
    pub(super) title: String,
    pub(super) description: Option<String>,
    pub(super) level: Severity,
    pub(super) status: Option<String>,
    pub(super) techniques: Vec<String>,
    pub(super) tactics: Vec<String>,
    pub(super) named_type: Option<ThreatType>,
    pub(super) false_positives: Vec<String>,
    pub(super) fields: Vec<String>,
    pub(super) recommended_actions: Vec<String>,
    /// Ids of the rules whose place it takes.
    pub(super) replaces: Vec<String>,
}

/// The taxonomies whose names of fields events have.
const TAXONOMIES: [&str; 2] = ["sigma", "ecs"];

impl Header {
    pub(super) fn read(node: &Node, digest: &str) -> Result<Self, RuleError> {
        let title = text(node, "title")?.ok_or_else(|| RuleError::attribute("title", "is missing"))?;
        let status = text(node, "status")?;
        if status.as_deref() == Some("unsupported") {
            return Err(RuleError::Unsupported(
                "its status says that it is unsupported".to_owned(),
            ));
        }
        taxonomy(node)?;
        let mut techniques = Vec::new();
        let mut tactics = Vec::new();
        for tag in texts(node, "tags")? {
            if let Some(name) = tag.to_ascii_lowercase().strip_prefix("attack.") {
                if is_technique(name) {
                    techniques.push(name.to_ascii_uppercase());
                } else if !name.starts_with(['g', 's']) || !name[1..].bytes().all(|b| b.is_ascii_digit()) {
                    tactics.push(name.replace('_', "-"));
                }
            }
        }
        let named_type = match text(node, "threat_type")? {
            None => None,
            Some(name) => Some(
                name.parse()
                    .map_err(|error| RuleError::attribute("threat_type", format!("`{name}`: {error}")))?,
            ),
        };
        Ok(Self {
            id: text(node, "id")?
                .filter(|id| !id.is_empty())
                .unwrap_or_else(|| format!("unnamed-{digest}")),
            name: text(node, "name")?,
            title,
            description: text(node, "description")?,
            level: level(node)?,
            status,
            techniques,
            tactics,
            named_type,
            false_positives: texts(node, "falsepositives")?,
            fields: texts(node, "fields")?,
            recommended_actions: texts(node, "recommended_actions")?,
            replaces: replaces(node),
        })
    }

    /// The rule's own threat type, or the one its other attributes speak of.
    pub(super) fn threat_type(&self, logsource: &LogSource) -> ThreatType {
        self.named_type
            .unwrap_or_else(|| threat_type::derive(&self.techniques, &self.tactics, logsource))
    }
}

/// Fields of a taxonomy that nothing here speaks would never match, and nobody would be told.
pub(super) fn taxonomy(node: &Node) -> Result<(), RuleError> {
    match text(node, "taxonomy")? {
        Some(name) if !TAXONOMIES.contains(&name.to_ascii_lowercase().as_str()) => {
            let allowed = TAXONOMIES.join(" and ");
            let reason = format!("the taxonomy `{name}` is not known; allowed are {allowed}");
            Err(RuleError::Unsupported(reason))
        }
        _ => Ok(()),
    }
}

/// The rules of `related` that this one is used instead of.
fn replaces(node: &Node) -> Vec<String> {
    let Some(Node::List(related)) = node.get("related") else {
        return Vec::new();
    };
    let is_replaced = |entry: &&Node| {
        matches!(
            entry.get("type").and_then(Node::text),
            Some("obsolete" | "merged" | "renamed")
        )
    };
    let ids = related
        .iter()
        .filter(is_replaced)
        .filter_map(|entry| entry.get("id")?.text());
    ids.map(|id| id.trim().to_owned()).collect()
}

fn is_technique(tag: &str) -> bool {
    let Some(digits) = tag.strip_prefix('t') else {
        return false;
    };
    let (number, sub) = digits.split_once('.').unwrap_or((digits, "000"));
    let all = |text: &str, length| text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit());
    all(number, 4) && all(sub, 3)
}

fn level(node: &Node) -> Result<Severity, RuleError> {
    Ok(
        match text(node, "level")?.map(|level| level.to_ascii_lowercase()).as_deref() {
            Some("informational") => Severity::Info,
            Some("low") => Severity::Low,
            None | Some("medium") => Severity::Medium,
            Some("high") => Severity::High,
            Some("critical") => Severity::Critical,
            Some(other) => return Err(RuleError::attribute("level", format!("`{other}` is unknown"))),
        },
    )
}

/// An attribute that holds text; `None` when it is absent or null.
pub(super) fn text(node: &Node, attribute: &str) -> Result<Option<String>, RuleError> {
    match node.get(attribute) {
        None | Some(Node::Null) => Ok(None),
        Some(value) => match value.text() {
            Some(text) => Ok(Some(text.trim().to_owned())),
            None => Err(RuleError::attribute(
                attribute,
                format!("{} instead of text", value.kind()),
            )),
        },
    }
}

/// An attribute that holds one text or a list of them; empty when it is absent.
pub(super) fn texts(node: &Node, attribute: &str) -> Result<Vec<String>, RuleError> {
    let list = match node.get(attribute) {
        None | Some(Node::Null) => return Ok(Vec::new()),
        Some(Node::List(items)) => items.as_slice(),
        Some(other) => std::slice::from_ref(other),
    };
    list.iter()
        .filter(|item| **item != Node::Null)
        .map(|item| match item.text() {
            Some(text) => Ok(text.trim().to_owned()),
            None => Err(RuleError::attribute(
                attribute,
                format!("{} in a list of texts", item.kind()),
            )),
        })
        .collect()
}

/// The `logsource` of a rule or filter; lower case, as it is written by convention.
pub(super) fn logsource(node: &Node) -> Result<LogSource, RuleError> {
    let source = match node.get("logsource") {
        None => return Err(RuleError::attribute("logsource", "is missing")),
        Some(map @ Node::Map(_)) => map,
        Some(other) => {
            return Err(RuleError::attribute(
                "logsource",
                format!("{} instead of a map", other.kind()),
            ));
        }
    };
    let part = |name: &str| -> Result<Option<Cow<'static, str>>, RuleError> {
        Ok(text(source, name)?.map(|text| Cow::Owned(text.to_ascii_lowercase())))
    };
    Ok(LogSource {
        category: part("category")?,
        product: part("product")?,
        service: part("service")?,
    })
}
