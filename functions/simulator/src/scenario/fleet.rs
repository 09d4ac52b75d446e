//! The hosts and the people of a small company.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use super::syslog::Form;

const HOSTS: [&str; 5] = ["web-01", "web-02", "db-01", "app-01", "bastion-01"];

const PEOPLE: [&str; 8] = [
    "mkeller",
    "asantos",
    "jwright",
    "lchen",
    "dpatel",
    "sjohansson",
    "nrossi",
    "tokafor",
];

/// A machine that logs.
#[derive(Clone, Debug)]
pub(super) struct Host {
    pub(super) name: &'static str,
    pub(super) form: Form,
    pid: u32,
    session: u32,
}

/// Someone who administers them.
#[derive(Clone, Debug)]
pub(super) struct Admin {
    pub(super) name: &'static str,
    pub(super) uid: u32,
    /// The workstation, always the same.
    pub(super) address: String,
    /// The fingerprint of their key, as sshd prints it.
    pub(super) key: String,
}

/// All of them.
#[derive(Clone, Debug)]
pub(super) struct Fleet {
    pub(super) hosts: Vec<Host>,
    pub(super) admins: Vec<Admin>,
}

impl Host {
    /// The id of a process that starts now.
    pub(super) fn pid(&mut self, rng: &mut StdRng) -> u32 {
        // As Linux counts: upwards, with gaps, and round at 2^22.
        self.pid = (self.pid + rng.random_range(1..12)) % 4_194_304;
        self.pid = self.pid.max(300);
        self.pid
    }

    /// The number of a login session that opens now.
    pub(super) fn session(&mut self) -> u32 {
        self.session += 1;
        self.session
    }
}

impl Fleet {
    pub(super) fn new(rng: &mut StdRng) -> Self {
        let hosts = HOSTS
            .iter()
            .map(|name| Host {
                name,
                form: *Form::ALL.choose(rng).unwrap_or(&Form::File),
                pid: rng.random_range(1_000..60_000),
                session: rng.random_range(10..4_000),
            })
            .collect();
        let admins = (1001..)
            .zip(PEOPLE)
            .map(|(uid, name)| Admin {
                name,
                uid,
                address: format!("10.20.{}.{}", rng.random_range(1..30), rng.random_range(10..240)),
                key: fingerprint(rng),
            })
            .collect();
        Self { hosts, admins }
    }

    /// The number of some host.
    pub(super) fn any_host(&self, rng: &mut StdRng) -> usize {
        rng.random_range(0..self.hosts.len())
    }
}

/// A client's end of a connection.
pub(super) fn ephemeral_port(rng: &mut StdRng) -> u16 {
    rng.random_range(32_768..=60_999)
}

/// 256 bits in base64 without padding.
fn fingerprint(rng: &mut StdRng) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    (0..43)
        .map(|_| char::from(ALPHABET[rng.random_range(0..ALPHABET.len())]))
        .collect()
}
