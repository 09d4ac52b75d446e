//! From the detection section of a rule to tests of fields and an expression over them.

use std::collections::HashMap;

use super::comparison::{Comparison, Number, Values};
use super::condition::{self, Expr};
use super::encoding;
use super::error::RuleError;
use super::explain::Written;
use super::modifiers::{Mode, Modifiers, Transform};
use super::pattern::{self, Part, Place, TextTest};
use crate::names::Names;
use crate::yaml::Node;

/// The number of the field that stands for the whole line, as keywords see it.
pub(super) const LINE: u32 = 0;
/// Deeper lists and maps in a search identifier are refused.
const MAX_DEPTH: usize = 8;

/// A comparison of a field, shared by all rules that make it.
#[derive(Debug)]
pub(super) struct Test {
    pub(super) field: u32,
    pub(super) comparison: Comparison,
    pub(super) negated: bool,
    /// Texts one of which an event must hold for the test to be true; `None` when none is known.
    pub(super) needs: Option<Vec<String>>,
}

/// The fields and tests of all rules, each once.
#[derive(Debug)]
pub(super) struct Interner {
    pub(super) fields: Vec<String>,
    field_numbers: HashMap<String, u32>,
    pub(super) tests: Vec<Test>,
    /// Each test as a rule writes it, for people.
    pub(super) written: Vec<Written>,
    test_numbers: HashMap<String, u32>,
    /// The fields by name; complete once [`seal`](Self::seal) has been called.
    pub(super) names: Names,
    /// For each field, whether its name has dots: whether it may be found below others.
    pub(super) dotted: Vec<bool>,
}

impl Default for Interner {
    fn default() -> Self {
        // The line has a name that no field has.
        Self {
            fields: vec![String::new()],
            field_numbers: HashMap::new(),
            tests: Vec::new(),
            written: Vec::new(),
            test_numbers: HashMap::new(),
            names: Names::default(),
            dotted: Vec::new(),
        }
    }
}

/// A rule's detection, compiled: the condition's leaves are search identifiers, theirs are tests.
#[derive(Clone, Debug)]
pub(super) struct Detection {
    pub(super) searches: Vec<(String, Expr<u32>)>,
    pub(super) condition: Expr<usize>,
    /// The condition over tests, those that are cheap first; made when the rule is complete.
    pub(super) plan: Expr<u32>,
}

impl Detection {
    /// Compiles a detection section, or that of a filter, whose other keys are `besides`.
    pub(super) fn compile(
        node: &Node,
        section: &str,
        besides: &[&str],
        interner: &mut Interner,
    ) -> Result<Self, RuleError> {
        let Node::Map(entries) = node else {
            return Err(RuleError::attribute(
                section,
                format!("{} instead of a map", node.kind()),
            ));
        };
        let mut searches = Vec::new();
        let mut conditions = None;
        for (name, value) in entries {
            match name.as_str() {
                "condition" => conditions = Some(value),
                "timeframe" => {
                    let reason = "belongs to aggregations of the old form; write a correlation";
                    return Err(RuleError::attribute(format!("{section}.timeframe"), reason));
                }
                name if besides.contains(&name) => {}
                name => searches.push((name.to_owned(), interner.search(name, value, 0)?)),
            }
        }
        let names: Vec<_> = searches.iter().map(|(name, _)| name.as_str()).collect();
        let attribute = format!("{section}.condition");
        let one = |node: &Node| match node.text() {
            Some(text) => condition::parse(text, &names),
            None => Err(RuleError::attribute(
                &attribute,
                format!("{} instead of text", node.kind()),
            )),
        };
        let condition = match conditions {
            None => return Err(RuleError::attribute(attribute, "is missing")),
            Some(Node::List(list)) if list.is_empty() => return Err(RuleError::attribute(attribute, "is empty")),
            Some(Node::List(list)) => Expr::Or(list.iter().map(one).collect::<Result<_, _>>()?),
            Some(node) => one(node)?,
        };
        Ok(Self {
            searches,
            condition,
            plan: Expr::And(Vec::new()),
        })
    }

    /// Arranges the condition for speed.
    pub(super) fn arrange(&mut self, tests: &[Test]) {
        self.plan = plan(&self.condition, &|search| {
            plan(&self.searches[*search].1, &|test| {
                let own = &tests[*test as usize];
                let length = if own.field == LINE { 20 } else { 1 };
                (length * own.comparison.cost(), Expr::Leaf(*test))
            })
        })
        .1;
    }

