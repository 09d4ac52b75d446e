//! What the database must index, and what it must not, as data: what deploys the database can be checked against it.
//!
//! Every list is ordered by a time that only grows. An index that begins with such a time takes no more than about 500 writes
//! a second, all at its end, so lists are indexed by a `shard` of 0 to 7 first, and asked for in all of them at once.
//! Filters add up by merging: each filter has an index with the list's order behind it, and a query of several takes several.
//! Emulators index everything by themselves; a production database answers a query without its index with an error.

/// How a field takes part in an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Smallest first.
    Ascending,
    /// Largest first.
    Descending,
    /// Each item of a list.
    Contains,
}

/// An index over several fields of a collection; the document's name follows, in the direction of the last field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Index {
    /// The collection, by its id.
    pub collection: &'static str,
    /// The fields in order.
    pub fields: &'static [(&'static str, Mode)],
}

/// A single field that stays indexed, ascending and descending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SingleField {
    /// The collection, by its id.
    pub collection: &'static str,
    /// The field.
    pub field: &'static str,
}

use Mode::{Ascending as Asc, Contains, Descending as Desc};

const fn index(collection: &'static str, fields: &'static [(&'static str, Mode)]) -> Index {
    Index { collection, fields }
}

const fn single(collection: &'static str, field: &'static str) -> SingleField {
    SingleField { collection, field }
}

/// The composite indexes that the queries need.
pub const INDEXES: &[Index] = &[
    index("threats", &[("shard", Asc), ("analyzed_at", Desc)]),
    index("threats", &[("shard", Asc), ("severity", Asc), ("analyzed_at", Desc)]),
    index(
        "threats",
        &[("shard", Asc), ("threat_type", Asc), ("analyzed_at", Desc)],
    ),
    index("threats", &[("shard", Asc), ("source_ip", Asc), ("analyzed_at", Desc)]),
    index("threats", &[("shard", Asc), ("simulated", Asc), ("analyzed_at", Desc)]),
    index(
        "threats",
        &[("shard", Asc), ("techniques", Contains), ("analyzed_at", Desc)],
    ),
    index("alerts", &[("shard", Asc), ("created_at", Desc)]),
    index("alerts", &[("shard", Asc), ("closed", Asc), ("created_at", Desc)]),
    index("alerts", &[("shard", Asc), ("status", Asc), ("created_at", Desc)]),
    index("alerts", &[("shard", Asc), ("priority", Asc), ("created_at", Desc)]),
    index("alerts", &[("shard", Asc), ("assignee", Asc), ("created_at", Desc)]),
    index("alerts", &[("shard", Asc), ("created_at", Desc), ("updated_at", Desc)]),
    index(
        "alerts",
        &[
            ("shard", Asc),
            ("acknowledged", Asc),
            ("created_at", Desc),
            ("due_at", Desc),
        ],
    ),
    index(
        "alerts",
        &[
            ("shard", Asc),
            ("acknowledged", Asc),
            ("overdue_told", Asc),
            ("due_at", Asc),
        ],
    ),
    index("executions", &[("shard", Asc), ("started_at", Desc)]),
    index(
        "executions",
        &[("shard", Asc), ("threat_id", Asc), ("started_at", Desc)],
    ),
    index(
        "executions",
        &[("shard", Asc), ("playbook_id", Asc), ("started_at", Desc)],
    ),
    index("executions", &[("shard", Asc), ("status", Asc), ("started_at", Desc)]),
];

/// Collections whose fields are exempt from indexing, all but those of [`SINGLE_FIELDS`]: nothing asks for the others by
/// themselves, a time among them would be an index written at its end alone, and a body may be longer than an index takes.
pub const EXEMPT: &[&str] = &[
    "alerts",
    "blocks",
    "counters",
    "executions",
    "feed",
    "leases",
    "minutes",
    "originals",
    "settings",
    "simulations",
    "state",
    "threats",
];

/// What stays indexed by itself in an exempt collection.
pub const SINGLE_FIELDS: &[SingleField] = &[
    single("threats", "event_id"),
    single("blocks", "expires_at"),
    single("feed", "committed_at"),
    single("leases", "topic"),
    single("minutes", "minute"),
    single("minutes", "updated_at"),
];

/// Collections with a TTL policy; the field is [`TTL_FIELD`] in each. What is not here is kept for ever.
pub const TTL_COLLECTIONS: &[&str] = &[
    "alerts",
    "blocks",
    "executions",
    "feed",
    "minutes",
    "originals",
    "threats",
];

/// The field that says from when on a document may be deleted. Deletion comes up to a day late; no query waits for it.
pub const TTL_FIELD: &str = "expires_at";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use firestore::gcloud_sdk::google::firestore::v1::StructuredQuery;
    use firestore::gcloud_sdk::google::firestore::v1::structured_query::field_filter::Operator;
    use firestore::gcloud_sdk::google::firestore::v1::structured_query::filter::FilterType;
    use threatstream_backend::{AlertQuery, ExecutionQuery, ThreatQuery};
    use threatstream_domain::{AlertStatus, ExecutionStatus, Priority, Severity, ThreatType, Timestamp};

    use super::*;
    use crate::list::List;
    use crate::query::{NAME, Query};
    use crate::{alerts, responses, threats};

    /// The indexes that a query takes: for each field that must be equal one with the shard before and the order behind it, or
    /// one with the order alone.
    fn needed(query: &StructuredQuery) -> Vec<Vec<(String, Mode)>> {
        let order: Vec<(String, Mode)> = query
            .order_by
            .iter()
            .map(|order| (order.field.as_ref().unwrap().field_path.clone(), Desc))
            .filter(|(field, _)| field != NAME)
            .collect();
        let asked = query.r#where.as_ref().unwrap();
        let filters = match &asked.filter_type {
            Some(FilterType::CompositeFilter(all)) => all.filters.as_slice(),
            _ => std::slice::from_ref(asked),
        };
        let mut equal = Vec::new();
        for filter in filters {
            let Some(FilterType::FieldFilter(filter)) = &filter.filter_type else {
                panic!("{filter:?}")
            };
            let field = filter.field.as_ref().unwrap().field_path.clone();
            match filter.op() {
                Operator::In => assert_eq!(field, "shard"),
                Operator::Equal => equal.push((field, Asc)),
                Operator::ArrayContains => equal.push((field, Contains)),
                _ => assert!(
                    order.iter().any(|(ordered, _)| *ordered == field),
                    "a range of {field} without order"
                ),
            }
        }
        let shard = ("shard".to_owned(), Asc);
        if equal.is_empty() {
            return vec![[vec![shard], order].concat()];
        }
        equal
            .into_iter()
            .map(|field| [vec![shard.clone(), field], order.clone()].concat())
            .collect()
    }

    /// Checks a query, and notes the indexes that it takes.
    fn check(taken: &mut BTreeSet<usize>, (list, asked): (List, Query)) {
        for needed in needed(&list.ordered(asked.limit(1)).build()) {
            let found = INDEXES.iter().position(|index| {
                let fields = index.fields.iter().map(|(field, mode)| ((*field).to_owned(), *mode));
                index.collection == list.collection && fields.eq(needed.iter().cloned())
            });
            taken.insert(found.unwrap_or_else(|| panic!("no index of {} for {needed:?}", list.collection)));
        }
    }

    /// The one index that a query in ascending order takes: all that must be equal, then the order.
    fn whole(query: &StructuredQuery) -> Vec<String> {
        let Some(FilterType::CompositeFilter(all)) = query.r#where.as_ref().and_then(|it| it.filter_type.as_ref())
        else {
            panic!("{query:?}")
        };
        let equal = all.filters.iter().filter_map(|filter| match &filter.filter_type {
            Some(FilterType::FieldFilter(filter)) if matches!(filter.op(), Operator::In | Operator::Equal) => {
                filter.field.as_ref()
            }
            _ => None,
        });
        let order = query.order_by.iter().filter_map(|order| order.field.as_ref());
        let fields = equal.chain(order).map(|field| field.field_path.clone());
        fields.filter(|field| field != NAME).collect()
    }

    #[test]
    fn every_query_has_its_indexes_and_every_index_has_a_query() {
        let mut taken = BTreeSet::new();
        let now = Timestamp::from_secs(1_000_000);
        // Every combination of filters, as the bits of a number.
        for bits in 0..1u32 << 8 {
            let has = |bit: u32| bits >> bit & 1 == 1;
            let query = ThreatQuery {
                severity: has(0).then_some(Severity::High),
                threat_type: has(1).then_some(ThreatType::BruteForce),
                source_ip: has(2).then(|| "192.0.2.1".to_owned()),
                technique: has(3).then(|| "T1110".to_owned()),
                since: has(4).then_some(now),
                until: has(5).then_some(now),
                simulated: has(6).then_some(true),
                text: has(7).then(|| "x".to_owned()),
                limit: 1,
                cursor: None,
            };
            check(&mut taken, threats::asked(&query, now));
            let query = AlertQuery {
                active: has(0),
                status: has(1).then_some(AlertStatus::New),
                priority: has(2).then_some(Priority::P1),
                assignee: has(3).then(|| "ana".to_owned()),
                overdue_at: has(4).then_some(now),
                updated_since: has(5).then_some(now),
                limit: 1,
                cursor: None,
            };
            check(&mut taken, alerts::asked(&query));
            let query = ExecutionQuery {
                threat_id: has(0).then(|| "THR-1".to_owned()),
                playbook_id: has(1).then(|| "pb".to_owned()),
                status: has(2).then_some(ExecutionStatus::Running),
                limit: 1,
                cursor: None,
            };
            check(&mut taken, responses::asked(&query));
        }
        let overdue = whole(&alerts::untold(now).build());
        let found = INDEXES.iter().position(|index| {
            index.collection == alerts::ALERTS
                && index.fields.iter().all(|(_, mode)| *mode == Asc)
                && index.fields.iter().map(|(field, _)| *field).eq(overdue.iter())
        });
        taken.insert(found.unwrap_or_else(|| panic!("no index of alerts for {overdue:?}")));
        assert_eq!(taken.len(), INDEXES.len(), "an index that no query takes");
    }

    #[test]
    fn no_list_index_begins_with_a_time() {
        assert!(INDEXES.iter().all(|index| index.fields[0] == ("shard", Asc)));
    }

    #[test]
    fn nothing_is_listed_twice_and_everything_is_of_a_known_collection() {
        for (at, index) in INDEXES.iter().enumerate() {
            assert!(!INDEXES[..at].contains(index), "{index:?}");
            assert!(EXEMPT.contains(&index.collection), "{index:?}");
        }
        for field in SINGLE_FIELDS {
            assert!(EXEMPT.contains(&field.collection), "{field:?}");
        }
        assert!(TTL_COLLECTIONS.iter().all(|collection| EXEMPT.contains(collection)));
    }
}
