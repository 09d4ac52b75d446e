//! What the decoders make of single lines.

use threatstream_detection::decode::{FORMATS, Format, decode};
use threatstream_detection::{Event, Value};
use threatstream_domain::Timestamp;

fn read(line: &str) -> Event<'_> {
    decode(line, Format::Auto, "2026-11-22T12:00:00Z".parse().unwrap())
}

/// The ECS of a line, as `name=value` in the order asked for; an absent field is left out.
fn ecs(line: &str, names: &[&str]) -> String {
    let event = read(line);
    let shown = names
        .iter()
        .filter_map(|name| Some(format!("{name}={}", text(event.ecs.get(name)?))));
    shown.collect::<Vec<_>>().join(" ")
}

fn text(value: &Value<'_>) -> String {
    match value {
        Value::List(values) => values.iter().map(text).collect::<Vec<_>>().join("+"),
        value => value.text().unwrap_or_default().into_owned(),
    }
}

const LOGIN: &[&str] = &[
    "event.action",
    "event.outcome",
    "user.name",
    "source.ip",
    "source.domain",
    "source.port",
    "event.reason",
];

fn ssh(message: &str) -> String {
    ecs(&format!("Mar 27 16:16:42 web sshd[42]: {message}"), LOGIN)
}

#[test]
fn formats_have_the_names_that_options_take() {
    for name in FORMATS {
        assert_eq!(name.parse::<Format>().unwrap().as_str(), *name);
        assert_eq!(
            serde_json::to_string(&name.parse::<Format>().unwrap()).unwrap(),
            format!("\"{name}\"")
        );
    }
    let error = "xml".parse::<Format>().unwrap_err().to_string();
    assert!(
        error.starts_with("unknown format; allowed: auto, windows, cloudtrail"),
        "{error}"
    );
}

#[test]
fn sshd_says_who_tried_and_whence() {
    let cases = [
        (
            "Failed password for root from 203.0.113.7 port 22 ssh2",
            "event.action=ssh_login event.outcome=failure user.name=root source.ip=203.0.113.7 source.port=22",
        ),
        (
            "Failed password for invalid user  from 203.0.113.7 port 22 ssh2",
            "event.action=ssh_login event.outcome=failure source.ip=203.0.113.7 source.port=22",
        ),
        (
            "Accepted publickey for ana from 2001:db8::1 port 22 ssh2: RSA SHA256:x",
            "event.action=ssh_login event.outcome=success user.name=ana source.ip=2001:db8::1 source.port=22",
        ),
        (
            "Invalid user pi from 203.0.113.7",
            "event.action=ssh_login event.outcome=failure user.name=pi source.ip=203.0.113.7",
        ),
        (
            "Invalid user  from 203.0.113.7",
            "event.action=ssh_login event.outcome=failure source.ip=203.0.113.7",
        ),
        (
            "Connection closed by authenticating user root 203.0.113.7 port 22 [preauth]",
            "event.action=ssh_disconnect user.name=root source.ip=203.0.113.7 source.port=22 event.reason=preauth",
        ),
        (
            "Received disconnect from 203.0.113.7: 11: Bye Bye [preauth]",
            "event.action=ssh_disconnect source.ip=203.0.113.7 event.reason=preauth",
        ),
        (
            "Received disconnect from 203.0.113.7 port 57684:11: disconnected by user",
            "event.action=ssh_disconnect source.ip=203.0.113.7 source.port=57684",
        ),
        (
            "error: maximum authentication attempts exceeded for invalid user ftp from 203.0.113.7 port 22 ssh2 [preauth]",
            "event.action=ssh_max_attempts event.outcome=failure user.name=ftp source.ip=203.0.113.7 source.port=22 event.reason=preauth",
        ),
        (
            "reverse mapping checking getaddrinfo for a.example [203.0.113.7] failed - POSSIBLE BREAK-IN ATTEMPT!",
            "event.action=ssh_reverse_mapping_failed source.ip=203.0.113.7",
        ),
        (
            "Address 203.0.113.7 maps to a.example, but this does not map back to the address - POSSIBLE BREAK-IN ATTEMPT!",
            "event.action=ssh_reverse_mapping_failed source.ip=203.0.113.7",
        ),
        (
            "User bob from 203.0.113.7 not allowed because not listed in AllowUsers",
            "event.action=ssh_user_refused event.outcome=failure user.name=bob source.ip=203.0.113.7",
        ),
        (
            "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.7  user=root",
            "event.outcome=failure user.name=root source.ip=203.0.113.7",
        ),
        (
            "PAM 5 more authentication failures; logname= uid=0 euid=0 tty=ssh ruser= rhost=a.example  user=root",
            "event.outcome=failure user.name=root source.domain=a.example",
        ),
        (
            "message repeated 3 times: [ Failed password for root from 203.0.113.7 port 22 ssh2]",
            "event.action=ssh_login event.outcome=failure user.name=root source.ip=203.0.113.7 source.port=22",
        ),
    ];
    for (message, expected) in cases {
        assert_eq!(ssh(message), expected, "{message}");
    }
}