    /// Adds a filter: the rule matches only where the filter's condition holds too.
    pub(super) fn and(&mut self, filter: &Self) {
        let offset = self.searches.len();
        self.searches.extend(
            filter
                .searches
                .iter()
                .map(|(name, search)| (format!("filter:{name}"), search.clone())),
        );
        let shifted = shift(&filter.condition, offset);
        let own = std::mem::replace(&mut self.condition, Expr::And(Vec::new()));
        self.condition = Expr::And(vec![own, shifted]);
    }
}

/// An expression with its leaves replaced, its joints flattened, and what is cheap in front; and what it costs.
fn plan<T>(expr: &Expr<T>, leaf: &dyn Fn(&T) -> (usize, Expr<u32>)) -> (usize, Expr<u32>) {
    let sorted = |parts: &[Expr<T>]| {
        let mut planned: Vec<_> = parts.iter().map(|part| plan(part, leaf)).collect();
        planned.sort_by_key(|(cost, _)| *cost);
        let cost = planned.iter().map(|(cost, _)| cost).sum();
        (cost, planned.into_iter().map(|(_, part)| part))
    };
    match expr {
        Expr::And(parts) => {
            let (cost, parts) = sorted(parts);
            let flat = parts.flat_map(|part| if let Expr::And(inner) = part { inner } else { vec![part] });
            (cost, Expr::And(flat.collect()))
        }
        Expr::Or(parts) => {
            let (cost, parts) = sorted(parts);
            let flat = parts.flat_map(|part| if let Expr::Or(inner) = part { inner } else { vec![part] });
            (cost, Expr::Or(flat.collect()))
        }
        Expr::Not(part) => {
            let (cost, part) = plan(part, leaf);
            (cost, Expr::Not(Box::new(part)))
        }
        Expr::Leaf(own) => leaf(own),
    }
}

fn shift(expr: &Expr<usize>, by: usize) -> Expr<usize> {
    let all = |parts: &[Expr<usize>]| parts.iter().map(|part| shift(part, by)).collect();
    match expr {
        Expr::And(parts) => Expr::And(all(parts)),
        Expr::Or(parts) => Expr::Or(all(parts)),
        Expr::Not(part) => Expr::Not(Box::new(shift(part, by))),
        Expr::Leaf(index) => Expr::Leaf(index + by),
    }
}

impl Interner {
    /// Makes the tables that evaluation asks, when all rules have been read.
    pub(super) fn seal(&mut self) {
        self.names = Names::new(self.fields.iter().map(String::as_str));
        self.dotted = self.fields.iter().map(|name| name.contains('.')).collect();
        self.test_numbers = HashMap::new();
    }

    pub(super) fn field(&mut self, name: &str) -> u32 {
        if let Some(number) = self.field_numbers.get(name) {
            return *number;
        }
        let number = u32::try_from(self.fields.len()).unwrap_or(u32::MAX);
        self.fields.push(name.to_owned());
        self.field_numbers.insert(name.to_owned(), number);
        number
    }

    /// A search identifier, or a part of one.
    fn search(&mut self, name: &str, node: &Node, depth: usize) -> Result<Expr<u32>, RuleError> {
        let wrong = |reason: &str| Err(RuleError::attribute(format!("detection.{name}"), reason));
        if depth > MAX_DEPTH {
            return wrong("is nested too deep");
        }
        match node {
            Node::Map(entries) if entries.is_empty() => wrong("is an empty map"),
            Node::Map(entries) => {
                let parts = entries
                    .iter()
                    .map(|(key, value)| self.item(key, value))
                    .collect::<Result<Vec<_>, _>>()?;
                Ok(joined(parts, Expr::And))
            }
            Node::List(items) if items.is_empty() => wrong("is an empty list"),
            Node::List(items) if items.iter().all(|item| item.text().is_some()) => self.item("", node),
            Node::List(items) => {
                let parts = items
                    .iter()
                    .map(|item| self.search(name, item, depth + 1))
                    .collect::<Result<Vec<_>, _>>()?;
                Ok(joined(parts, Expr::Or))
            }
            Node::Null => wrong("is null"),
            _ => self.item("", node),
        }
    }

