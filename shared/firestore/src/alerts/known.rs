//! When alerts were last written, as far as this process knows.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::codec::UpdateTime;

/// How many alerts are kept in mind. What is forgotten is read again.
const MAX_KNOWN: usize = 20_000;

/// What is known of an alert.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Known {
    /// The version of the analysts' part; 0 also when there is no alert.
    pub(crate) case_version: u64,
    /// When the document was written last; `None`: there is none.
    pub(crate) update_time: Option<UpdateTime>,
}

/// What is known of all of them. It may be out of date: a write that relies on it has it as a condition.
#[derive(Default)]
pub(crate) struct KnownAlerts(Mutex<HashMap<String, Known>>);

impl KnownAlerts {
    /// What is known of one.
    pub(crate) fn get(&self, id: &str) -> Option<Known> {
        self.0.lock().get(id).copied()
    }

    /// Keeps in mind what was read or written.
    pub(crate) fn put(&self, id: &str, known: Known) {
        let mut alerts = self.0.lock();
        if alerts.len() >= MAX_KNOWN && !alerts.contains_key(id) {
            alerts.clear();
        }
        alerts.insert(id.to_owned(), known);
    }

    /// Forgets what turned out to be out of date.
    pub(crate) fn forget(&self, id: &str) {
        self.0.lock().remove(id);
    }
}
