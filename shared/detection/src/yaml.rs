//! A bounded reader of YAML: no input makes it deep, large or slow, and nothing is resolved by guessing.

use saphyr_parser::{Event, Parser, ScalarStyle, Tag};

/// The most bytes a file may have.
pub(crate) const MAX_BYTES: usize = 1 << 20;
/// The most values a document may hold, those that aliases repeat included.
const MAX_NODES: usize = 50_000;
/// The deepest nesting.
const MAX_DEPTH: usize = 48;

/// A YAML value. Numbers keep how they were written, because a log may write them so too.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    Null,
    Bool(bool),
    Int(i64, String),
    Float(f64, String),
    Str(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

impl Node {
    /// What a map holds under a key.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        match self {
            Self::Map(entries) => entries.iter().find(|(name, _)| name == key).map(|(_, value)| value),
            _ => None,
        }
    }

    /// A scalar as text.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Str(text) | Self::Int(_, text) | Self::Float(_, text) => Some(text),
            Self::Bool(true) => Some("true"),
            Self::Bool(false) => Some("false"),
            Self::Null | Self::List(_) | Self::Map(_) => None,
        }
    }

    /// What kind of value it is, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Int(..) | Self::Float(..) => "a number",
            Self::Str(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }
}

/// The documents of a file. A line `---` always ends a document, whatever stands before it, so that a document that is
/// broken breaks itself alone. Documents that hold nothing are left out.
pub(crate) fn split(text: &str) -> Vec<&str> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut documents = Vec::new();
    let (mut start, mut at) = (0, 0);
    for line in text.split_inclusive('\n') {
        let end = at + line.len();
        let marker = line.trim_end();
        if marker == "---" || marker == "..." || line.starts_with("--- ") || line.starts_with("---\t") {
            documents.push(&text[start..at]);
            // What follows the marker on its line belongs to the new document: `--- # comment`.
            start = if marker == "---" || marker == "..." { end } else { at };
        }
        at = end;
    }
    documents.push(&text[start..]);
    documents.retain(|document| {
        document.lines().any(|line| {
            let line = line.trim();
            !line.is_empty() && !line.starts_with('#') && !line.starts_with('%') && line != "---"
        })
    });
    documents
}

/// Reads one document.
///
/// # Errors
/// Why it cannot be read, with the line where the parser knows it.
pub(crate) fn parse(text: &str) -> Result<Node, String> {
    let mut parser = Parser::new_from_str(text);
    let mut builder = Builder::default();
    loop {
        match parser.next_event() {
            None => break,
            Some(Err(error)) => return Err(format!("not valid YAML: {error}")),
            Some(Ok((Event::StreamEnd, _))) => break,
            Some(Ok((event, span))) => {
                builder
                    .take(event)
                    .map_err(|reason| format!("{reason} (line {})", span.start.line()))?;
            }
        }
    }
    builder.root.ok_or_else(|| "the document is empty".to_owned())
}

/// Reads one document into JSON, for whoever reads it into types of its own. Texts stay texts: `N`, `on` and dates are not
/// taken for anything else.
///
/// # Errors
/// Why it cannot be read, with the line where the parser knows it; more than one document.
pub fn yaml_to_json(text: &str) -> Result<serde_json::Value, String> {
    match split(text).as_slice() {
        [] => Err("the document is empty".to_owned()),
        [document] => parse(document).map(to_json),
        _ => Err("more than one document".to_owned()),
    }
}

fn to_json(node: Node) -> serde_json::Value {
    match node {
        Node::Null => serde_json::Value::Null,
        Node::Bool(value) => value.into(),
        Node::Int(value, _) => value.into(),
        Node::Float(value, _) => value.into(),
        Node::Str(text) => text.into(),
        Node::List(nodes) => nodes.into_iter().map(to_json).collect(),
        Node::Map(entries) => entries.into_iter().map(|(key, node)| (key, to_json(node))).collect(),
    }
}

enum Open {
    List(usize, Vec<Node>),
    Map(usize, Vec<(String, Node)>, Option<String>),
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    anchors: Vec<(usize, Node, usize)>,
    nodes: usize,
    root: Option<Node>,
}

