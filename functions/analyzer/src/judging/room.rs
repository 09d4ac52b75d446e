//! How many matches are judged for one commit.

/// Any number, until a store does not take a commit: then half as many, and again. What fits doubles it again, so that one
/// batch out of the ordinary does not slow down those after it.
#[derive(Debug)]
pub(super) struct Room(usize);

impl Default for Room {
    fn default() -> Self {
        Self(usize::MAX)
    }
}

impl Room {
    /// As many of them as are judged at once.
    pub(super) fn first<'a, T>(&self, items: &'a [T]) -> &'a [T] {
        &items[..items.len().min(self.0)]
    }

    /// A commit of so many was not taken. False: with fewer it is not to be tried.
    pub(super) fn halve(&mut self, taken: usize) -> bool {
        if taken < 2 {
            return false;
        }
        self.0 = taken / 2;
        true
    }

    /// A commit was taken.
    pub(super) fn double(&mut self) {
        self.0 = self.0.saturating_mul(2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_halves_down_to_one_and_comes_back() {
        let mut room = Room::default();
        let items = [0; 500];
        let mut tries = 0;
        while room.halve(room.first(&items).len()) {
            tries += 1;
        }
        assert_eq!((tries, room.first(&items).len()), (8, 1));
        (0..9).for_each(|_| room.double());
        assert_eq!(room.first(&items).len(), 500);
        assert!(room.first(&[] as &[u8]).is_empty() && !room.halve(0));
    }
}
