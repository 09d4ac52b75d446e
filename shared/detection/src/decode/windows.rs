//! Windows events in JSON: flat as NXLog and the public captures have them, below `winlog` as Winlogbeat writes them, and
//! below `Event` as readers of event log files do. Rules find every field under the name that Windows gives it, whatever
//! the form.

use std::borrow::Cow;
use std::net::IpAddr;

use super::channels::Source;
use super::json::text;
use super::{Context, Format, blank, calendar, fixed, words};
use crate::{Event, Fields, Value};

/// Where the forms have a time, in the order of trust.
const TIMES: &[&str] = &["TimeCreated", "SystemTime", "@timestamp", "UtcTime", "EventTime"];
/// Names of Windows, and what collectors call the same.
const ALIASES: &[(&str, &[&str])] = &[
    (
        "Provider_Name",
        &["SourceName", "ProviderName", "Provider", "provider_name", "source_name"],
    ),
    (
        "Computer",
        &["Hostname", "ComputerName", "computer_name", "MachineName", "host.name"],
    ),
    ("Channel", &["channel", "log_name", "LogName"]),
    ("EventID", &["event_id", "EventId", "event.code"]),
    ("EventRecordID", &["record_id", "RecordNumber"]),
];
/// Security's own names in events of processes that start, and those that rules know from Sysmon.
const AS_SYSMON: &[(&str, &str)] = &[
    ("NewProcessName", "Image"),
    ("ParentProcessName", "ParentImage"),
    ("SubjectUserName", "User"),
    ("SubjectLogonId", "LogonId"),
];
/// Logons, and what else is about the account that Windows calls the target.
const LOGONS: &[u32] = &[4624, 4625, 4634, 4648, 4672, 4768, 4769, 4770, 4771, 4776, 4778, 4779];

pub(super) fn decode<'a>(raw: &'a str, fields: Fields<'a>, context: Context) -> Result<Event<'a>, Fields<'a>> {
    let Some(form) = Form::of(&fields, context.named) else {
        return Err(fields);
    };
    let mut event = blank(Format::Windows, raw, Default::default());
    form.name(&fields, &mut event.ecs);
    let seen = |name: &str| fields.path(name).or_else(|| event.ecs.get(name));
    let said = |name: &str| match seen(name) {
        Some(Value::Str(text)) => text.as_ref(),
        _ => "",
    };
    let Some(code) = seen("EventID").and_then(number) else {
        return Err(fields);
    };
    let source = Source {
        channel: said("Channel"),
        provider: said("Provider_Name"),
        code,
        event_type: said("EventType"),
    };
    (event.logsource, event.also) = source.logsource();
    event.time = TIMES.iter().find_map(|name| calendar::iso(said(name)));
    if code == 4688 {
        as_sysmon(&fields, &mut event.ecs);
    }
    normalise(&fields, &mut event, code);
    event.original = fields;
    Ok(event)
}

/// Where the fields of an event are.
#[derive(Clone, Copy)]
enum Form<'f, 'a> {
    /// All at the top.
    Flat,
    /// Below `winlog`, those of the event itself below `event_data` and `user_data` there.
    Winlog(&'f Fields<'a>),
    /// `System` beside `EventData` and `UserData`, as in the XML that Windows keeps.
    Xml(&'f Fields<'a>),
}

impl<'f, 'a> Form<'f, 'a> {
    fn of(fields: &'f Fields<'a>, named: bool) -> Option<Self> {
        if fields.get("EventID").is_some() {
            let names = ["Channel", "SourceName", "Provider_Name", "ProviderName"];
            let is_windows = named || names.iter().any(|name| text(fields, name).is_some());
            return is_windows.then_some(Self::Flat);
        }
        if let Some(Value::Map(winlog)) = fields.get("winlog") {
            return winlog.get("event_id").is_some().then_some(Self::Winlog(winlog));
        }
        let inner = match fields.get("Event") {
            Some(Value::Map(inner)) => inner,
            _ => fields,
        };
        match inner.get("System") {
            Some(Value::Map(system)) if system.get("EventID").is_some() => Some(Self::Xml(inner)),
            _ => None,
        }
    }

    /// Gives every field of the event its name of Windows, where it has another.
    fn name(self, fields: &Fields<'a>, named: &mut Fields<'a>) {
        match self {
            Self::Flat => alias(fields, fields, named),
            Self::Winlog(winlog) => {
                alias(winlog, fields, named);
                for below in ["event_data", "user_data"] {
                    if let Some(Value::Map(data)) = winlog.get(below) {
                        lift(data, named);
                        unnamed(data, named);
                    }
                }
            }
            Self::Xml(event) => {
                if let Some(Value::Map(system)) = event.get("System") {
                    system_fields(system, named);
                }
                for below in ["EventData", "UserData"] {
                    if let Some(Value::Map(data)) = event.get(below) {
                        event_data(data, named);
                    }
                }
            }
        }
    }
}

