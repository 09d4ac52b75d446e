//! Things that go on at the same time, each with its lines in order.

use std::collections::VecDeque;

use rand::Rng;
use rand::rngs::StdRng;

/// Sessions whose lines come out interleaved.
pub(super) struct Sessions<T> {
    open: Vec<VecDeque<T>>,
    limit: usize,
}

impl<T> Sessions<T> {
    /// At most `limit` go on at once, at least one.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            open: Vec::new(),
            limit: limit.max(1),
        }
    }

    /// The next line of one of them. While fewer than the limit are open, `begin` opens another; it must have lines.
    pub(super) fn next(&mut self, rng: &mut StdRng, begin: impl FnOnce(&mut StdRng) -> Vec<T>) -> Option<T> {
        if self.open.len() < self.limit {
            let lines = begin(rng);
            self.open.push(lines.into());
        }
        let chosen = rng.random_range(0..self.open.len());
        let line = self.open[chosen].pop_front();
        if self.open[chosen].is_empty() {
            self.open.swap_remove(chosen);
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn each_keeps_its_order_and_no_more_are_open_than_may_be() {
        let mut rng = StdRng::seed_from_u64(1);
        let mut sessions = Sessions::new(3);
        let mut begun = 0;
        let mut last = vec![0; 1000];
        for _ in 0..1000 {
            let (session, step) = sessions
                .next(&mut rng, |_| {
                    begun += 1;
                    (1..=4).map(|step| (begun, step)).collect()
                })
                .unwrap();
            assert_eq!(last[session] + 1, step);
            last[session] = step;
            assert!(last[..=begun].iter().filter(|step| (1..4).contains(*step)).count() <= 3);
        }
        assert!(begun >= 250);
    }
}
