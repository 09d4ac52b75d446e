//! `GET /api/threats/recent`: a page of threats, newest first.

#![expect(unused_qualifications, reason = "in what the macro for parameters makes")]

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use threatstream_backend::ThreatQuery;
use threatstream_domain::{Severity, Threat, ThreatType, Timestamp};
use threatstream_runtime::{Json, Problem, Query};
use utoipa::{IntoParams, ToSchema};

use crate::api::Api;
use crate::failure;
use crate::list::{Limit, text};
use crate::openapi::schema;

/// Which threats. No window of time unless asked for.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct Recent {
    /// Of this severity.
    #[param(value_type = Option<schema::Severity>)]
    severity: Option<Severity>,
    /// Of this type.
    #[param(value_type = Option<schema::ThreatType>)]
    threat_type: Option<ThreatType>,
    /// From this address.
    #[param(value_type = Option<String>, example = "203.0.113.7")]
    source_ip: Option<IpAddr>,
    /// With this ATT&CK technique, or a sub-technique of it.
    #[param(example = "T1110")]
    technique: Option<String>,
    /// Analysed at or after.
    #[param(value_type = Option<schema::Time>)]
    since: Option<Timestamp>,
    /// Analysed before.
    #[param(value_type = Option<schema::Time>)]
    until: Option<Timestamp>,
    /// Of drills, or not.
    simulated: Option<bool>,
    /// With this text in the description, the id, an address, a user or a host.
    q: Option<String>,
    /// At most this many.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 500, default = 50)]
    limit: Limit,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A page of threats.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ThreatPage {
    /// Newest `analyzed_at` first.
    #[schema(value_type = Vec<schema::Threat>)]
    threats: Vec<Threat>,
    /// How many are on this page.
    count: usize,
    /// What the next page is asked with; null on the last.
    next_cursor: Option<String>,
}

/// Recent threats
#[utoipa::path(get, path = "/api/threats/recent", tag = "threats", params(Recent), responses((status = 200, body = ThreatPage)))]
pub(crate) async fn recent_threats(
    State(api): State<Arc<Api>>,
    Query(recent): Query<Recent>,
) -> Result<Json<ThreatPage>, Problem> {
    let query = recent.into_query()?;
    let page = api
        .backends
        .store
        .threats(&query)
        .await
        .map_err(|error| failure::listing(error, query.cursor.is_some()))?;
    Ok(Json(ThreatPage {
        count: page.items.len(),
        threats: page.items,
        next_cursor: page.next_cursor,
    }))
}

impl Recent {
    fn into_query(self) -> Result<ThreatQuery, Problem> {
        let technique = text(self.technique);
        if technique.as_deref().is_some_and(|technique| !is_technique(technique)) {
            return Err(Problem::bad_request("the query has a parameter that is not allowed")
                .field("technique", "expected an ATT&CK technique such as T1110 or T1110.001"));
        }
        Ok(ThreatQuery {
            severity: self.severity,
            threat_type: self.threat_type,
            // Threats have an IPv4 address as such, however it was written.
            source_ip: self.source_ip.map(|ip| ip.to_canonical().to_string()),
            technique,
            since: self.since,
            until: self.until,
            simulated: self.simulated,
            text: text(self.q),
            limit: self.limit.0,
            cursor: text(self.cursor),
        })
    }
}

/// `T` and four digits, and three more behind a dot for a sub-technique.
fn is_technique(text: &str) -> bool {
    let digits = |part: &str, count: usize| part.len() == count && part.bytes().all(|byte| byte.is_ascii_digit());
    text.strip_prefix('T').is_some_and(|rest| match rest.split_once('.') {
        Some((technique, sub)) => digits(technique, 4) && digits(sub, 3),
        None => digits(rest, 4),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn techniques() {
        for (text, right) in [
            ("T1110", true),
            ("T1110.001", true),
            ("t1110", false),
            ("T11", false),
            ("T1110.1", false),
            ("Té10", false),
        ] {
            assert_eq!(is_technique(text), right, "{text}");
        }
    }
}