/// Fields that a collector renamed.
fn alias<'a>(from: &Fields<'a>, fields: &Fields<'a>, named: &mut Fields<'a>) {
    for (name, others) in ALIASES {
        if fields.get(name).is_none()
            && let Some(value) = others.iter().find_map(|other| from.path(other))
            && !matches!(value, Value::Map(_))
        {
            named.push(*name, value.clone());
        }
    }
}

/// Copies fields, those of a lone map within too: `UserData` holds the event's fields in an element of its own.
fn lift<'a>(from: &Fields<'a>, named: &mut Fields<'a>) {
    for (name, value) in &from.0 {
        match value {
            Value::Map(inner) if !name.starts_with(['#', '@']) => lift(inner, named),
            Value::Map(_) => {}
            value => named.0.push((name.clone(), value.clone())),
        }
    }
}

/// What Winlogbeat calls `param1`, `param2` is one field without a name, `Data`.
fn unnamed<'a>(from: &Fields<'a>, named: &mut Fields<'a>) {
    let is_numbered = |name: &str| {
        let digits = name.strip_prefix("param").unwrap_or_default();
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    let values: Vec<_> = from
        .0
        .iter()
        .filter(|(name, _)| is_numbered(name))
        .map(|(_, value)| value.clone())
        .collect();
    if !values.is_empty() && from.get("Data").is_none() {
        named.push("Data", Value::List(values));
    }
}

/// An attribute of an XML element, in the spellings of the converters.
fn attribute<'f, 'a>(element: &'f Fields<'a>, name: &str) -> Option<&'f Value<'a>> {
    if let Some(Value::Map(attributes)) = element.get("#attributes").or_else(|| element.get("$")) {
        return attributes.get(name);
    }
    let own = element.0.iter().find(|(own, _)| own.strip_prefix('@') == Some(name));
    own.map(|(_, value)| value).or_else(|| element.get(name))
}

/// The text of an XML element that may have attributes.
fn content<'f, 'a>(value: &'f Value<'a>) -> Option<&'f Value<'a>> {
    match value {
        Value::Map(element) => ["#text", "text", "_", "Value"]
            .iter()
            .find_map(|name| element.get(name)),
        value => Some(value),
    }
}

fn system_fields<'a>(system: &Fields<'a>, named: &mut Fields<'a>) {
    const ATTRIBUTES: &[(&str, &str, &str)] = &[
        ("Provider", "Name", "Provider_Name"),
        ("Provider", "Guid", "Provider_Guid"),
        ("TimeCreated", "SystemTime", "SystemTime"),
        ("Execution", "ProcessID", "Execution_ProcessID"),
        ("Security", "UserID", "UserID"),
    ];
    for (element, name, as_name) in ATTRIBUTES {
        if let Some(Value::Map(element)) = system.get(element)
            && let Some(value) = attribute(element, name)
        {
            named.push(*as_name, value.clone());
        }
    }
    for (name, value) in &system.0 {
        if let Some(value) = content(value).filter(|value| !matches!(value, Value::Null)) {
            named.0.push((name.clone(), value.clone()));
        }
    }
}

/// `EventData`: by name, or as a list of `Data` elements with their names in attributes.
fn event_data<'a>(data: &Fields<'a>, named: &mut Fields<'a>) {
    for (name, value) in &data.0 {
        match value {
            Value::List(elements) if name == "Data" => elements.iter().for_each(|element| data_element(element, named)),
            Value::Map(_) if name == "Data" => data_element(value, named),
            Value::Map(_) if name.starts_with(['#', '@', '$']) => {}
            Value::Map(inner) => event_data(inner, named),
            value => named.0.push((name.clone(), value.clone())),
        }
    }
}

fn data_element<'a>(element: &Value<'a>, named: &mut Fields<'a>) {
    let name = match element {
        Value::Map(inner) => attribute(inner, "Name"),
        _ => None,
    };
    let Some(value) = content(element) else { return };
    let name = match name {
        Some(Value::Str(name)) => name.clone(),
        _ => Cow::Borrowed("Data"),
    };
    if name == "Data"
        && let Some((_, known)) = named.0.iter_mut().find(|(own, _)| *own == name)
    {
        match known {
            Value::List(values) => values.push(value.clone()),
            first => *first = Value::List(vec![first.clone(), value.clone()]),
        }
        return;
    }
    named.0.push((name, value.clone()));
}

fn as_sysmon<'a>(fields: &Fields<'a>, named: &mut Fields<'a>) {
    for (name, as_name) in AS_SYSMON {
        let known = fields.get(as_name).is_some() || named.get(as_name).is_some();
        if !known && let Some(value) = fields.get(name).or_else(|| named.get(name)).cloned() {
            named.push(*as_name, value);
        }
    }
}

fn number(value: &Value<'_>) -> Option<u32> {
    match value {
        Value::Int(code) => u32::try_from(*code).ok(),
        Value::Str(code) => code.trim().parse().ok(),
        _ => None,
    }
}

