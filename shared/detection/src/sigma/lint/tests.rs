use super::*;

fn reasons(text: &str) -> Vec<String> {
    let files = [(Cow::from("r.yml"), Cow::from(text))];
    lint(files).into_iter().map(|warning| warning.reason).collect()
}

const CLEAN: &str = r"
title: A rule that nothing is the matter with
id: 0b7ea5a2-9f11-4f6c-8f0d-3f5b7a0c8e11
status: test
level: high
date: 2024-02-29
modified: 2025-01-31
references: [https://example.com/a, https://example.com/b]
tags: [attack.credential-access, attack.t1110.001, attack.g0007, cve.2021-44228, detection.threat-hunting, tlp.amber, acme.x]
related: [{ id: 1b7ea5a2-9f11-4f6c-8f0d-3f5b7a0c8e11, type: derived }]
logsource: { product: windows, category: process_creation }
detection:
    selection_a:
        Image|endswith: ['\a.exe', '\b.exe']
        ParentImage: 'C:\Windows\\*'
        CommandLine|contains|all: [-y, -x]
    selection_b: [one, t?o]
    filter_main:
        User|re: '^\*.*$'
        Password: '\*\*\*'
        Share: '\\\\\*\IPC$'
        Encoded|base64offset|contains: [IEX, iex]
    keywords:
        '|all': [one, two]
    condition: all of selection_* and keywords and not 1 of filter_*
";

#[test]
fn a_good_rule_has_no_warning() {
    assert_eq!(reasons(CLEAN), Vec::<String>::new());
}

#[test]
fn each_mistake_is_named() {
    for (from, to, expected) in [
        ("id: 0b7ea5a2-9f11-4f6c-8f0d-3f5b7a0c8e11\n", "", "`id` is missing"),
        ("id: 0b7ea5a2", "id: zb7ea5a2", "is no UUID"),
        (
            "status: test",
            "status: testing",
            "`status`: `testing` is none of stable",
        ),
        ("status: test\n", "", "`status` is missing"),
        ("status: test", "status: deprecated", "is deprecated"),
        ("level: high\n", "", "`level` is missing"),
        ("level: high", "level: severe", "`level`: `severe`"),
        (
            "date: 2024-02-29",
            "date: 2023-02-29",
            "`date`: `2023-02-29` is no date",
        ),
        ("date: 2024-02-29", "date: 2024/02/29", "write 2024-02-29"),
        ("modified: 2025-01-31", "modified: 2023-01-31", "is before `date`"),
        ("example.com/b", "example.com/a", "comes twice"),
        ("attack.t1110.001", "attack.t1110.1", "is none of ATT&CK"),
        ("attack.credential-access", "attack.credential_access", "with hyphens"),
        ("attack.credential-access", "attack.credentials", "is none of ATT&CK"),
        ("attack.g0007", "G0007", "lower case"),
        ("attack.g0007", "apt29", "no namespace"),
        ("cve.2021-44228", "cve.44228", "is no CVE"),
        ("tlp.amber", "tlp.orange", "is none of amber"),
        ("type: derived", "type: child", "`related.type`"),
        (
            "related: [{ id: 1b7ea5a2-9f11-4f6c-8f0d-3f5b7a0c8e11",
            "related: [{ id: x",
            "without a UUID",
        ),
        (
            "product: windows, category: process_creation",
            "definition: x",
            "tried on every event",
        ),
        ("product: windows", "product: Windows", "in lower case"),
        ("level: high", "level: high\nfalsepositive: none", "`falsepositives` is"),
        (" and not 1 of filter_*", "", "`filter_main` is not used"),
        (
            "all of selection_* and keywords and not 1 of filter_*",
            "1 of them",
            "takes in `filter_main`",
        ),
        (r"C:\Windows\\*", r"C:\Windows\*", "is the character * itself"),
        ("[one, t?o]", "[one, t**o]", "no more than"),
        ("CommandLine|contains|all", "CommandLine|all", "`all` without"),
        (r"['\a.exe', '\b.exe']", r"['\a.exe', '\A.exe']", "comes twice"),
        (
            r"Image|endswith: ['\a.exe'",
            r"Image|endswith: ['*\a.exe'",
            "that `endswith` stands for",
        ),
        ("Image|endswith", "Image |endswith", "a space"),
        ("User|re: ", "User|base64offset: ", "without `contains`"),
        ("User|re: ", "User|wide|contains: ", "UTF-16"),
        (
            "User|re: '^\\*.*$'",
            "User|contains|all: x",
            "`all` with a single value",
        ),
    ] {
        let text = CLEAN.replace(from, to);
        assert_ne!(text, CLEAN, "{from} is there to be replaced");
        let found = reasons(&text);
        assert!(found.iter().any(|reason| reason.contains(expected)), "{to}: {found:?}");
    }
}

#[test]
fn one_identifier_is_not_them() {
    let from = CLEAN.find("    selection_b").unwrap();
    let text = format!("{}    condition: all of them\n", &CLEAN[..from]);
    assert_eq!(
        reasons(&text),
        ["`all of them` where there is only `selection_a`; name it"]
    );
}

#[test]
fn what_two_rules_share_is_named_with_the_other_file() {
    let files = ["a.yml", "b.yml"].map(|name| (Cow::from(name), Cow::from(CLEAN)));
    let found = lint(files);
    assert_eq!(found.len(), 2);
    assert!(
        found
            .iter()
            .all(|warning| warning.file == "b.yml" && warning.reason.contains("a.yml"))
    );
}