    /// `field|modifiers: values`.
    fn item(&mut self, key: &str, node: &Node) -> Result<Expr<u32>, RuleError> {
        let wrong = |reason: String| RuleError::field(if key.is_empty() { "keywords" } else { key }, reason);
        let mut names = key.split('|');
        let field = names.next().unwrap_or_default();
        let modifiers = Modifiers::read(names).map_err(wrong)?;
        let values = match node {
            Node::List(items) if items.is_empty() => return Err(wrong("an empty list".to_owned())),
            Node::List(items) => items.as_slice(),
            other => std::slice::from_ref(other),
        };
        if let Some(other) = values
            .iter()
            .find(|value| matches!(value, Node::List(_) | Node::Map(_)))
        {
            return Err(wrong(format!("{} instead of a value", other.kind())));
        }
        if field.is_empty() && (modifiers.mode == Mode::Exists || modifiers.mode == Mode::FieldRef) {
            return Err(wrong("needs the name of a field".to_owned()));
        }
        let number = if field.is_empty() { LINE } else { self.field(field) };
        let groups: Vec<&[Node]> = if modifiers.all {
            values.chunks(1).collect()
        } else {
            vec![values]
        };
        let mut parts = Vec::with_capacity(groups.len());
        for group in groups {
            let written = || Written::new(key, group);
            let key = format!("{number} {modifiers:?} {group:?}");
            let test = match self.test_numbers.get(&key) {
                Some(test) => *test,
                None => {
                    let test = self.test(number, &modifiers, group).map_err(wrong)?;
                    let index = u32::try_from(self.tests.len()).unwrap_or(u32::MAX);
                    self.tests.push(test);
                    self.written.push(written());
                    self.test_numbers.insert(key, index);
                    index
                }
            };
            parts.push(Expr::Leaf(test));
        }
        // `all` and `neq` together: not all of them.
        if modifiers.all && modifiers.negated {
            Ok(joined(parts, Expr::Or))
        } else {
            Ok(joined(parts, Expr::And))
        }
    }

    fn test(&mut self, field: u32, modifiers: &Modifiers, nodes: &[Node]) -> Result<Test, String> {
        let mut values = Values {
            raw_expressions: matches!(modifiers.mode, Mode::Regex(_)),
            ..Values::default()
        };
        let (mut null, mut exists, mut fields) = (false, None, Vec::new());
        for node in nodes {
            match &modifiers.mode {
                Mode::Plain => null |= plain(field, modifiers, node, &mut values)?,
                Mode::Regex(flags) => {
                    let source = node
                        .text()
                        .ok_or_else(|| format!("{} as a regular expression", node.kind()))?;
                    values.texts.push(pattern::regex(source, flags)?);
                }
                Mode::Cidr => {
                    let text = node
                        .text()
                        .ok_or_else(|| format!("{} as a network", node.kind()))?
                        .trim();
                    let net = text
                        .parse()
                        .or_else(|_| text.parse::<std::net::IpAddr>().map(Into::into));
                    values
                        .networks
                        .push(net.map_err(|_| format!("`{text}` is no network in CIDR form"))?);
                }
                Mode::Order(order) => {
                    let bound = number(node).ok_or_else(|| format!("{} as a bound; it needs a number", node.kind()))?;
                    values.orders.push((*order, bound));
                }
                Mode::Exists => match node {
                    Node::Bool(wanted) if nodes.len() == 1 => exists = Some(*wanted),
                    _ => return Err("`exists` takes true or false".to_owned()),
                },
                Mode::FieldRef => match node {
                    Node::Str(name) if !name.is_empty() => fields.push((self.field(name), modifiers.place)),
                    other => return Err(format!("{} as the name of a field", other.kind())),
                },
            }
        }
        let safe = !null && exists.is_none() && fields.is_empty() && !modifiers.negated;
        let needs = if safe { needs(&values) } else { None };
        let mut comparison = Comparison::new(modifiers.cased, values)?;
        (comparison.null, comparison.exists, comparison.fields) = (null, exists, fields);
        Ok(Test {
            field,
            comparison,
            negated: modifiers.negated,
            needs,
        })
    }
}

