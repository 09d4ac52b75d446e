//! Objects for structs, and nothing else.
//!
//! `serde` takes an array for any struct, field by field in the order of the program's text: `[]` is a struct of defaults, and a caller who
//! sends `["a", 1]` is right until somebody reorders the fields. This wraps a deserializer so that structs are objects at every depth.

use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, Unexpected, VariantAccess, Visitor,
};

/// What a struct was expected to be.
pub(super) const OBJECT: &str = "an object";

/// A deserializer, access or seed whose structs are objects.
pub(super) struct Strict<T>(pub(super) T);

/// A visitor of what is below; for a struct, without sequences.
struct Below<V> {
    inner: V,
    is_struct: bool,
}

const fn value<V>(inner: V) -> Below<V> {
    Below {
        inner,
        is_struct: false,
    }
}

const fn fields<V>(inner: V) -> Below<V> {
    Below { inner, is_struct: true }
}

macro_rules! forward {
    ($($method:ident($($name:ident: $type:ty),*) $wrap:ident;)*) => {$(
        fn $method<V: Visitor<'de>>(self, $($name: $type,)* visitor: V) -> Result<V::Value, D::Error> {
            self.0.$method($($name,)* $wrap(visitor))
        }
    )*};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Strict<D> {
    type Error = D::Error;

    forward! {
        deserialize_any() value;
        deserialize_bool() value;
        deserialize_i8() value;
        deserialize_i16() value;
        deserialize_i32() value;
        deserialize_i64() value;
        deserialize_i128() value;
        deserialize_u8() value;
        deserialize_u16() value;
        deserialize_u32() value;
        deserialize_u64() value;
        deserialize_u128() value;
        deserialize_f32() value;
        deserialize_f64() value;
        deserialize_char() value;
        deserialize_str() value;
        deserialize_string() value;
        deserialize_bytes() value;
        deserialize_byte_buf() value;
        deserialize_option() value;
        deserialize_unit() value;
        deserialize_unit_struct(name: &'static str) value;
        deserialize_newtype_struct(name: &'static str) value;
        deserialize_seq() value;
        deserialize_tuple(len: usize) value;
        deserialize_tuple_struct(name: &'static str, len: usize) value;
        deserialize_map() value;
        deserialize_struct(name: &'static str, names: &'static [&'static str]) fields;
        deserialize_enum(name: &'static str, variants: &'static [&'static str]) value;
        deserialize_identifier() value;
        deserialize_ignored_any() value;
    }

    fn is_human_readable(&self) -> bool {
        self.0.is_human_readable()
    }
}

macro_rules! visit {
    ($($method:ident($type:ty))*) => {$(
        fn $method<E: Error>(self, value: $type) -> Result<V::Value, E> {
            self.inner.$method(value)
        }
    )*};
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Below<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_struct {
            f.write_str(OBJECT)
        } else {
            self.inner.expecting(f)
        }
    }

    visit! {
        visit_bool(bool)
        visit_i8(i8)
        visit_i16(i16)
        visit_i32(i32)
        visit_i64(i64)
        visit_i128(i128)
        visit_u8(u8)
        visit_u16(u16)
        visit_u32(u32)
        visit_u64(u64)
        visit_u128(u128)
        visit_f32(f32)
        visit_f64(f64)
        visit_char(char)
        visit_str(&str)
        visit_borrowed_str(&'de str)
        visit_string(String)
        visit_bytes(&[u8])
        visit_borrowed_bytes(&'de [u8])
        visit_byte_buf(Vec<u8>)
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_none()
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.inner.visit_some(Strict(deserializer))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.inner.visit_newtype_struct(Strict(deserializer))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, access: A) -> Result<V::Value, A::Error> {
        if self.is_struct {
            return Err(A::Error::invalid_type(Unexpected::Seq, &self));
        }
        self.inner.visit_seq(Strict(access))
    }

    fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<V::Value, A::Error> {
        self.inner.visit_map(Strict(access))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<V::Value, A::Error> {
        self.inner.visit_enum(Strict(access))
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Strict<S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        self.0.deserialize(Strict(deserializer))
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Strict<A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.0.next_element_seed(Strict(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Strict<A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.0.next_key_seed(seed)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.0.next_value_seed(Strict(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}

impl<'de, A: EnumAccess<'de>> EnumAccess<'de> for Strict<A> {
    type Error = A::Error;
    type Variant = Strict<A::Variant>;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self::Variant), A::Error> {
        let (name, variant) = self.0.variant_seed(seed)?;
        Ok((name, Strict(variant)))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Strict<A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.0.unit_variant()
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        self.0.newtype_variant_seed(Strict(seed))
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        self.0.tuple_variant(len, value(visitor))
    }

    fn struct_variant<V: Visitor<'de>>(self, names: &'static [&'static str], visitor: V) -> Result<V::Value, A::Error> {
        self.0.struct_variant(names, fields(visitor))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde::{Deserialize, Serialize};
    use serde_json::value::RawValue;

    use super::*;

    #[derive(Debug, Default, PartialEq, Clone, Deserialize, Serialize)]
    #[serde(default)]
    struct Whole {
        part: Option<Part>,
        parts: Vec<Part>,
        by_name: BTreeMap<String, Part>,
        choice: Option<Choice>,
        pair: (u8, String),
        wrapped: Wrapped,
    }

    #[derive(Debug, Default, PartialEq, Clone, Deserialize, Serialize)]
    #[serde(default)]
    struct Part {
        number: i64,
        text: String,
    }

    #[derive(Debug, Default, PartialEq, Clone, Deserialize, Serialize)]
    struct Wrapped(Part);

    #[derive(Debug, PartialEq, Clone, Deserialize, Serialize)]
    enum Choice {
        Unit,
        Newtype(Part),
        Tuple(i64, bool),
        Fields { part: Part },
    }

    fn strict<T: for<'de> Deserialize<'de>>(json: &str) -> serde_json::Result<T> {
        T::deserialize(Strict(&mut serde_json::Deserializer::from_str(json)))
    }

    #[test]
    fn an_array_is_no_struct_at_any_depth() {
        for json in [
            "[]",
            "[null, [], {}]",
            "{\"part\": []}",
            "{\"part\": [1, \"x\"]}",
            "{\"parts\": [{}, []]}",
            "{\"by_name\": {\"a\": [1]}}",
            "{\"choice\": {\"Newtype\": [1]}}",
            "{\"choice\": {\"Fields\": [{}]}}",
            "{\"choice\": {\"Fields\": {\"part\": []}}}",
            "{\"wrapped\": [1]}",
        ] {
            serde_json::from_str::<Whole>(json).expect("taken without the wrapper");
            let error = strict::<Whole>(json).unwrap_err().to_string();
            assert!(
                error.starts_with("invalid type: sequence, expected an object"),
                "{json}: {error}"
            );
        }
    }

    #[test]
    fn values_that_are_kept_as_text_pass() {
        let raw: Box<RawValue> = strict("{\"b\": [1.50, 2]}").unwrap();
        assert_eq!(raw.get(), "{\"b\": [1.50, 2]}");
    }

    fn part() -> impl Strategy<Value = Part> {
        (any::<i64>(), any::<String>()).prop_map(|(number, text)| Part { number, text })
    }

    fn choice() -> impl Strategy<Value = Choice> {
        prop_oneof![
            Just(Choice::Unit),
            part().prop_map(Choice::Newtype),
            (any::<i64>(), any::<bool>()).prop_map(|(a, b)| Choice::Tuple(a, b)),
            part().prop_map(|part| Choice::Fields { part }),
        ]
    }

    proptest! {
        #[test]
        fn whatever_has_objects_for_structs_is_read_as_before(
            part in prop::option::of(part()), parts in prop::collection::vec(part(), 0..3),
            by_name in prop::collection::btree_map(any::<String>(), part(), 0..3),
            choice in prop::option::of(choice()), pair in any::<(u8, String)>(), wrapped in part(),
        ) {
            let whole = Whole { part, parts, by_name, choice, pair, wrapped: Wrapped(wrapped) };
            let json = serde_json::to_string(&whole).unwrap();
            prop_assert_eq!(strict::<Whole>(&json).unwrap(), whole);
        }
    }
}