#[test]
fn a_user_name_cannot_forge_an_address() {
    let forged = "Failed password for invalid user x from 10.0.0.1 port 1 ssh2 from 203.0.113.7 port 22 ssh2";
    assert_eq!(
        ssh(forged),
        "event.action=ssh_login event.outcome=failure user.name=x from 10.0.0.1 port 1 ssh2 source.ip=203.0.113.7 source.port=22"
    );
    let forged = "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.7  user=x rhost=10.0.0.1";
    assert_eq!(
        ssh(forged),
        "event.outcome=failure user.name=x rhost=10.0.0.1 source.ip=203.0.113.7"
    );
}

#[test]
fn every_kind_of_syslog_header_is_read() {
    const HEADER: &[&str] = &[
        "host.hostname",
        "process.name",
        "process.pid",
        "log.syslog.priority",
        "message",
    ];
    let cases = [
        (
            "Mar 27 16:16:42 web cron[7]: hello",
            "host.hostname=web process.name=cron process.pid=7 message=hello",
        ),
        (
            "<34>Mar 27 16:16:42 web cron: hello",
            "host.hostname=web process.name=cron log.syslog.priority=34 message=hello",
        ),
        (
            "<34>1 2026-11-22T09:00:00Z web cron 7 ID1 [a@1 b=\"c ] d\"] hello",
            "host.hostname=web process.name=cron process.pid=7 log.syslog.priority=34 message=hello",
        ),
        (
            "1 2026-11-22T09:00:00Z web cron - - - hello",
            "host.hostname=web process.name=cron message=hello",
        ),
        (
            "2026-11-22T09:00:00.5+01:00 web /usr/sbin/cron[7]: hello",
            "host.hostname=web process.name=cron process.pid=7 message=hello",
        ),
        (
            "Jul  1 09:00:55 mac Microsoft Word[14463]: hello: you",
            "host.hostname=mac process.name=Microsoft Word process.pid=14463 message=hello: you",
        ),
        (
            "Jul  1 09:00:55 mac --- last message repeated 1 time ---",
            "host.hostname=mac message=--- last message repeated 1 time ---",
        ),
        (
            "Jul  1 09:00:55 cron[7]: no host",
            "process.name=cron process.pid=7 message=no host",
        ),
    ];
    for (line, expected) in cases {
        assert_eq!(read(line).format, "syslog", "{line}");
        assert_eq!(ecs(line, HEADER), expected, "{line}");
    }
    assert_eq!(
        read("Mar 27 16:16:42 web cron[7]: hello").time.unwrap().to_string(),
        "2026-03-27T16:16:42.000Z"
    );
    for line in [
        "<999>Mar 27 16:16:42 web x: y",
        "Mar 2x 16:16:42 web x: y",
        "Marching on",
        "",
        "<",
        "<34>1 yesterday a b c d e",
    ] {
        assert_ne!(read(line).format, "syslog", "{line}");
    }
}