/// Adds a plain value; true when it is null.
fn plain(field: u32, modifiers: &Modifiers, node: &Node, values: &mut Values) -> Result<bool, String> {
    let place = if field == LINE {
        Place::Anywhere
    } else {
        modifiers.place
    };
    let bare = modifiers.transforms.is_empty() && place == Place::Whole;
    let text = match node {
        Node::Null if bare => return Ok(true),
        Node::Null | Node::List(_) | Node::Map(_) => return Err(format!("{} with modifiers", node.kind())),
        Node::Str(text) => text,
        other => {
            let text = other.text().unwrap_or_default();
            if bare && let Some(number) = number(other) {
                values.numbers.push(number);
            }
            text
        }
    };
    for parts in transformed(pattern::read(text), &modifiers.transforms)? {
        values.texts.push(pattern::compile(&parts, place, modifiers.cased)?);
    }
    Ok(false)
}

fn number(node: &Node) -> Option<Number> {
    match node {
        Node::Int(number, _) => Some(Number::Int(*number)),
        Node::Float(number, _) => Some(Number::Float(*number)),
        Node::Str(text) => Number::of(&crate::Value::str(text)),
        _ => None,
    }
}

fn transformed(parts: Vec<Part>, transforms: &[Transform]) -> Result<Vec<Vec<Part>>, String> {
    enum Form {
        Parts(Vec<Part>),
        Bytes(Vec<u8>),
    }
    fn bytes(form: Form) -> Result<Vec<u8>, String> {
        match form {
            Form::Bytes(bytes) => Ok(bytes),
            Form::Parts(parts) => pattern::plain(&parts)
                .map(String::into_bytes)
                .ok_or_else(|| "wildcards cannot be encoded".to_owned()),
        }
    }
    let mut forms = vec![Form::Parts(parts)];
    for transform in transforms {
        let mut next = Vec::new();
        for form in forms {
            match transform {
                Transform::Windash => match form {
                    Form::Parts(parts) => next.extend(pattern::windash(&parts).into_iter().map(Form::Parts)),
                    Form::Bytes(_) => return Err("`windash` behind an encoding".to_owned()),
                },
                Transform::Utf16(layout) => {
                    let text = String::from_utf8(bytes(form)?).map_err(|_| "UTF-16 twice".to_owned())?;
                    next.push(Form::Bytes(encoding::utf16(&text, *layout)));
                }
                Transform::Base64 => {
                    next.push(Form::Parts(vec![Part::Text(encoding::base64(&bytes(form)?))]));
                }
                Transform::Base64Offset => {
                    let offsets = encoding::base64_offsets(&bytes(form)?);
                    if offsets.iter().any(String::is_empty) {
                        return Err("the value is too short to be found in base64".to_owned());
                    }
                    next.extend(offsets.map(|text| Form::Parts(vec![Part::Text(text)])));
                }
            }
        }
        forms = next;
    }
    forms
        .into_iter()
        .map(|form| match form {
            Form::Parts(parts) => Ok(parts),
            Form::Bytes(bytes) => match String::from_utf8(bytes) {
                Ok(text) => Ok(vec![Part::Text(text)]),
                Err(_) => Err("the encoded value is no text; encode it with base64 too".to_owned()),
            },
        })
        .collect()
}

/// Texts one of which every value that satisfies these holds.
fn needs(values: &Values) -> Option<Vec<String>> {
    if !values.orders.is_empty() || !values.networks.is_empty() {
        return None;
    }
    let mut needs = Vec::new();
    for text in &values.texts {
        match text {
            TextTest::Always => return None,
            TextTest::Equals(text)
            | TextTest::StartsWith(text)
            | TextTest::EndsWith(text)
            | TextTest::Contains(text) => {
                needs.push(text.clone());
            }
            TextTest::Regex(_, texts) => needs.extend(texts.as_deref()?.iter().cloned()),
        }
    }
    for number in &values.numbers {
        needs.push(match number {
            Number::Int(number) => number.to_string(),
            // `2.0` in a rule is `2` in a log.
            Number::Float(number) => number.to_string(),
        });
    }
    Some(needs)
}

fn joined(mut parts: Vec<Expr<u32>>, join: fn(Vec<Expr<u32>>) -> Expr<u32>) -> Expr<u32> {
    if parts.len() == 1 { parts.remove(0) } else { join(parts) }
}
