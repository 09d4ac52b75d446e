//! Places in lists, as cursors.

use threatstream_backend::BackendError;

use crate::error::rejected;

/// Between the parts of a cursor. The id comes last, and may hold it.
const BORDER: char = '!';

/// The place of an item of a list that is ordered by one time, or by two, and then by the document's id; newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// What the list is ordered by, in microseconds since 1970.
    pub(crate) time: i64,
    /// The second time, where there is one.
    pub(crate) then: Option<i64>,
    /// The document's id, as it is stored.
    pub(crate) id: String,
}

impl Place {
    /// Reads a cursor of this list.
    pub(crate) fn parse(list: &str, cursor: &str) -> Result<Self, BackendError> {
        let foreign = || rejected("the cursor is not one of this list");
        let mut parts = cursor.splitn(4, BORDER);
        let (Some(of), Some(time), Some(then), Some(id)) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(foreign());
        };
        let number = |text: &str| text.parse::<i64>().map_err(|_| foreign());
        if of != list || !is_document_id(id) {
            return Err(foreign());
        }
        Ok(Self {
            time: number(time)?,
            then: if then.is_empty() { None } else { Some(number(then)?) },
            id: id.to_owned(),
        })
    }

    /// As a cursor of this list.
    pub(crate) fn cursor(&self, list: &str) -> String {
        let then = self.then.map(|then| then.to_string()).unwrap_or_default();
        format!("{list}{BORDER}{}{BORDER}{then}{BORDER}{}", self.time, self.id)
    }
}

/// True for what documents of ours can be called.
fn is_document_id(id: &str) -> bool {
    !id.is_empty()
        && id.len() <= 1_500
        && !id.starts_with('.')
        && !id.starts_with("__")
        && !id.contains(|character: char| character == '/' || character.is_control())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::codec::document_id;

    #[test]
    fn foreign_cursors_are_refused() {
        for foreign in [
            "",
            "!!!",
            "1!2",
            "threats!1!!",
            "threats!x!!a",
            "threats!1!y!a",
            "threats!1!!a/b",
            "threats!1!!__a__",
            "alerts!1!!a",
            "threats!99999999999999999999!!a",
            "threats!1' OR 1=1!!a",
        ] {
            assert!(Place::parse("threats", foreign).is_err(), "{foreign}");
        }
    }

    proptest! {
        #[test]
        fn cursors_read_back(time: i64, then: Option<i64>, id in "\\PC{1,80}") {
            let id = document_id(&id);
            let place = Place { time, then, id };
            prop_assert_eq!(Place::parse("threats", &place.cursor("threats")).unwrap(), place);
        }

        #[test]
        fn no_text_makes_reading_a_cursor_fail_otherwise(text in "\\PC*") {
            let _refused_or_not = Place::parse("threats", &text);
        }
    }
}
