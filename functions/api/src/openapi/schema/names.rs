//! Closed sets of names, taken from where they are defined, and times.

use std::borrow::Cow;

use threatstream_detection::decode::FORMATS;
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::openapi::{KnownFormat, RefOr};
use utoipa::{PartialSchema, ToSchema};

/// A closed set of names, taken from where it is defined.
macro_rules! closed {
    ($($name:ident from $names:expr;)+) => {$(
        pub(crate) struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                ObjectBuilder::new().schema_type(Type::String).enum_values(Some($names.iter().copied())).into()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                stringify!($name).into()
            }
        }
    )+};
}

closed! {
    AlertStatus from threatstream_domain::AlertStatus::NAMES;
    AuditRef from threatstream_domain::AuditRef::NAMES;
    ExecutionStatus from threatstream_domain::ExecutionStatus::NAMES;
    FormatName from FORMATS;
    Intensity from threatstream_domain::Intensity::NAMES;
    Priority from threatstream_domain::Priority::NAMES;
    RiskLevel from threatstream_domain::RiskLevel::NAMES;
    RiskTrend from threatstream_domain::RiskTrend::NAMES;
    Severity from threatstream_domain::Severity::NAMES;
    SimulationStatus from threatstream_domain::SimulationStatus::NAMES;
    SourceZone from threatstream_domain::SourceZone::NAMES;
    StepStatus from threatstream_domain::StepStatus::NAMES;
    ThreatType from threatstream_domain::ThreatType::NAMES;
}

/// A point in time.
pub(crate) struct Time;

impl PartialSchema for Time {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .description(Some("RFC 3339 in UTC with milliseconds"))
            .examples([serde_json::json!("2026-11-22T09:00:00.000Z")])
            .into()
    }
}

impl ToSchema for Time {
    fn name() -> Cow<'static, str> {
        "Time".into()
    }
}
