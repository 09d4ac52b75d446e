//! The variables of single backends.

use threatstream_backend::Topics;
use threatstream_runtime::Reader;

use super::kafka;

/// The project, which these engines need.
pub(super) fn project(reader: &mut Reader<'_>, engines: &[&str]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
    match reader.text("GOOGLE_CLOUD_PROJECT") {
        _ if engines.is_empty() => String::new(),
        None => {
            let needed_by = engines.join(" and ");
            reader.problem("GOOGLE_CLOUD_PROJECT", format!("is not set; needed for {needed_by}"));
            String::new()
        }
        Some(project) => {
            if project.len() > 100 || !project.chars().all(plain) {
                reader.problem("GOOGLE_CLOUD_PROJECT", "expected a project's id such as my-project-123");
            }
            project
        }
    }
}

pub(super) fn database(reader: &mut Reader<'_>) -> String {
    let database = reader.text_or("FIRESTORE_DATABASE", "(default)");
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if database != "(default)" && !(database.len() <= 63 && database.chars().all(plain)) {
        reader.problem(
            "FIRESTORE_DATABASE",
            "expected (default), or a database's id of lower-case letters, digits and hyphens",
        );
    }
    database
}

/// An emulator's address. On Cloud Run it is refused: an emulator checks nobody and keeps nothing.
pub(super) fn emulator(reader: &mut Reader<'_>, variable: &str) -> Option<String> {
    let address = reader.text(variable)?;
    if reader.text("K_SERVICE").is_some() {
        reader.problem(variable, "names an emulator, which is refused on Cloud Run");
    } else if !kafka::is_host_and_port(&address) {
        reader.problem(variable, "expected host:port without a scheme, as 127.0.0.1:8080");
    }
    Some(address)
}

pub(super) fn topics(reader: &mut Reader<'_>) -> Topics {
    let default = Topics::default();
    let mut seen: Vec<(&str, String)> = Vec::new();
    let mut topic = |variable: &'static str, default: &str| {
        let name = reader.text_or(variable, default);
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if name.len() > 249 || !name.chars().all(plain) || matches!(name.as_str(), "." | "..") {
            reader.problem(variable, "expected up to 249 letters, digits and . _ -");
        } else if let Some((other, _)) = seen.iter().find(|(_, known)| *known == name) {
            reader.problem(variable, format!("names the same topic as {other}; each needs its own"));
        }
        seen.push((variable, name.clone()));
        name
    };
    Topics {
        raw: topic("KAFKA_RAW_TOPIC", &default.raw),
        matches: topic("KAFKA_MATCHES_TOPIC", &default.matches),
        analyzed: topic("KAFKA_ANALYZED_TOPIC", &default.analyzed),
        alerts: topic("KAFKA_ALERTS_TOPIC", &default.alerts),
        metrics: topic("KAFKA_METRICS_TOPIC", &default.metrics),
        dead_letters: topic("KAFKA_DEAD_LETTER_TOPIC", &default.dead_letters),
    }
}
