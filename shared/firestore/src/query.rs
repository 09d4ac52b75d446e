//! Queries, built in the order they are read.

use firestore::gcloud_sdk::google::firestore::v1::structured_query::{
    CollectionSelector, CompositeFilter, Direction, FieldFilter, FieldReference, Filter, Order, composite_filter,
    field_filter, filter::FilterType,
};
use firestore::gcloud_sdk::google::firestore::v1::value::ValueType;
use firestore::gcloud_sdk::google::firestore::v1::{Cursor, StructuredQuery, Value};

use crate::codec::list;

/// The field that orders by document name.
pub(crate) const NAME: &str = "__name__";

/// An index holds so much of a text.
const MAX_INDEXED_BYTES: usize = 1_500;

/// A query over one collection; all of its conditions must hold.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    query: StructuredQuery,
    filters: Vec<Filter>,
    finds_nothing: bool,
}

impl Query {
    /// All documents of a collection at the root.
    pub(crate) fn over(collection: &str) -> Self {
        Self {
            query: StructuredQuery {
                from: vec![CollectionSelector {
                    collection_id: collection.to_owned(),
                    all_descendants: false,
                }],
                ..StructuredQuery::default()
            },
            filters: Vec::new(),
            finds_nothing: false,
        }
    }

    pub(crate) fn equal(self, field: &str, value: Value) -> Self {
        self.filter(field, field_filter::Operator::Equal, value)
    }

    pub(crate) fn above(self, field: &str, value: Value) -> Self {
        self.filter(field, field_filter::Operator::GreaterThan, value)
    }

    pub(crate) fn at_least(self, field: &str, value: Value) -> Self {
        self.filter(field, field_filter::Operator::GreaterThanOrEqual, value)
    }

    pub(crate) fn below(self, field: &str, value: Value) -> Self {
        self.filter(field, field_filter::Operator::LessThan, value)
    }

    pub(crate) fn at_most(self, field: &str, value: Value) -> Self {
        self.filter(field, field_filter::Operator::LessThanOrEqual, value)
    }

    /// One of at most 30 values.
    pub(crate) fn among(self, field: &str, values: impl IntoIterator<Item = Value>) -> Self {
        self.filter(field, field_filter::Operator::In, list(values))
    }

    /// A list that holds the value.
    pub(crate) fn containing(self, field: &str, value: Value) -> Self {
        self.filter(field, field_filter::Operator::ArrayContains, value)
    }

    /// True when no document can be found, whatever is stored: a text is asked for that is too long for an index, and that
    /// the database may not take in a query.
    pub(crate) fn finds_nothing(&self) -> bool {
        self.finds_nothing
    }

    fn filter(mut self, field: &str, op: field_filter::Operator, value: Value) -> Self {
        if let Some(ValueType::StringValue(text)) = &value.value_type {
            self.finds_nothing |= text.len() > MAX_INDEXED_BYTES;
        }
        self.filters.push(Filter {
            filter_type: Some(FilterType::FieldFilter(FieldFilter {
                field: Some(path(field)),
                op: op as i32,
                value: Some(value),
            })),
        });
        self
    }

    pub(crate) fn ascending(self, field: &str) -> Self {
        self.order(field, Direction::Ascending)
    }

    pub(crate) fn descending(self, field: &str) -> Self {
        self.order(field, Direction::Descending)
    }

    fn order(mut self, field: &str, direction: Direction) -> Self {
        self.query.order_by.push(Order {
            field: Some(path(field)),
            direction: direction as i32,
        });
        self
    }

    /// Begins right after these values of the fields ordered by.
    pub(crate) fn after(mut self, values: Vec<Value>) -> Self {
        self.query.start_at = Some(Cursor { values, before: false });
        self
    }

    pub(crate) fn limit(mut self, limit: usize) -> Self {
        self.query.limit = Some(i32::try_from(limit).unwrap_or(i32::MAX));
        self
    }

    pub(crate) fn build(mut self) -> StructuredQuery {
        self.query.r#where = match self.filters.len() {
            0 => None,
            1 => self.filters.pop(),
            _ => Some(Filter {
                filter_type: Some(FilterType::CompositeFilter(CompositeFilter {
                    op: composite_filter::Operator::And as i32,
                    filters: self.filters,
                })),
            }),
        };
        self.query
    }
}

fn path(field: &str) -> FieldReference {
    FieldReference {
        field_path: field.to_owned(),
    }
}
