//! Any text as a rule file: it compiles or is set aside, and no prefilter loses a match of what compiled.
#![no_main]

use std::borrow::Cow;

use libfuzzer_sys::fuzz_target;
use threatstream_detection::decode::{Format, decode};
use threatstream_detection::sigma::{RuleMatch, RuleSet};
use threatstream_domain::Timestamp;

const LINES: &[&str] = &[
    r#"{"event_type":"brute_force","source_ip":"203.0.113.7","destination_port":22,"payload":{"user":"root","n":4624,"f":1.5}}"#,
    r#"{"CommandLine":"cmd.exe /c whoami -a","Image":"C:\\Windows\\cmd.exe","a":"b","f":["abc",5,null,true],"g":{"h":"x"}}"#,
    r#"{"a":"\u006b\u212a\/\"\u00e9","f":"aGVsbG8=","message":"one two"}"#,
    "Mar 27 16:16:42 web sshd[1]: Failed password for root from 203.0.113.7 port 22 ssh2",
    r#"203.0.113.7 - - [22/Nov/2026:09:00:00 +0000] "GET /a%20b?id=1%27%20or%201=1 HTTP/1.1" 200 1 "-" "sqlmap/1.0""#,
    "one",
];

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let set = RuleSet::load([(Cow::from("fuzzed.yml"), Cow::from(text))]);
    for aside in set.set_aside() {
        assert!(!aside.reason.is_empty(), "a document is set aside without a reason");
    }
    for rule in set.rules() {
        assert_eq!(set.rule(&rule.id).map(|found| &found.id), Some(&rule.id));
        let _ = set.correlations_of(rule).count();
    }
    for line in LINES {
        let event = decode(line, Format::Auto, Timestamp::from_secs(1_795_338_000));
        let ids = |found: &[RuleMatch<'_>]| found.iter().map(|found| found.rule.id.clone()).collect::<Vec<_>>();
        let found = set.matches(&event);
        assert_eq!(
            ids(&found),
            ids(&set.matches_unfiltered(&event)),
            "the prefilter over values loses a match of {line}"
        );
        assert!(
            found.is_empty() || set.might_match(line.as_bytes()),
            "the prefilter over bytes loses a match of {line}"
        );
    }
});