#[test]
fn accounts_and_sudo_are_read() {
    let of = |line, names: &[&str]| ecs(&format!("Mar 27 16:16:42 web {line}"), names);
    assert_eq!(
        of(
            "sudo:  bob : command not allowed ; TTY=pts/0 ; PWD=/home/bob ; USER=root ; COMMAND=/bin/sh -c a ; USER=x",
            &[
                "user.name",
                "user.effective.name",
                "process.command_line",
                "event.outcome",
                "system.auth.sudo.error"
            ]
        ),
        "user.name=bob user.effective.name=root process.command_line=/bin/sh -c a ; USER=x event.outcome=failure system.auth.sudo.error=command not allowed"
    );
    assert_eq!(
        of(
            "su[1]: FAILED su for root by bob",
            &["user.name", "user.effective.name", "event.outcome"]
        ),
        "user.name=bob user.effective.name=root event.outcome=failure"
    );
    assert_eq!(
        of(
            "useradd[1]: new user: name=eve, UID=0, GID=0, home=/root, shell=/bin/sh",
            &["user.name", "user.id", "event.type"]
        ),
        "user.name=eve user.id=0 event.type=user+creation"
    );
    assert_eq!(
        of(
            "gpasswd[1]: user eve added by root to group sudo",
            &["user.name", "group.name"]
        ),
        "user.name=eve group.name=sudo"
    );
    assert_eq!(
        of(
            "systemd-logind[1]: New session 8 of user ubuntu.",
            &["user.name", "event.action"]
        ),
        "user.name=ubuntu event.action=session-started"
    );
    assert_eq!(
        of(
            "CRON[1]: (root) CMD (test -x /x)",
            &["user.name", "process.command_line"]
        ),
        "user.name=root process.command_line=test -x /x"
    );
}

