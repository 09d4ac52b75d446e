//! What a stored simulation is to send, and the slices that tasks send it in.

use std::ops::Range;
use std::time::Duration;

use threatstream_domain::{Intensity, SimulationState, Timestamp};

use crate::scenario::{Scenario, scenario};

/// How much of a simulation's time one task sends, in seconds: a request that works for as long is far from every limit.
const SLICE_SECONDS: u64 = 50;

/// What a simulation sends: line `n` is due `n / eps` seconds after the start.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) scenario: &'static Scenario,
    pub(crate) id: String,
    pub(crate) started_at: Timestamp,
    pub(crate) intensity: Intensity,
    pub(crate) eps: u32,
    pub(crate) seconds: u32,
}

impl Plan {
    /// The plan of a stored state; `None` when it names no scenario of ours, or leaves something open.
    pub(crate) fn of(state: &SimulationState, max_eps: u32) -> Option<Self> {
        Some(Self {
            scenario: scenario(state.attack_vector.as_deref()?).ok()?,
            id: state.simulation_id.clone()?,
            started_at: state.started_at?,
            intensity: state.intensity?,
            eps: state.target_eps?.clamp(1, max_eps.max(1)),
            seconds: state.duration_seconds?,
        })
    }

    pub(crate) fn duration(&self) -> Duration {
        Duration::from_secs(self.seconds.into())
    }

    /// How many lines there are in all.
    pub(crate) fn lines(&self) -> u64 {
        u64::from(self.eps) * u64::from(self.seconds)
    }

    /// The lines of slice `number`, from 0; `None` beyond the last one. The slices follow from the plan alone, so that a task that
    /// comes late, or twice, is about the same lines.
    pub(crate) fn slice(&self, number: u32) -> Option<Range<u64>> {
        let size = u64::from(self.eps) * SLICE_SECONDS;
        let from = size.checked_mul(number.into()).filter(|from| *from < self.lines())?;
        Some(from..(from + size).min(self.lines()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn slices_cover_every_line_once(eps in 1u32..=500, seconds in 0u32..=600) {
            let plan = Plan {
                scenario: crate::SCENARIOS[0],
                id: "SIM-1".to_owned(),
                started_at: Timestamp::EPOCH,
                intensity: Intensity::Low,
                eps,
                seconds,
            };
            let mut next = 0;
            let slices: Vec<Range<u64>> = (0..).map_while(|number| plan.slice(number)).collect();
            for slice in &slices {
                prop_assert_eq!(slice.start, next, "each begins where the one before ends");
                prop_assert!(slice.end > slice.start);
                prop_assert!(slice.end - slice.start <= u64::from(eps) * SLICE_SECONDS);
                next = slice.end;
            }
            prop_assert_eq!(next, plan.lines());
            prop_assert!(plan.slice(u32::MAX).is_none());
        }
    }
}
