//! The database that is deployed has the indexes and the times to live that the queries rely on, and no others.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use threatstream_firestore::indexes::{EXEMPT, INDEXES, Mode, SINGLE_FIELDS, TTL_COLLECTIONS, TTL_FIELD};

fn deployed() -> Value {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../infra/firestore.indexes.json");
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

fn entries(of: &Value) -> BTreeSet<String> {
    let entries: Vec<String> = of.as_array().unwrap().iter().map(Value::to_string).collect();
    let set: BTreeSet<String> = entries.iter().cloned().collect();
    assert_eq!(set.len(), entries.len(), "something is listed twice");
    set
}

#[test]
fn every_index_is_deployed_and_no_other() {
    let needed = INDEXES.iter().map(|index| {
        let field = |(field, mode): &(&str, Mode)| match mode {
            Mode::Ascending => json!({"fieldPath": field, "order": "ASCENDING"}),
            Mode::Descending => json!({"fieldPath": field, "order": "DESCENDING"}),
            Mode::Contains => json!({"fieldPath": field, "arrayConfig": "CONTAINS"}),
        };
        let fields: Vec<Value> = index.fields.iter().map(field).collect();
        json!({"collectionGroup": index.collection, "queryScope": "COLLECTION", "fields": fields})
    });
    assert_eq!(entries(&deployed()["indexes"]), entries(&needed.collect()));
}

#[test]
fn single_fields_are_exempt_kept_and_forgotten_as_the_code_says() {
    let both_ways = json!([
        {"order": "ASCENDING", "queryScope": "COLLECTION"},
        {"order": "DESCENDING", "queryScope": "COLLECTION"},
    ]);
    let mut needed: Vec<Value> = EXEMPT
        .iter()
        .map(|collection| json!({"collectionGroup": collection, "fieldPath": "*", "indexes": []}))
        .collect();
    for single in SINGLE_FIELDS {
        let mut field = json!({"collectionGroup": single.collection, "fieldPath": single.field, "indexes": both_ways});
        if single.field == TTL_FIELD && TTL_COLLECTIONS.contains(&single.collection) {
            field["ttl"] = true.into();
        }
        needed.push(field);
    }
    for collection in TTL_COLLECTIONS {
        let indexed = SINGLE_FIELDS
            .iter()
            .any(|single| single.collection == *collection && single.field == TTL_FIELD);
        if !indexed {
            needed.push(json!({"collectionGroup": collection, "fieldPath": TTL_FIELD, "ttl": true, "indexes": []}));
        }
    }
    assert_eq!(entries(&deployed()["fieldOverrides"]), entries(&needed.into()));
}
