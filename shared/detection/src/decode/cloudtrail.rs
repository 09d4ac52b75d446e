//! AWS CloudTrail: one record a document, its names as AWS writes them; and the digests that vouch for log files.

use super::ingest::vendor_id;
use super::json::{map_text, text};
use super::{Context, Format, blank, calendar, fixed, logsource, push_source, words};
use crate::{Event, Fields, Value};

const FIELDS: &[(&str, &str)] = &[
    ("eventName", "event.action"),
    ("eventSource", "event.provider"),
    ("eventID", "event.id"),
    ("awsRegion", "cloud.region"),
    ("userAgent", "user_agent.original"),
    ("userIdentity.principalId", "user.id"),
    ("requestParameters.groupName", "group.name"),
    ("errorCode", "error.code"),
    ("errorMessage", "error.message"),
];

pub(super) fn decode<'a>(raw: &'a str, fields: Fields<'a>, _: Context) -> Result<Event<'a>, Fields<'a>> {
    let insight = text(&fields, "eventType").is_some_and(|kind| kind == "AwsCloudTrailInsight");
    let record = text(&fields, "eventSource").is_some() && text(&fields, "eventName").is_some();
    let digest = text(&fields, "digestS3Bucket").is_some() && text(&fields, "awsAccountId").is_some();
    if !record && !insight && !digest {
        return Err(fields);
    }
    let mut event = blank(
        Format::CloudTrail,
        raw,
        logsource(None, Some("aws"), Some("cloudtrail")),
    );
    let time = text(&fields, "eventTime").or_else(|| text(&fields, "digestEndTime"));
    event.time = time.and_then(|time| calendar::iso(time));
    event.vendor_id = vendor_id(raw);
    normalise(&fields, &mut event.ecs);
    event.original = fields;
    Ok(event)
}

fn normalise<'a>(fields: &Fields<'a>, ecs: &mut Fields<'a>) {
    ecs.push("event.kind", fixed("event"));
    ecs.push("cloud.provider", fixed("aws"));
    map_text(fields, ecs, FIELDS);
    if let Some(address) = text(fields, "sourceIPAddress") {
        push_source(ecs, address.clone());
    }
    let account = ["userIdentity.accountId", "recipientAccountId", "awsAccountId"];
    if let Some(account) = account.iter().find_map(|path| text(fields, path)) {
        ecs.push("cloud.account.id", Value::Str(account.clone()));
    }
    let user = text(fields, "userIdentity.userName")
        .or_else(|| text(fields, "userIdentity.sessionContext.sessionIssuer.userName"));
    match user {
        Some(user) => ecs.push("user.name", Value::Str(user.clone())),
        None if text(fields, "userIdentity.type").is_some_and(|kind| kind == "Root") => {
            ecs.push("user.name", fixed("root"));
        }
        None => {}
    }
    if text(fields, "eventSource").is_some_and(|source| source == "iam.amazonaws.com")
        && let Some(target) = text(fields, "requestParameters.userName")
    {
        ecs.push("user.target.name", Value::Str(target.clone()));
    }
    ecs.push(
        "event.outcome",
        fixed(if failed(fields) { "failure" } else { "success" }),
    );
    if let Some(category) = category(fields) {
        ecs.push("event.category", words(&[category]));
    }
}

fn failed(fields: &Fields<'_>) -> bool {
    let console_login = text(fields, "responseElements.ConsoleLogin");
    text(fields, "errorCode").is_some()
        || text(fields, "errorMessage").is_some()
        || console_login.is_some_and(|outcome| outcome == "Failure")
}

fn category(fields: &Fields<'_>) -> Option<&'static str> {
    match (
        text(fields, "eventSource")?.as_ref(),
        text(fields, "eventName")?.as_ref(),
    ) {
        ("signin.amazonaws.com" | "sts.amazonaws.com", _) => Some("authentication"),
        ("iam.amazonaws.com", _) | (_, "CreateKeyPair") => Some("iam"),
        _ => None,
    }
}
