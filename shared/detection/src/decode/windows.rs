//! Windows events in JSON: flat as NXLog and the public captures have them, below `winlog` as Winlogbeat writes them, and
//! below `Event` as readers of event log files do. Rules find every field under the name that Windows gives it, whatever
//! the form.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::LazyLock;

use super::channels::Source;
use super::{Context, Format, blank, calendar, fixed, words};
use crate::names::Names;
use crate::{Event, Fields, LogSource, Value};

/// Names of fields that the decoder asks for, each found in one pass over an event.
macro_rules! known {
    ($($variant:ident = $name:literal),+ $(,)?) => {
        #[derive(Clone, Copy)]
        enum Known { $($variant),+ }
        const KNOWN: &[&str] = &[$($name),+];
    };
}

known! {
    EventId = "EventID",
    Channel = "Channel",
    Provider = "Provider_Name",
    SourceName = "SourceName",
    ProviderName = "ProviderName",
    Computer = "Computer",
    Hostname = "Hostname",
    ComputerName = "ComputerName",
    MachineName = "MachineName",
    EventType = "EventType",
    TimeCreated = "TimeCreated",
    SystemTime = "SystemTime",
    Timestamp = "@timestamp",
    UtcTime = "UtcTime",
    EventTime = "EventTime",
    SubjectUserName = "SubjectUserName",
    SubjectLogonId = "SubjectLogonId",
    TargetUserName = "TargetUserName",
    User = "User",
    LogonId = "LogonId",
    Image = "Image",
    NewProcessName = "NewProcessName",
    Application = "Application",
    CommandLine = "CommandLine",
    CurrentDirectory = "CurrentDirectory",
    ParentImage = "ParentImage",
    ParentProcessName = "ParentProcessName",
    ParentCommandLine = "ParentCommandLine",
    TargetFilename = "TargetFilename",
    ImageLoaded = "ImageLoaded",
    TargetObject = "TargetObject",
    QueryName = "QueryName",
    ServiceName = "ServiceName",
    ScriptBlockText = "ScriptBlockText",
    SourceIp = "SourceIp",
    IpAddress = "IpAddress",
    SourceAddress = "SourceAddress",
    DestinationIp = "DestinationIp",
    DestAddress = "DestAddress",
    SourcePort = "SourcePort",
    IpPort = "IpPort",
    DestinationPort = "DestinationPort",
    DestPort = "DestPort",
}

/// The numbers of the known names.
static NUMBERS: LazyLock<Names> = LazyLock::new(|| Names::new(KNOWN.iter().copied()));

/// Where the forms have a time, in the order of trust.
const TIMES: [Known; 5] = [
    Known::TimeCreated,
    Known::SystemTime,
    Known::Timestamp,
    Known::UtcTime,
    Known::EventTime,
];
/// Names of Windows, and what flat forms call the same.
const FLAT: &[(Known, &[Known])] = &[
    (Known::Provider, &[Known::SourceName, Known::ProviderName]),
    (
        Known::Computer,
        &[Known::Hostname, Known::ComputerName, Known::MachineName],
    ),
];
/// Names of Windows, and what Winlogbeat calls the same.
const WINLOG: &[(&str, &str)] = &[
    ("Provider_Name", "provider_name"),
    ("Computer", "computer_name"),
    ("Channel", "channel"),
    ("EventID", "event_id"),
    ("EventRecordID", "record_id"),
];
/// Security's own names in events of processes that start, and those that rules know from Sysmon.
const AS_SYSMON: &[(Known, Known)] = &[
    (Known::NewProcessName, Known::Image),
    (Known::ParentProcessName, Known::ParentImage),
    (Known::SubjectUserName, Known::User),
    (Known::SubjectLogonId, Known::LogonId),
];
/// Logons, and what else is about the account that Windows calls the target.
const LOGONS: &[u32] = &[4624, 4625, 4634, 4648, 4672, 4768, 4769, 4770, 4771, 4776, 4778, 4779];

