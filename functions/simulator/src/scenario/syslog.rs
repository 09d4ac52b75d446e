//! A message in the syslog forms that hosts use.

use threatstream_domain::Timestamp;

/// Who says it: RFC 5424's facility codes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Facility {
    /// sshd and systemd-logind.
    Auth = 4,
    /// systemd.
    Daemon = 3,
    /// cron's own lines.
    Cron = 9,
    /// PAM and sudo.
    AuthPriv = 10,
}

/// How urgent it is: RFC 5424's severity codes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Urgency {
    Error = 3,
    Notice = 5,
    Info = 6,
}

/// How a host writes its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// RFC 3164 as in a file such as `/var/log/auth.log`: without a priority.
    File,
    /// RFC 3164 as it goes over the wire.
    Bsd,
    /// RFC 5424.
    Ietf,
}

impl Form {
    pub(super) const ALL: [Self; 3] = [Self::File, Self::Bsd, Self::Ietf];
}

/// One message of a program.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) facility: Facility,
    pub(super) urgency: Urgency,
    pub(super) program: &'static str,
    pub(super) pid: u32,
    pub(super) text: String,
}

impl Message {
    /// As `host` writes it.
    pub(super) fn render(&self, form: Form, host: &str, at: Timestamp) -> String {
        let Self {
            facility,
            urgency,
            program,
            pid,
            text,
        } = self;
        let priority = *facility as u8 * 8 + *urgency as u8;
        match form {
            // In both forms of RFC 3164 the day is padded with a blank, and there is neither year nor zone.
            Form::File => format!(
                "{} {host} {program}[{pid}]: {text}",
                at.to_jiff().strftime("%b %e %H:%M:%S")
            ),
            Form::Bsd => {
                format!(
                    "<{priority}>{} {host} {program}[{pid}]: {text}",
                    at.to_jiff().strftime("%b %e %H:%M:%S")
                )
            }
            Form::Ietf => {
                format!(
                    "<{priority}>1 {} {host} {program} {pid} - - {text}",
                    at.to_jiff().strftime("%Y-%m-%dT%H:%M:%S.%6fZ")
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_is_as_its_rfc_says() {
        let message = Message {
            facility: Facility::Auth,
            urgency: Urgency::Info,
            program: "sshd",
            pid: 7,
            text: "Server listening on 0.0.0.0 port 22.".to_owned(),
        };
        let at = "2026-11-03T02:05:09.125Z".parse().unwrap();
        let lines = Form::ALL.map(|form| message.render(form, "web-01", at));
        assert_eq!(
            lines,
            [
                "Nov  3 02:05:09 web-01 sshd[7]: Server listening on 0.0.0.0 port 22.",
                "<38>Nov  3 02:05:09 web-01 sshd[7]: Server listening on 0.0.0.0 port 22.",
                "<38>1 2026-11-03T02:05:09.125000Z web-01 sshd 7 - - Server listening on 0.0.0.0 port 22.",
            ]
        );
    }
}
