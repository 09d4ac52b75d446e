//! What an error says together with what caused it.

use std::error::Error;

/// An error with its causes, which alone say what has happened: `error sending request: connection refused`.
#[must_use]
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("nothing was read")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn every_cause_is_told_once_and_in_order() {
        assert_eq!(
            with_causes(&Outer(std::io::Error::other("the disk is gone"))),
            "nothing was read: the disk is gone"
        );
        assert_eq!(with_causes(&std::fmt::Error), std::fmt::Error.to_string());
    }
}