pub(super) fn decode<'a>(raw: &'a str, fields: Fields<'a>, context: Context) -> Result<Event<'a>, Fields<'a>> {
    let mut index = Index::new();
    index.add(&fields);
    let Some(form) = Form::of(&fields, &index, context.named) else {
        return Err(fields);
    };
    let mut event = blank(Format::Windows, raw, LogSource::default());
    form.name(&index, &mut event.ecs);
    index.add(&event.ecs);
    let Some(code) = index.get(Known::EventId).and_then(number) else {
        return Err(fields);
    };
    let said = |known| index.text(known).map_or("", |text| text.as_ref());
    let source = Source {
        channel: said(Known::Channel),
        provider: said(Known::Provider),
        code,
        event_type: said(Known::EventType),
    };
    (event.logsource, event.also) = source.logsource();
    event.time = TIMES.iter().find_map(|known| calendar::iso(said(*known)));
    let mut ecs = Fields(Vec::with_capacity(24));
    if code == 4688 {
        as_sysmon(&index, &mut ecs);
    }
    normalise(&index, event.logsource.category.as_deref(), code, &mut ecs);
    event.ecs.0.append(&mut ecs.0);
    event.original = fields;
    Ok(event)
}

/// The known fields of an event. The first of a name counts.
struct Index<'f, 'a>([Option<&'f Value<'a>>; KNOWN.len()]);

impl<'f, 'a> Index<'f, 'a> {
    fn new() -> Self {
        Self([None; KNOWN.len()])
    }

    fn add(&mut self, fields: &'f Fields<'a>) {
        for (name, value) in &fields.0 {
            if let Some(number) = NUMBERS.number(name) {
                self.0[number as usize].get_or_insert(value);
            }
        }
    }

    fn get(&self, known: Known) -> Option<&'f Value<'a>> {
        self.0[known as usize]
    }

    fn text(&self, known: Known) -> Option<&'f Cow<'a, str>> {
        match self.get(known) {
            Some(Value::Str(text)) => Some(text),
            _ => None,
        }
    }
}

/// Where the fields of an event are.
#[derive(Clone, Copy)]
enum Form<'f, 'a> {
    /// All at the top, a few under names of the collector.
    Flat,
    /// Below `winlog`, those of the event itself below `event_data` and `user_data` there.
    Winlog(&'f Fields<'a>),
    /// `System` beside `EventData` and `UserData`, as in the XML that Windows keeps.
    Xml(&'f Fields<'a>),
}

