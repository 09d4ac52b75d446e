//! Lines of about 500 bytes in the formats that come together, most of them clean.

/// One line in this many is an attack.
pub(crate) const HOSTILE: usize = 50;
const LENGTH: usize = 500;

/// So many lines, the formats taking turns, no two of them alike.
pub(crate) fn lines(count: usize) -> Vec<String> {
    (0..count)
        .map(|number| {
            let form = number % CLEAN.len();
            let hostile = number % HOSTILE == HOSTILE - 1;
            let form = if hostile {
                HOSTILE_FORMS[number / HOSTILE % HOSTILE_FORMS.len()]
            } else {
                CLEAN[form]
            };
            filled(form, number)
        })
        .collect()
}

/// `{n}` is the line's number, `{fill}` what the line is short of.
fn filled(form: &str, number: usize) -> String {
    let line = form.replace("{n}", &(number % 251).to_string());
    let short = LENGTH.saturating_sub(line.len() - "{fill}".len());
    let words = "ordinary words of an ordinary request from the usual client over an hour of a day ";
    let fill: String = words.chars().cycle().skip(number % words.len()).take(short).collect();
    line.replace("{fill}", fill.trim_end())
}

const CLEAN: [&str; 8] = [
    "Nov 22 08:59:58 web-1 app[4{n}]: request {n} handled in 12 ms: {fill}",
    r#"203.0.113.{n} - - [07/Dec/2024:11:05:07 +0100] "GET /shop/item/{n}?page=2 HTTP/1.1" 200 1382 "https://example.com/list" "Mozilla/5.0 (X11; Linux x86_64; {fill}) Firefox/130.0""#,
    r#"{"event_id":"e-{n}","timestamp":"2026-11-22T09:00:00Z","event_type":"login","source_ip":"203.0.113.{n}","destination_ip":"10.0.0.5","destination_port":443,"protocol":"TCP","payload":{"user":"ana","attempts":1,"message":"{fill}"},"metadata":{"sensor":"s-1"}}"#,
    r#"{"eventVersion":"1.08","userIdentity":{"type":"IAMUser","principalId":"AIDAEXAMPLE","accountId":"111122223333","userName":"ana"},"eventTime":"2026-11-22T09:00:00Z","eventSource":"ec2.amazonaws.com","eventName":"DescribeInstances","awsRegion":"eu-west-1","sourceIPAddress":"203.0.113.{n}","userAgent":"{fill}","requestParameters":null,"responseElements":null,"eventID":"3fcfb182-98f8-4744-bd45-10ae0000{n}"}"#,
    r#"{"ts":1700000000.{n},"level":"info","logger":"shop.cart","msg":"cart \"{n}\" saved\nfor {fill}","ctx":{"user":"u-{n}","items":[1,2,3],"path":"/cart/{n}"}}"#,
    r#"{"EventID":10,"Channel":"Microsoft-Windows-Sysmon/Operational","SourceName":"Microsoft-Windows-Sysmon","Hostname":"ws-{n}","@timestamp":"2026-11-22T09:00:00.473Z","SourceImage":"C:\\Windows\\System32\\svchost.exe","TargetImage":"C:\\Windows\\System32\\svchost.exe","GrantedAccess":"0x1000","RuleName":"-","Message":"{fill}"}"#,
    "<86>1 2026-11-22T09:00:00.003Z web-{n} sshd 411 - - Accepted publickey for ana from 203.0.113.{n} port 50538 ssh2: {fill}",
    "a line of application {n} that nobody wrote a decoder for: {fill}",
];

const HOSTILE_FORMS: [&str; 4] = [
    "Nov 22 08:59:58 web-1 sshd[4{n}]: Failed password for root from 203.0.113.{n} port 50538 ssh2 {fill}",
    r#"203.0.113.{n} - - [07/Dec/2024:11:05:07 +0100] "GET /item?id=1%20UNION%20SELECT%20password%20FROM%20users-- HTTP/1.1" 200 1382 "-" "Mozilla/5.0 ({fill})""#,
    r#"{"eventVersion":"1.08","userIdentity":{"type":"IAMUser","userName":"ana"},"eventTime":"2026-11-22T09:00:00Z","eventSource":"cloudtrail.amazonaws.com","eventName":"StopLogging","awsRegion":"eu-west-1","sourceIPAddress":"203.0.113.{n}","userAgent":"{fill}","eventID":"3fcfb182-98f8-4744-bd45-10ae0000{n}"}"#,
    r#"{"event_id":"e-{n}","timestamp":"2026-11-22T09:00:00Z","event_type":"brute_force","source_ip":"203.0.113.{n}","destination_port":22,"payload":{"attempts":50,"message":"{fill}"}}"#,
];
