//! Which rules matched within a window, and in which order.

use crate::sigma::Condition;

/// The times of each rule within a window that begins in one frame and may reach into the next.
pub(super) struct Times<'a> {
    frame: &'a [Vec<i64>],
    next: &'a [Vec<i64>],
    from: i64,
    /// The first moment after the window.
    end: i64,
}

impl<'a> Times<'a> {
    pub(super) fn of(frame: &'a [Vec<i64>], next: &'a [Vec<i64>], from: i64, end: i64) -> Self {
        Self { frame, next, from, end }
    }

    fn steps(&self) -> usize {
        self.frame.len().max(self.next.len())
    }

    /// The first time of a rule that is not before `at`, within the window.
    fn first(&self, step: usize, at: i64) -> Option<i64> {
        let at = at.max(self.from);
        [self.frame, self.next]
            .into_iter()
            .filter_map(|times| {
                let times = times.get(step)?;
                times.get(times.partition_point(|time| *time < at)).copied()
            })
            .next()
            .filter(|time| *time < self.end)
    }
}

/// For each length, when the earliest chain of so many rules in their order is complete; as long as there is one.
pub(super) fn longest(times: &Times<'_>) -> Vec<Option<i64>> {
    let mut best: Vec<Option<i64>> = Vec::new();
    for step in 0..times.steps() {
        for length in (0..=best.len()).rev() {
            let after = match length.checked_sub(1) {
                None => Some(times.from),
                Some(before) => best[before],
            };
            let Some(found) = after.and_then(|after| times.first(step, after)) else {
                continue;
            };
            match best.get_mut(length) {
                Some(own) => *own = Some(own.map_or(found, |own| own.min(found))),
                None => best.push(Some(found)),
            }
        }
    }
    best
}

/// When a set of rules is complete, each after the one before it where their order counts. `None`: it is not.
fn complete(times: &Times<'_>, set: u64, ordered: bool) -> Option<i64> {
    let mut at = times.from;
    for step in (0..64).filter(|step| set >> step & 1 == 1) {
        let found = times.first(step, if ordered { at } else { times.from })?;
        at = at.max(found);
    }
    Some(at)
}

/// When the condition holds in a window, and how many rules it took. `None`: it does not.
pub(super) fn satisfied(times: &Times<'_>, condition: &Condition, ordered: bool) -> Option<(i64, f64)> {
    match condition {
        Condition::Rules(sets) => sets
            .iter()
            .filter_map(|set| Some((complete(times, *set, ordered)?, f64::from(set.count_ones()))))
            .min_by_key(|(at, _)| *at),
        Condition::Bounds(_) => {
            let mut reached: Vec<i64> = if ordered {
                longest(times).into_iter().flatten().collect()
            } else {
                (0..times.steps())
                    .filter_map(|step| times.first(step, times.from))
                    .collect()
            };
            reached.sort_unstable();
            #[expect(clippy::cast_precision_loss, reason = "at most 64")]
            let mut numbered = reached
                .into_iter()
                .zip(1..)
                .map(|(at, count): (i64, u64)| (at, count as f64));
            numbered.find(|(_, count)| condition.holds(*count))
        }
    }
}
