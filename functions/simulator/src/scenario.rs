//! The scenarios, and the generator of their lines.
//!
//! A scenario is a file here with a [`Scenario`] in it and a line in [`SCENARIOS`]. Its script draws everything from the
//! generator it is handed, and takes the time of each line as an argument: the same seed gives the same attack.

mod brute_force;
mod fleet;
mod healthy_flow;
mod ordinary;
mod sessions;
mod syslog;
mod web;

use std::fmt;
use std::iter::Take;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use serde::Serialize;
use threatstream_domain::{Intensity, ThreatType, Timestamp, fingerprint};

/// Every scenario there is.
pub static SCENARIOS: &[&Scenario] = &[&healthy_flow::SCENARIO, &brute_force::SCENARIO];

/// What can be simulated.
#[derive(Serialize)]
pub struct Scenario {
    /// Its name, as `BRUTE_FORCE`.
    pub attack_vector: &'static str,
    /// A few words for a list.
    pub title: &'static str,
    /// What its lines show.
    pub description: &'static str,
    /// What a detector should call it; `None`: it should keep quiet.
    pub threat_type: Option<ThreatType>,
    /// The ATT&CK techniques that it shows, as `T1110.001`.
    pub mitre_attack_ids: &'static [&'static str],
    #[serde(skip)]
    begin: fn(&mut StdRng, Intensity) -> Box<dyn Script>,
}

/// The course of one simulation.
pub trait Script: Send {
    /// The next line, as a host writes it at `at`.
    fn line(&mut self, rng: &mut StdRng, at: Timestamp) -> String;
}

impl fmt::Debug for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Scenario").field(&self.attack_vector).finish()
    }
}

/// No scenario has this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no such scenario; available: {}", names().join(", "))]
pub struct UnknownScenario;

/// The scenarios' names.
#[must_use]
pub fn names() -> Vec<&'static str> {
    SCENARIOS.iter().map(|scenario| scenario.attack_vector).collect()
}

/// The scenario of this name, spelled as in [`names`].
///
/// # Errors
/// [`UnknownScenario`], which names those there are.
pub fn scenario(name: &str) -> Result<&'static Scenario, UnknownScenario> {
    let found = SCENARIOS.iter().find(|scenario| scenario.attack_vector == name);
    found.copied().ok_or(UnknownScenario)
}

/// The lines of a scenario without end: line `n` is of `n / eps` seconds after the start.
pub struct Generator {
    script: Box<dyn Script>,
    rng: StdRng,
    start: Timestamp,
    eps: u32,
    next: u64,
}

impl Generator {
    /// The same arguments give the same lines; `eps` of 0 counts as 1.
    #[must_use]
    pub fn new(scenario: &Scenario, intensity: Intensity, seed: u64, start: Timestamp, eps: u32) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let script = (scenario.begin)(&mut rng, intensity);
        Self {
            script,
            rng,
            start,
            eps: eps.max(1),
            next: 0,
        }
    }
}

impl Iterator for Generator {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let after = u128::from(self.next) * 1_000_000 / u128::from(self.eps);
        let at = self
            .start
            .plus(Duration::from_micros(u64::try_from(after).unwrap_or(u64::MAX)));
        self.next += 1;
        Some(self.script.line(&mut self.rng, at))
    }
}

/// The lines of a scenario at medium intensity, `eps` a second over `seconds` from `start`.
pub fn generate(scenario: &Scenario, seed: u64, start: Timestamp, eps: u32, seconds: u32) -> Take<Generator> {
    let lines = u64::from(eps.max(1)) * u64::from(seconds);
    Generator::new(scenario, Intensity::Medium, seed, start, eps).take(usize::try_from(lines).unwrap_or(usize::MAX))
}

/// The seed that follows from a simulation's id.
pub(crate) fn seed_of(simulation_id: &str) -> u64 {
    let print = fingerprint(simulation_id, "");
    let (words, _) = print.as_chunks::<8>();
    words.first().map_or(0, |word| u64::from_le_bytes(*word))
}
