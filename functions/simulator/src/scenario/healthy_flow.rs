//! HEALTHY_FLOW: nothing but ordinary traffic. A detector that raises anything here raises false alarms.

use rand::rngs::StdRng;
use threatstream_domain::{Intensity, Timestamp};

use super::ordinary::Ordinary;
use super::{Scenario, Script};

pub(super) static SCENARIO: Scenario = Scenario {
    attack_vector: "HEALTHY_FLOW",
    title: "Ordinary traffic",
    description: "Logins by key, sudo by administrators, cron jobs and visitors of a web shop: a working day in which \
                  nothing should be found.",
    threat_type: None,
    mitre_attack_ids: &[],
    begin: |rng, _: Intensity| Box::new(HealthyFlow(Ordinary::new(rng))),
};

struct HealthyFlow(Ordinary);

impl Script for HealthyFlow {
    fn line(&mut self, rng: &mut StdRng, at: Timestamp) -> String {
        self.0.line(rng, at)
    }
}
