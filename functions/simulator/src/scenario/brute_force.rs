//! BRUTE_FORCE: passwords are guessed over SSH while the day's work goes on.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::index;
use threatstream_domain::{Intensity, Timestamp};

use super::fleet::{Host, ephemeral_port};
use super::ordinary::Ordinary;
use super::sessions::Sessions;
use super::syslog::{Facility, Message, Urgency};
use super::{Scenario, Script};

pub(super) static SCENARIO: Scenario = Scenario {
    attack_vector: "BRUTE_FORCE",
    title: "SSH brute force",
    description: "One or several addresses guess passwords over SSH, name after name, as sshd and PAM log it, among \
                  ordinary traffic.",
    threat_type: Some(threatstream_domain::ThreatType::BruteForce),
    mitre_attack_ids: &["T1110", "T1110.001"],
    begin: |rng, intensity| Box::new(BruteForce::new(rng, intensity)),
};

/// What is tried first, in the order of the lists that bots carry; then the same names with a number.
const NAMES: [&str; 14] = [
    "admin",
    "test",
    "user",
    "ubuntu",
    "oracle",
    "postgres",
    "guest",
    "ftpuser",
    "pi",
    "git",
    "support",
    "minecraft",
    "hadoop",
    "jenkins",
];

/// sshd's default `MaxAuthTries`.
const MAX_TRIES: u32 = 6;

/// Who attacks.
struct Attacker {
    address: String,
    /// Which host it has found.
    target: usize,
    /// How many names it has tried.
    tried: usize,
}

struct BruteForce {
    ordinary: Ordinary,
    attackers: Vec<Attacker>,
    attempts: Sessions<(usize, Message)>,
    /// Of a hundred lines, so many are the attack's.
    share: u32,
    /// Passwords tried in one connection, at most.
    tries: u32,
}

impl BruteForce {
    fn new(rng: &mut StdRng, intensity: Intensity) -> Self {
        let (attackers, connections, share, tries) = match intensity {
            Intensity::Low => (1, 1, 60, 1),
            Intensity::Medium => (3, 4, 80, 3),
            Intensity::High => (6, 12, 92, MAX_TRIES),
        };
        let ordinary = Ordinary::new(rng);
        let attackers = index::sample(rng, 253, attackers)
            .into_iter()
            .map(|octet| Attacker {
                address: format!("203.0.113.{}", octet + 2),
                target: ordinary.fleet.any_host(rng),
                tried: 0,
            })
            .collect();
        Self {
            ordinary,
            attackers,
            attempts: Sessions::new(connections),
            share,
            tries,
        }
    }
}

impl Script for BruteForce {
    fn line(&mut self, rng: &mut StdRng, at: Timestamp) -> String {
        if !rng.random_ratio(self.share, 100) {
            return self.ordinary.line(rng, at);
        }
        let Self {
            ordinary,
            attackers,
            attempts,
            tries,
            ..
        } = self;
        let hosts = &mut ordinary.fleet.hosts;
        let next = attempts.next(rng, |rng| {
            let attacker = rng.random_range(0..attackers.len());
            let attacker = &mut attackers[attacker];
            let target = attacker.target;
            let lines = attempt(attacker, &mut hosts[target], *tries, rng);
            lines.into_iter().map(|message| (target, message)).collect()
        });
        match next {
            Some((host, message)) => message.render(hosts[host].form, hosts[host].name, at),
            None => ordinary.line(rng, at),
        }
    }
}

impl Attacker {
    /// The name that is up: `None` is root, which every host has and every fourth attempt goes for.
    fn next_name(&mut self) -> Option<String> {
        let at = self.tried;
        self.tried += 1;
        if at.is_multiple_of(4) {
            return None;
        }
        let at = at - at / 4 - 1;
        let (round, name) = (at / NAMES.len(), NAMES[at % NAMES.len()]);
        Some(if round == 0 {
            name.to_owned()
        } else {
            format!("{name}{round}")
        })
    }
}

/// One connection: a name, one or several passwords, and the end.
fn attempt(attacker: &mut Attacker, host: &mut Host, most: u32, rng: &mut StdRng) -> Vec<Message> {
    let name = attacker.next_name();
    let address = &attacker.address;
    let (pid, port, tries) = (host.pid(rng), ephemeral_port(rng), rng.random_range(1..=most));
    let say = |facility, urgency, text| Message {
        facility,
        urgency,
        program: "sshd",
        pid,
        text,
    };
    let info = |text| say(Facility::Auth, Urgency::Info, text);
    let pam = |text| say(Facility::AuthPriv, Urgency::Notice, text);
    // What sshd calls the account: in its verdicts, and while the user is not authenticated.
    let (who, before) = match &name {
        Some(name) => (format!("invalid user {name}"), format!("invalid user {name}")),
        None => ("root".to_owned(), "authenticating user root".to_owned()),
    };
    let mut lines = Vec::new();
    if let Some(name) = &name {
        lines.push(info(format!("Invalid user {name} from {address} port {port}")));
    }
    for _ in 0..tries {
        let known = if name.is_none() { "  user=root" } else { "" };
        if name.is_some() {
            lines.push(pam("pam_unix(sshd:auth): check pass; user unknown".to_owned()));
        }
        lines.push(pam(format!(
            "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost={address}{known}"
        )));
        lines.push(info(format!(
            "Failed password for {who} from {address} port {port} ssh2"
        )));
    }
    if tries >= MAX_TRIES {
        lines.push(say(
            Facility::Auth,
            Urgency::Error,
            format!(
                "error: maximum authentication attempts exceeded for {who} from {address} port {port} ssh2 [preauth]"
            ),
        ));
        lines.push(info(format!(
            "Disconnecting {before} {address} port {port}: Too many authentication failures [preauth]"
        )));
    } else if rng.random_bool(0.5) {
        lines.push(info(format!(
            "Received disconnect from {address} port {port}:11: Bye Bye [preauth]"
        )));
        lines.push(info(format!(
            "Disconnected from {before} {address} port {port} [preauth]"
        )));
    } else {
        lines.push(info(format!(
            "Connection closed by {before} {address} port {port} [preauth]"
        )));
    }
    lines
}