impl Builder {
    fn take(&mut self, event: Event<'_>) -> Result<(), String> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.count(1)?;
                let node = scalar(&text, style, tag.as_deref())?;
                self.put(node, anchor)
            }
            Event::SequenceStart(anchor, _) => self.push(Open::List(anchor, Vec::new())),
            Event::MappingStart(anchor, _) => self.push(Open::Map(anchor, Vec::new(), None)),
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open::List(anchor, items)) => self.put(Node::List(items), anchor),
                Some(Open::Map(anchor, entries, _)) => self.put(Node::Map(entries), anchor),
                None => Err("not valid YAML: a collection ends that did not begin".to_owned()),
            },
            Event::Alias(anchor) => {
                let found = self.anchors.iter().rev().find(|(id, ..)| *id == anchor);
                let (node, size) = found
                    .map(|(_, node, size)| (node.clone(), *size))
                    .ok_or("an alias to itself")?;
                self.count(size)?;
                self.put(node, 0)
            }
            _ => Ok(()),
        }
    }

    fn count(&mut self, nodes: usize) -> Result<(), String> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > MAX_NODES {
            Err(format!("more than {MAX_NODES} values"))
        } else {
            Ok(())
        }
    }

    fn push(&mut self, open: Open) -> Result<(), String> {
        self.count(1)?;
        if self.open.len() >= MAX_DEPTH {
            return Err(format!("nested deeper than {MAX_DEPTH} levels"));
        }
        self.open.push(open);
        Ok(())
    }

    fn put(&mut self, node: Node, anchor: usize) -> Result<(), String> {
        if anchor != 0 {
            if depth(&node) + self.open.len() > MAX_DEPTH {
                return Err(format!("nested deeper than {MAX_DEPTH} levels"));
            }
            let size = size(&node);
            self.count(size)?;
            self.anchors.push((anchor, node.clone(), size));
        }
        match self.open.last_mut() {
            None if self.root.is_some() => return Err("two documents where one was expected".to_owned()),
            None => self.root = Some(node),
            Some(Open::List(_, items)) => items.push(node),
            Some(Open::Map(_, entries, key)) => match key.take() {
                Some(name) => entries.push((name, node)),
                None => {
                    let name = match node {
                        Node::Null => String::new(),
                        other => other
                            .text()
                            .ok_or_else(|| format!("{} as a key", other.kind()))?
                            .to_owned(),
                    };
                    if entries.iter().any(|(other, _)| *other == name) {
                        return Err(format!("the key `{name}` comes twice"));
                    }
                    *key = Some(name);
                }
            },
        }
        Ok(())
    }
}

fn size(node: &Node) -> usize {
    1 + match node {
        Node::List(items) => items.iter().map(size).sum(),
        Node::Map(entries) => entries.iter().map(|(_, value)| 1 + size(value)).sum(),
        _ => 0,
    }
}

fn depth(node: &Node) -> usize {
    match node {
        Node::List(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Node::Map(entries) => 1 + entries.iter().map(|(_, value)| depth(value)).max().unwrap_or(0),
        _ => 0,
    }
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Node, String> {
    if let Some(tag) = tag {
        return match tag.suffix.as_str() {
            "str" => Ok(Node::Str(text.to_owned())),
            _ => Err(format!("the tag `{}{}`", tag.handle, tag.suffix)),
        };
    }
    if style != ScalarStyle::Plain {
        return Ok(Node::Str(text.to_owned()));
    }
    Ok(match text {
        "" | "~" | "null" | "Null" | "NULL" => Node::Null,
        "true" | "True" | "TRUE" => Node::Bool(true),
        "false" | "False" | "FALSE" => Node::Bool(false),
        _ => number(text).unwrap_or_else(|| Node::Str(text.to_owned())),
    })
}

/// The numbers of YAML's core schema, but for `.inf` and `.nan`, which no log writes.
fn number(text: &str) -> Option<Node> {
    let owned = || text.to_owned();
    if let Some(hex) = text.strip_prefix("0x") {
        return u64::from_str_radix(hex, 16)
            .ok()
            .and_then(|n| i64::try_from(n).ok())
            .map(|n| Node::Int(n, owned()));
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        || !digits
            .bytes()
            .all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-'))
    {
        return None;
    }
    if let Ok(number) = text.parse::<i64>() {
        return Some(Node::Int(number, owned()));
    }
    text.parse::<f64>()
        .ok()
        .filter(|number| number.is_finite())
        .map(|number| Node::Float(number, owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_resolve_as_the_core_schema_says() {
        let node =
            parse("a: 1\nb: '1'\nc: 1.5\nd: yes\ne: null\nf:\ng: 0x10\nh: true\ni: 1.2.3.4\nj: 2024-01-01\n").unwrap();
        assert_eq!(node.get("a"), Some(&Node::Int(1, "1".to_owned())));
        assert_eq!(node.get("b"), Some(&Node::Str("1".to_owned())));
        assert_eq!(node.get("c"), Some(&Node::Float(1.5, "1.5".to_owned())));
        assert_eq!(node.get("d"), Some(&Node::Str("yes".to_owned())));
        assert_eq!(node.get("e"), Some(&Node::Null));
        assert_eq!(node.get("f"), Some(&Node::Null));
        assert_eq!(node.get("g"), Some(&Node::Int(16, "0x10".to_owned())));
        assert_eq!(node.get("h"), Some(&Node::Bool(true)));
        assert_eq!(node.get("i").and_then(Node::text), Some("1.2.3.4"));
        assert_eq!(node.get("j").and_then(Node::text), Some("2024-01-01"));
    }

    #[test]
    fn nothing_explodes() {
        let deep = "[".repeat(100_000);
        assert!(parse(&deep).is_err());
        assert!(
            parse(&format!("{}a", "- ".repeat(10_000)))
                .unwrap_err()
                .contains("deeper")
        );
        let mut bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned();
        for level in 1..12 {
            let inner = vec![format!("*a{}", level - 1); 9].join(",");
            bomb.push_str(&format!("a{level}: &a{level} [{inner}]\n"));
        }
        assert!(parse(&bomb).unwrap_err().contains("more than"));
        assert!(parse("a: &a [*a]").is_err());
        assert!(parse("a: 1\na: 2").unwrap_err().contains("twice"));
    }

    #[test]
    fn documents_split_at_markers_alone() {
        assert_eq!(
            split("a: 1\n---\nb: |\n  x --- y\n...\n# nothing\n---\n"),
            ["a: 1\n", "b: |\n  x --- y\n"]
        );
        assert_eq!(split("\u{feff}--- # one\na: 1\n").len(), 1);
        assert!(split("").is_empty());
    }
}
