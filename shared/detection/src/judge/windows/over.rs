//! Windows that are decided when they are over.

use super::frame::Frame;
use super::tally::whole;
use super::{Contributed, Contribution, Fired, GroupWindows};
use crate::found::Window;

/// A window waits so long for late events, at most: in microseconds of event time.
const LONGEST_GRACE: i64 = 300 * 1_000_000;

fn grace(timespan: i64) -> i64 {
    (timespan / 10).min(LONGEST_GRACE)
}

impl GroupWindows {
    pub(super) fn when_over(&mut self, event: &Contribution) -> Contributed {
        let grace = grace(event.timespan);
        let mut fired = Vec::new();
        for frame in &mut self.frames {
            if !frame.over && frame.end.saturating_add(grace) <= event.at {
                fired.extend(decide(frame));
            }
        }
        let holds = |frame: &Frame| frame.place <= event.at && event.at < frame.end;
        let index = match self.frames.iter().position(holds) {
            Some(index) => index,
            None => self.open(event, grace),
        };
        let frame = &mut self.frames[index];
        frame.touched = self.contributions;
        let into_fired = frame.fired;
        if !frame.over {
            frame.add(event, false);
        }
        Contributed { fired, into_fired }
    }

    /// The window that an event opens. One that opened shortly before, with an event that came first but happened later, is its
    /// own, moved back.
    fn open(&mut self, event: &Contribution, grace: i64) -> usize {
        let after = self.frames.partition_point(|frame| frame.place <= event.at);
        if let Some(next) = self.frames.get_mut(after)
            && !next.over
            && next.place.saturating_sub(event.at) <= grace
        {
            next.place = event.at;
            return after;
        }
        let mut end = event.at.saturating_add(event.timespan);
        if let Some(next) = self.frames.get(after) {
            end = end.min(next.place);
        }
        self.frames.insert(after, Frame::new(event.at, end));
        after
    }

    /// Decides what is still open: nothing more is to come.
    pub(in crate::judge) fn close(&mut self) -> Vec<Fired> {
        let open = self
            .frames
            .iter_mut()
            .filter(|frame| frame.latest.is_some() && !frame.over);
        open.filter_map(decide).collect()
    }
}

/// Decides a window.
fn decide(frame: &mut Frame) -> Option<Fired> {
    let latest = frame.latest.take();
    let fired = latest.and_then(|latest| {
        let Window { counts, condition, .. } = latest.window.as_ref()?;
        let measure = whole(&frame.tally, counts, condition)?;
        let mut originals = std::mem::take(&mut frame.originals);
        originals.sort_by_key(|original| original.timestamp);
        let mut rules = std::mem::take(&mut frame.rules);
        rules.sort_unstable();
        let to = latest.event.timestamp.as_micros();
        Some(Fired {
            place: frame.place,
            events: frame.events,
            span: (frame.place, to.max(frame.place)),
            measure,
            rules,
            originals,
            latest: Some(latest),
        })
    });
    frame.fired = fired.is_some();
    frame.close();
    fired
}
