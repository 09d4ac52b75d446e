//! The values that a field is compared with.

use crate::yaml::Node;

/// A key of a search identifier, taken apart.
struct Key<'k> {
    written: &'k str,
    modifiers: Vec<&'k str>,
}

impl Key<'_> {
    fn has(&self, modifier: &str) -> bool {
        self.modifiers.contains(&modifier)
    }

    /// Values are Sigma's strings, in which `*` and `?` stand for others.
    fn is_pattern(&self) -> bool {
        const OTHERS: [&str; 8] = ["re", "cidr", "lt", "lte", "gt", "gte", "exists", "fieldref"];
        !OTHERS.iter().any(|other| self.has(other))
    }
}

pub(super) fn check(name: &str, node: &Node, found: &mut Vec<String>) {
    match node {
        Node::Map(entries) => {
            for (key, value) in entries {
                let mut parts = key.split('|');
                let field = parts.next().unwrap_or_default();
                if field != field.trim() {
                    found.push(format!("field `{key}`: a space before or after its name"));
                }
                let key = Key {
                    written: key,
                    modifiers: parts.collect(),
                };
                item(&key, value, found);
            }
        }
        Node::List(items) if items.iter().any(|item| matches!(item, Node::Map(_) | Node::List(_))) => {
            items.iter().for_each(|item| check(name, item, found));
        }
        keywords => {
            let key = Key {
                written: name,
                modifiers: Vec::new(),
            };
            patterns(&key, keywords, found);
        }
    }
}

fn item(key: &Key<'_>, node: &Node, found: &mut Vec<String>) {
    let mut say = |reason: &str| found.push(format!("field `{}`: {reason}", key.written));
    let values = match node {
        Node::List(items) => items.as_slice(),
        other => std::slice::from_ref(other),
    };
    if key.has("all") && values.len() == 1 {
        say("`all` with a single value");
    }
    // Keywords are looked for anywhere in the line.
    let is_keywords = key.written.starts_with('|');
    if key.has("all") && values.len() > 1 && key.modifiers.len() == 1 && !is_keywords && values.iter().all(is_plain) {
        say("`all` without `contains`, `startswith`, `endswith` or `re` holds only where the field is a list");
    }
    if key.has("base64offset") && !key.has("contains") {
        say("`base64offset` without `contains` finds the value only where nothing stands around it");
    }
    let wide = ["wide", "utf16", "utf16le", "utf16be"]
        .iter()
        .any(|modifier| key.has(modifier));
    if wide && !key.has("base64") && !key.has("base64offset") {
        say("an encoding to UTF-16 without `base64` or `base64offset` behind it");
    }
    let mut seen: Vec<String> = Vec::new();
    for text in values.iter().filter_map(Node::text) {
        let cased = ["cased", "re", "base64", "base64offset"]
            .iter()
            .any(|modifier| key.has(modifier));
        let same = if cased { text.to_owned() } else { text.to_lowercase() };
        if seen.contains(&same) {
            say(&format!("the value `{}` comes twice", shown(text)));
        }
        seen.push(same);
    }
    if key.is_pattern() {
        patterns(key, node, found);
    }
}

fn is_plain(node: &Node) -> bool {
    node.text().is_some_and(|text| !text.contains(['*', '?']))
}

fn patterns(key: &Key<'_>, node: &Node, found: &mut Vec<String>) {
    let values = match node {
        Node::List(items) => items.as_slice(),
        other => std::slice::from_ref(other),
    };
    for text in values.iter().filter_map(Node::text) {
        let mut say = |reason: &str| found.push(format!("field `{}`: `{}`: {reason}", key.written, shown(text)));
        if text.contains("**") && !text.contains('\\') {
            say("`**` is no more than `*`");
        }
        if let Some(wildcard) = escaped_wildcard(text) {
            say(&format!(
                "`\\{wildcard}` is the character {wildcard} itself; for a backslash before a wildcard write `\\\\{wildcard}`"
            ));
        }
        if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
            say("holds a control character");
        }
        let place = ["contains", "startswith", "endswith"]
            .into_iter()
            .find(|place| key.has(place));
        if let Some(place) = place {
            let needless = match place {
                "startswith" => ends_open(text),
                "endswith" => text.starts_with('*'),
                _ => text.starts_with('*') || ends_open(text),
            };
            if needless {
                say(&format!("a `*` that `{place}` stands for already"));
            }
        }
    }
}

/// Whether the last character is a wildcard for any text.
fn ends_open(text: &str) -> bool {
    text.strip_suffix('*')
        .is_some_and(|rest| (rest.len() - rest.trim_end_matches('\\').len()).is_multiple_of(2))
}

/// A wildcard that a lone backslash in a path makes an ordinary character. In other texts somebody means the character.
fn escaped_wildcard(text: &str) -> Option<char> {
    let mut chars = text.chars().peekable();
    let (mut is_path, mut before) = (false, ' ');
    while let Some(c) = chars.next() {
        let escaped = if c == '\\' {
            chars.next_if(|next| matches!(next, '*' | '?' | '\\'))
        } else {
            None
        };
        match escaped {
            Some(wildcard @ ('*' | '?')) if is_path || matches!(before, ':' | '%') => return Some(wildcard),
            Some('*' | '?') => {}
            // Whoever escapes the backslash before it knows what the next one does.
            Some(_) => {
                is_path = false;
                before = ' ';
                continue;
            }
            None => is_path |= c == '\\',
        }
        before = c;
    }
    None
}

fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(60).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}