#[test]
fn web_servers_lines_have_sigmas_names_and_ecs() {
    let line = r#"10.0.0.2, 203.0.113.7 - ana [22/Nov/2026:09:00:00 +0100] "GET /a%20b/c.php?x=%27 HTTP/1.1" 404 12 "http://r.example/" "curl \"8\"""#;
    let event = read(line);
    assert_eq!(
        (
            event.format,
            event.logsource.category.as_deref(),
            event.logsource.product.as_deref()
        ),
        ("nginx", Some("webserver"), None)
    );
    assert_eq!(event.time.unwrap().to_string(), "2026-11-22T08:00:00.000Z");
    for (field, expected) in [
        ("c-ip", "203.0.113.7"),
        ("cs-method", "GET"),
        ("cs-uri-stem", "/a%20b/c.php"),
        ("cs-uri", "/a%20b/c.php?x=%27"),
        ("sc-status", "404"),
        ("cs-referer", "http://r.example/"),
        ("cs-user-agent", r#"curl \"8\""#),
        ("cs-username", "ana"),
        ("url.path", "/a b/c.php"),
        ("url.query", "x=%27"),
        ("url.extension", "php"),
        ("url.target", "/a b/c.php?x='"),
        ("http.version", "1.1"),
        ("event.outcome", "failure"),
    ] {
        assert_eq!(event.field(field).map(text).as_deref(), Some(expected), "{field}");
    }
    let both = Value::List(vec![Value::str("x=%27"), Value::str("/a%20b/c.php?x=%27")]);
    assert_eq!(
        event.field("cs-uri-query"),
        Some(&both),
        "published rules look for paths and queries in it"
    );
}

#[test]
fn what_only_apache_writes_is_apaches() {
    for line in [
        r#"127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /a.gif HTTP/1.0" 200 2326"#,
        r#"www.example.com:443 127.0.0.1 - - [10/Oct/2000:13:55:36 -0700] "GET /a.gif HTTP/1.0" 200 2326 "-" "curl""#,
        "[Fri Oct 08 17:08:41.203277 2021] [core:error] [pid 7005:tid 140] [client 203.0.113.7:14532] AH00126: Invalid URI in request GET /x HTTP/1.1",
    ] {
        assert_eq!(read(line).format, "apache", "{line}");
    }
    let names = ["source.ip", "source.port", "process.pid", "log.level", "url.path"];
    let error = "[Fri Oct 08 17:08:41.203277 2021] [core:error] [pid 7005:tid 140] [client 203.0.113.7:14532] AH00126: Invalid URI in request GET /x HTTP/1.1";
    assert_eq!(
        ecs(error, &names),
        "source.ip=203.0.113.7 source.port=14532 process.pid=7005 log.level=error url.path=/x"
    );
    let error = r#"2016/10/25 14:49:34 [error] 54053#0: *1 open() "/x, client: 10.0.0.1" failed, client: 203.0.113.7, server: s, request: "GET /x HTTP/1.1", host: "h""#;
    assert_eq!(
        ecs(error, &names),
        "source.ip=203.0.113.7 process.pid=54053 log.level=error url.path=/x"
    );
    assert_eq!(read(error).format, "nginx");
}

#[test]
fn native_events_are_judged_by_payload_not_metadata() {
    let line = r#"{"event_id":"e-1","timestamp":"2026-11-22T09:00:00Z","event_type":"brute_force","source_ip":"203.0.113.7","destination_port":22,"protocol":"TCP","payload":{"attempts":12,"user":"ana"},"metadata":{"user":"bob","host":"h","severity":"INFO"}}"#;
    let event = read(line);
    assert_eq!((event.format, event.vendor_id.as_deref()), ("native", Some("e-1")));
    assert_eq!(event.field("payload.attempts"), Some(&Value::Int(12)));
    assert_eq!(
        ecs(
            line,
            &[
                "source.ip",
                "destination.port",
                "network.transport",
                "user.name",
                "host.name",
                "event.action"
            ]
        ),
        "source.ip=203.0.113.7 destination.port=22 network.transport=tcp user.name=ana event.action=brute_force"
    );
}

#[test]
fn other_json_keeps_its_fields() {
    let event = read(
        r#"{"ts":1617062100.5,"src_ip":"203.0.113.7","dest_port":443,"event_type":"alert","alert":{"signature":"x"}}"#,
    );
    assert_eq!(event.format, "json");
    assert_eq!(event.time.unwrap().to_string(), "2021-03-29T23:55:00.500Z");
    assert_eq!(event.field("alert.signature"), Some(&Value::str("x")));
    assert_eq!(event.ecs_text("source.ip").as_deref(), Some("203.0.113.7"));
}

#[test]
fn a_named_format_is_the_only_one_tried() {
    let now = Timestamp::from_secs(1_795_338_000);
    let line = r#"127.0.0.1 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.0" 200 1 "-" "curl""#;
    assert_eq!(decode(line, Format::Apache, now).format, "apache");
    assert_eq!(decode(line, Format::Syslog, now).format, "text");
    assert_eq!(decode(line, Format::Text, now).format, "text");
    assert_eq!(decode("{}", Format::Json, now).format, "json");
    assert_eq!(decode("[1]", Format::Auto, now).format, "text");
    let gcp =
        r#"{"protoPayload":{"methodName":"SetIamPolicy","authorizationInfo":[{"permission":"a.b"}]},"logName":"l"}"#;
    let event = decode(gcp, Format::Auto, now);
    assert_eq!(event.field("gcp.audit.method_name"), Some(&Value::str("SetIamPolicy")));
    assert_eq!(
        event.field("data.protoPayload.authorizationInfo.permission"),
        Some(&Value::List(vec![Value::str("a.b")]))
    );
}