/// What a field's value is in ECS.
#[derive(Clone, Copy)]
enum As {
    Text,
    Address,
    Port,
}

/// The ECS name of a field of Windows. Where two are the same, the first that the event has counts.
fn normalised(name: &str) -> Option<(&'static str, As)> {
    Some(match name {
        "Image" | "NewProcessName" | "Application" => ("process.executable", As::Text),
        "CommandLine" => ("process.command_line", As::Text),
        "CurrentDirectory" => ("process.working_directory", As::Text),
        "ParentImage" | "ParentProcessName" => ("process.parent.executable", As::Text),
        "ParentCommandLine" => ("process.parent.command_line", As::Text),
        "TargetFilename" => ("file.path", As::Text),
        "ImageLoaded" => ("dll.path", As::Text),
        "TargetObject" => ("registry.path", As::Text),
        "QueryName" => ("dns.question.name", As::Text),
        "ServiceName" => ("service.name", As::Text),
        "ScriptBlockText" => ("powershell.file.script_block_text", As::Text),
        "SourceIp" | "IpAddress" | "SourceAddress" => ("source.ip", As::Address),
        "DestinationIp" | "DestAddress" => ("destination.ip", As::Address),
        "SourcePort" | "IpPort" => ("source.port", As::Port),
        "DestinationPort" | "DestPort" => ("destination.port", As::Port),
        "Computer" | "Hostname" => ("host.name", As::Text),
        "Provider_Name" | "SourceName" => ("event.provider", As::Text),
        "Message" => ("message", As::Text),
        _ => return None,
    })
}

fn normalise<'a>(fields: &Fields<'a>, event: &mut Event<'a>, code: u32) {
    let mut ecs = Fields(Vec::with_capacity(16));
    for (name, value) in fields.0.iter().chain(&event.ecs.0) {
        let Some((name, kind)) = normalised(name) else { continue };
        let Value::Str(text) = value else { continue };
        let value = match kind {
            As::Text if text.is_empty() || text == "-" => continue,
            As::Text => Value::Str(text.clone()),
            As::Address if text.parse::<IpAddr>().is_ok() => Value::Str(text.clone()),
            As::Address => continue,
            As::Port => match text.parse::<u16>() {
                Ok(port) => Value::Int(port.into()),
                Err(_) => continue,
            },
        };
        if ecs.get(name).is_none() {
            ecs.push(name, value);
        }
    }
    ecs.push("event.code", Value::Str(code.to_string().into()));
    if let Some((category, outcome)) = meaning(event.logsource.category.as_deref(), code) {
        ecs.push("event.category", words(&[category]));
        if let Some(outcome) = outcome {
            ecs.push("event.outcome", fixed(outcome));
        }
    }
    let said = |name: &str| text(fields, name).or_else(|| text(&event.ecs, name));
    accounts(said, code, &mut ecs);
    event.ecs.0.append(&mut ecs.0);
}

/// Who acts, and on whom.
fn accounts<'f, 'a: 'f>(said: impl Fn(&str) -> Option<&'f Cow<'a, str>>, code: u32, ecs: &mut Fields<'a>) {
    let known = |name: &str| said(name).filter(|name| *name != "-");
    let (subject, target) = (known("SubjectUserName"), known("TargetUserName"));
    let (user, on) = if LOGONS.contains(&code) {
        (target.or(subject), None)
    } else {
        (subject.or(target), target)
    };
    match user {
        Some(user) => ecs.push("user.name", Value::Str(user.clone())),
        None => {
            if let Some(user) = known("User") {
                ecs.push("user.name", Value::Str(account(user)));
            }
        }
    }
    if let Some(target) = on.filter(|_| subject.is_some()) {
        ecs.push("user.target.name", Value::Str(target.clone()));
    }
}

/// The name in `DOMAIN\name`.
fn account<'a>(user: &Cow<'a, str>) -> Cow<'a, str> {
    let from = user.rfind('\\').map_or(0, |at| at + 1);
    match user {
        Cow::Borrowed(user) => Cow::Borrowed(&user[from..]),
        Cow::Owned(user) => Cow::Owned(user[from..].to_owned()),
    }
}

/// The category of ECS, and how it ended where the number tells.
fn meaning(category: Option<&str>, code: u32) -> Option<(&'static str, Option<&'static str>)> {
    Some(match (category, code) {
        (Some("process_creation" | "process_termination" | "process_access" | "process_tampering"), _) => {
            ("process", None)
        }
        (Some("network_connection" | "dns_query"), _) => ("network", None),
        (Some(category), _) if category.starts_with("file_") => ("file", None),
        (Some(category), _) if category.starts_with("registry_") => ("registry", None),
        (None, 4624 | 4648) => ("authentication", Some("success")),
        (None, 4625 | 4771) => ("authentication", Some("failure")),
        _ => return None,
    })
}
