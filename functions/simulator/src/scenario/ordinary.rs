//! A working day: logins by key, `sudo` by those who may, cron, and visitors of the web server.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use threatstream_domain::Timestamp;

use super::fleet::{Admin, Fleet, Host, ephemeral_port};
use super::sessions::Sessions;
use super::syslog::{Facility, Message, Urgency};
use super::web::{Visit, visit};

const CHORES: [&str; 6] = [
    "/usr/bin/systemctl status nginx",
    "/usr/bin/systemctl reload nginx",
    "/usr/bin/apt-get update",
    "/usr/bin/journalctl -u app --since today",
    "/usr/bin/df -h",
    "/usr/bin/tail -n 200 /var/log/nginx/error.log",
];

const CRON_JOBS: [&str; 3] = [
    "   cd / && run-parts --report /etc/cron.hourly",
    "command -v debian-sa1 > /dev/null && debian-sa1 1 1",
    "/usr/local/bin/rotate-reports",
];

/// One line of it.
enum Line {
    Host(usize, Message),
    Web(Visit),
}

/// Ordinary traffic without end.
pub(super) struct Ordinary {
    pub(super) fleet: Fleet,
    sessions: Sessions<Line>,
}

impl Ordinary {
    pub(super) fn new(rng: &mut StdRng) -> Self {
        Self {
            fleet: Fleet::new(rng),
            sessions: Sessions::new(12),
        }
    }

    /// The next line.
    pub(super) fn line(&mut self, rng: &mut StdRng, at: Timestamp) -> String {
        let fleet = &mut self.fleet;
        match self.sessions.next(rng, |rng| begin(fleet, rng)) {
            Some(Line::Host(host, message)) => {
                let host = &self.fleet.hosts[host];
                message.render(host.form, host.name, at)
            }
            Some(Line::Web(visit)) => visit.render(at),
            // Not reached: whatever begins has lines.
            None => String::new(),
        }
    }
}

fn begin(fleet: &mut Fleet, rng: &mut StdRng) -> Vec<Line> {
    let at = fleet.any_host(rng);
    let Fleet { hosts, admins } = fleet;
    let host = &mut hosts[at];
    let messages = match rng.random_range(0..10) {
        0..2 => cron(host, rng),
        2..4 => match admins.choose(rng) {
            Some(admin) => login(host, admin, rng),
            None => cron(host, rng),
        },
        _ => return visit(rng).into_iter().map(Line::Web).collect(),
    };
    messages.into_iter().map(|message| Line::Host(at, message)).collect()
}

/// A login by key, some work with `sudo`, and the logout.
fn login(host: &mut Host, admin: &Admin, rng: &mut StdRng) -> Vec<Message> {
    let Admin {
        name,
        uid,
        address,
        key,
    } = admin;
    let (sshd, logind, session, port) = (host.pid(rng), 612, host.session(), ephemeral_port(rng));
    let auth = |program, pid, text| Message {
        facility: Facility::Auth,
        urgency: Urgency::Info,
        program,
        pid,
        text,
    };
    let private = |urgency, program, pid, text| Message {
        facility: Facility::AuthPriv,
        urgency,
        program,
        pid,
        text,
    };
    let mut lines = vec![
        auth(
            "sshd",
            sshd,
            format!("Accepted publickey for {name} from {address} port {port} ssh2: ED25519 SHA256:{key}"),
        ),
        private(
            Urgency::Info,
            "sshd",
            sshd,
            format!("pam_unix(sshd:session): session opened for user {name}(uid={uid}) by (uid=0)"),
        ),
        auth(
            "systemd-logind",
            logind,
            format!("New session {session} of user {name}."),
        ),
    ];
    for _ in 0..rng.random_range(0..3) {
        let sudo = host.pid(rng);
        let chore = CHORES.choose(rng).copied().unwrap_or_default();
        let work = format!("{name:>8} : TTY=pts/0 ; PWD=/home/{name} ; USER=root ; COMMAND={chore}");
        let opened = format!("pam_unix(sudo:session): session opened for user root(uid=0) by {name}(uid={uid})");
        let closed = "pam_unix(sudo:session): session closed for user root".to_owned();
        lines.push(private(Urgency::Notice, "sudo", sudo, work));
        lines.push(private(Urgency::Info, "sudo", sudo, opened));
        lines.push(private(Urgency::Info, "sudo", sudo, closed));
    }
    lines.extend([
        auth(
            "sshd",
            sshd,
            format!("Received disconnect from {address} port {port}:11: disconnected by user"),
        ),
        auth(
            "sshd",
            sshd,
            format!("Disconnected from user {name} {address} port {port}"),
        ),
        private(
            Urgency::Info,
            "sshd",
            sshd,
            format!("pam_unix(sshd:session): session closed for user {name}"),
        ),
        auth(
            "systemd-logind",
            logind,
            format!("Session {session} logged out. Waiting for processes to exit."),
        ),
        auth("systemd-logind", logind, format!("Removed session {session}.")),
    ]);
    lines
}

/// A job of cron's, or one of systemd's timers.
fn cron(host: &mut Host, rng: &mut StdRng) -> Vec<Message> {
    let pid = host.pid(rng);
    let message = |facility, program, pid, text: String| Message {
        facility,
        urgency: Urgency::Info,
        program,
        pid,
        text,
    };
    if rng.random_bool(0.2) {
        let text = |what: &str| {
            format!(
                "{what} logrotate.service - Rotate log files{}",
                if what == "Starting" { "..." } else { "." }
            )
        };
        return vec![
            message(Facility::Daemon, "systemd", 1, text("Starting")),
            message(
                Facility::Daemon,
                "systemd",
                1,
                "logrotate.service: Deactivated successfully.".to_owned(),
            ),
            message(Facility::Daemon, "systemd", 1, text("Finished")),
        ];
    }
    let job = CRON_JOBS.choose(rng).copied().unwrap_or_default();
    vec![
        message(
            Facility::AuthPriv,
            "CRON",
            pid,
            "pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)".to_owned(),
        ),
        message(Facility::Cron, "CRON", pid + 1, format!("(root) CMD ({job})")),
        message(
            Facility::AuthPriv,
            "CRON",
            pid,
            "pam_unix(cron:session): session closed for user root".to_owned(),
        ),
    ]
}
