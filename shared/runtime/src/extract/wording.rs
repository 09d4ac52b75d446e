//! What a parser says, in the words of those who send requests.
//!
//! Parsers name what they expected by the program's own types, `struct Step` or `u16`; callers know objects and numbers.

/// The parser's message without the names of types.
pub(super) fn plain(message: &str) -> String {
    let (message, place) = match message.rfind(" at line ") {
        Some(at) => message.split_at(at),
        None => (message, ""),
    };
    if message.starts_with("data did not match any variant of ") {
        return format!("has none of the forms that are allowed{place}");
    }
    const EXPECTED: &str = ", expected ";
    match message.rfind(EXPECTED) {
        Some(at) => {
            let (before, expected) = (&message[..at + EXPECTED.len()], &message[at + EXPECTED.len()..]);
            format!("{before}{}{place}", expectation(expected))
        }
        None => format!("{message}{place}"),
    }
}

/// What was expected, without the name of a type.
pub(super) fn expectation(expected: &str) -> String {
    let mut words = expected.split(' ');
    let first = words.next().unwrap_or_default();
    let plain = match (first, words.next()) {
        ("struct" | "enum", Some(_)) | ("internally" | "adjacently", Some("tagged")) => "an object",
        ("tuple", Some("struct" | "variant")) => "an array",
        ("unit", Some("struct" | "variant")) | ("unit", None) => "null",
        ("newtype", Some("struct" | "variant")) => "a value of another type",
        ("variant" | "field", Some("identifier")) => "a name",
        ("u8", None) => "a whole number from 0 to 255",
        ("u16", None) => "a whole number from 0 to 65535",
        ("u32", None) => "a whole number from 0 to 4294967295",
        ("u64" | "u128" | "usize", None) => "a whole number that is not negative",
        ("i8" | "i16" | "i32" | "i64" | "i128" | "isize", None) => "a whole number",
        ("f32" | "f64", None) => "a number",
        ("bool", None) => "true or false",
        ("char", None) => "a single character",
        ("option", None) => "a value or null",
        ("str" | "string" | "String" | "&str", None) => "a string",
        _ => return expected.to_owned(),
    };
    plain.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_not_named() {
        for (message, says) in [
            (
                "invalid type: sequence, expected struct Step at line 1 column 2",
                "invalid type: sequence, expected an object at line 1 column 2",
            ),
            (
                "invalid length 0, expected struct Body with 4 elements at line 1 column 2",
                "invalid length 0, expected an object at line 1 column 2",
            ),
            (
                "invalid value: integer `-1`, expected u16 at line 1 column 2",
                "invalid value: integer `-1`, expected a whole number from 0 to 65535 at line 1 column 2",
            ),
            (
                "invalid value: string \"a, expected struct Step\", expected a time",
                "invalid value: string \"a, expected struct Step\", expected a time",
            ),
            (
                "data did not match any variant of untagged enum Body at line 1 column 2",
                "has none of the forms that are allowed at line 1 column 2",
            ),
            (
                "unknown variant `x`, expected one of `A`, `B`",
                "unknown variant `x`, expected one of `A`, `B`",
            ),
            (
                "unknown variant `x`, expected `A` or `B`",
                "unknown variant `x`, expected `A` or `B`",
            ),
            ("EOF while parsing a value", "EOF while parsing a value"),
            (", expected ", ", expected "),
            (" at line ", " at line "),
            ("", ""),
        ] {
            assert_eq!(plain(message), says);
        }
    }
}
