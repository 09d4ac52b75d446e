//! Names to numbers: a table made once, asked for every field of every event.

/// Names, each with a number. The names are the rules', so that no event can make the table slow.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// Open addressing: the hash, and one more than the number; a power of two of them, at most half of them taken.
    places: Vec<(u32, u32)>,
    names: Vec<Box<str>>,
}

impl Names {
    /// Numbers names in their order. Of equal ones the first counts; an empty one is never found.
    pub(crate) fn new<'n>(names: impl IntoIterator<Item = &'n str>) -> Self {
        let names: Vec<Box<str>> = names.into_iter().map(Into::into).collect();
        let mut own = Self {
            places: vec![(0, 0); (names.len() * 2).next_power_of_two()],
            names,
        };
        for number in 0..own.names.len() {
            let name = &own.names[number];
            if name.is_empty() || own.number(name).is_some() {
                continue;
            }
            let hash = hash(name.as_bytes());
            let mut at = own.home(hash);
            while own.places[at].1 != 0 {
                at = (at + 1) % own.places.len();
            }
            own.places[at] = (hash, u32::try_from(number + 1).unwrap_or(0));
        }
        own
    }

    /// The number of a name.
    #[inline]
    pub(crate) fn number(&self, name: &str) -> Option<u32> {
        if self.places.is_empty() {
            return None;
        }
        let hash = hash(name.as_bytes());
        let mut at = self.home(hash);
        loop {
            let (other, number) = self.places[at];
            let number = number.checked_sub(1)?;
            if other == hash && &*self.names[number as usize] == name {
                return Some(number);
            }
            at = (at + 1) & (self.places.len() - 1);
        }
    }

    fn home(&self, hash: u32) -> usize {
        hash as usize & (self.places.len() - 1)
    }
}

/// Over the first eight bytes, the last eight and the length, which is what tells field names apart.
#[inline]
fn hash(name: &[u8]) -> u32 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let (first, last) = match (name.first_chunk::<8>(), name.last_chunk::<8>()) {
        (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
        _ => (name.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)), 0),
    };
    let mixed = (first ^ last.rotate_left(29) ^ (name.len() as u64) << 56).wrapping_mul(ODD);
    // The upper half is what is left.
    ((mixed ^ mixed >> 29).wrapping_mul(ODD) >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_its_number_and_no_other_has_one() {
        let names: Vec<String> = (0..2_000).map(|n| format!("{}{n}", "field.".repeat(n % 4))).collect();
        let table = Names::new(["", "a", "a"].into_iter().chain(names.iter().map(String::as_str)));
        assert_eq!(table.number("a"), Some(1));
        assert_eq!(table.number(""), None);
        for (number, name) in (3..).zip(&names) {
            assert_eq!(table.number(name), Some(number), "{name}");
        }
        for name in ["b", "field", "field.", "12345678", "field.field.field.field."] {
            assert_eq!(table.number(name), None, "{name}");
        }
        assert_eq!(Names::default().number("a"), None);
        assert_eq!(Names::new([]).number("a"), None);
    }
}