impl<'f, 'a> Form<'f, 'a> {
    fn of(fields: &'f Fields<'a>, index: &Index<'f, 'a>, named: bool) -> Option<Self> {
        if index.get(Known::EventId).is_some() {
            let names = [Known::Channel, Known::SourceName, Known::Provider, Known::ProviderName];
            let is_windows = named || names.iter().any(|known| index.text(*known).is_some());
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
    fn name(self, index: &Index<'f, 'a>, named: &mut Fields<'a>) {
        match self {
            Self::Flat => {
                for (known, others) in FLAT {
                    if index.get(*known).is_none()
                        && let Some(value) = others.iter().find_map(|other| index.get(*other))
                    {
                        named.push(KNOWN[*known as usize], value.clone());
                    }
                }
            }
            Self::Winlog(winlog) => {
                for (name, other) in WINLOG {
                    if let Some(value) = winlog.get(other) {
                        named.push(*name, value.clone());
                    }
                }
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

fn as_sysmon<'a>(index: &Index<'_, 'a>, named: &mut Fields<'a>) {
    for (known, as_known) in AS_SYSMON {
        if index.get(*as_known).is_none()
            && let Some(value) = index.get(*known)
        {
            named.push(KNOWN[*as_known as usize], value.clone());
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

/// Fields of Windows and their names in ECS. Where two have the same name, the first that the event has counts.
const ECS: &[(Known, &str, As)] = &[
    (Known::Image, "process.executable", As::Text),
    (Known::NewProcessName, "process.executable", As::Text),
    (Known::Application, "process.executable", As::Text),
    (Known::CommandLine, "process.command_line", As::Text),
    (Known::CurrentDirectory, "process.working_directory", As::Text),
    (Known::ParentImage, "process.parent.executable", As::Text),
    (Known::ParentProcessName, "process.parent.executable", As::Text),
    (Known::ParentCommandLine, "process.parent.command_line", As::Text),
    (Known::TargetFilename, "file.path", As::Text),
    (Known::ImageLoaded, "dll.path", As::Text),
    (Known::TargetObject, "registry.path", As::Text),
    (Known::QueryName, "dns.question.name", As::Text),
    (Known::ServiceName, "service.name", As::Text),
    (Known::ScriptBlockText, "powershell.file.script_block_text", As::Text),
    (Known::SourceIp, "source.ip", As::Address),
    (Known::IpAddress, "source.ip", As::Address),
    (Known::SourceAddress, "source.ip", As::Address),
    (Known::DestinationIp, "destination.ip", As::Address),
    (Known::DestAddress, "destination.ip", As::Address),
    (Known::SourcePort, "source.port", As::Port),
    (Known::IpPort, "source.port", As::Port),
    (Known::DestinationPort, "destination.port", As::Port),
    (Known::DestPort, "destination.port", As::Port),
    (Known::Computer, "host.name", As::Text),
    (Known::Hostname, "host.name", As::Text),
    (Known::Provider, "event.provider", As::Text),
    (Known::SourceName, "event.provider", As::Text),
];

fn normalise<'a>(index: &Index<'_, 'a>, category: Option<&str>, code: u32, ecs: &mut Fields<'a>) {
    let mut last = "";
    for (known, name, kind) in ECS {
        if *name != last
            && let Some(value) = index.get(*known).and_then(|value| kind.of(value))
        {
            last = name;
            ecs.push(*name, value);
        }
    }
    ecs.push("event.code", Value::Str(code.to_string().into()));
    if let Some((category, outcome)) = meaning(category, code) {
        ecs.push("event.category", words(&[category]));
        if let Some(outcome) = outcome {
            ecs.push("event.outcome", fixed(outcome));
        }
    }
    accounts(index, code, ecs);
}

impl As {
    /// The value, if it is what the field is for.
    fn of<'a>(self, value: &Value<'a>) -> Option<Value<'a>> {
        match (self, value) {
            (Self::Text, Value::Str(text)) if !text.is_empty() && text != "-" => Some(value.clone()),
            (Self::Address, Value::Str(text)) if text.parse::<IpAddr>().is_ok() => Some(value.clone()),
            (Self::Port, Value::Str(text)) => text.parse::<u16>().ok().map(|port| Value::Int(port.into())),
            (Self::Port, Value::Int(port)) => u16::try_from(*port).ok().map(|port| Value::Int(port.into())),
            _ => None,
        }
    }
}

/// Who acts, and on whom.
fn accounts<'a>(index: &Index<'_, 'a>, code: u32, ecs: &mut Fields<'a>) {
    let known = |known| index.text(known).filter(|name| !name.is_empty() && *name != "-");
    let (subject, target) = (known(Known::SubjectUserName), known(Known::TargetUserName));
    let logon = LOGONS.contains(&code);
    let user = if logon { target.or(subject) } else { subject.or(target) };
    match user {
        Some(user) => ecs.push("user.name", Value::Str(user.clone())),
        None => {
            if let Some(user) = known(Known::User) {
                ecs.push("user.name", Value::Str(account(user)));
            }
        }
    }
    if let (Some(target), false, true) = (target, logon, subject.is_some()) {
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

#[cfg(test)]
mod tests;
