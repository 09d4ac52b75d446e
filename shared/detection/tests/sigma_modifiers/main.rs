//! Every modifier, and every shape of a value, against events that must and must not match.

mod encodings;
mod expressions;
mod keywords;
mod magnitudes;
mod places;
mod refused;
#[path = "../sigma_support/mod.rs"]
mod sigma_support;
mod values;

use sigma_support::{load, matching, rule};

/// The detection's one search identifier, events it matches, events it does not.
pub(crate) type Case = (&'static str, &'static [&'static str], &'static [&'static str]);

pub(crate) fn check(cases: &[Case]) {
    for (search, matches, differs) in cases {
        let set = load(&[&rule(&format!("sel:\n    {}", search.replace('\n', "\n    ")), "sel")]);
        assert!(set.set_aside().is_empty(), "{search}: {:?}", set.set_aside());
        for raw in *matches {
            assert_eq!(matching(&set, raw), ["r"], "{search} must match {raw}");
        }
        for raw in *differs {
            assert!(matching(&set, raw).is_empty(), "{search} must not match {raw}");
        }
    }
}
