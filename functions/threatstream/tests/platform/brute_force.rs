//! Real sshd logs of a host on the internet: the attackers are found, the owners are not.

use std::collections::BTreeSet;

use serde_json::Value;

use super::harness::{Platform, all, client, command, corpus, post_lines, settled};

/// What makes two findings the same, whoever's clock ran meanwhile. The id is not part of it: lines without ids get new ones with
/// each post, and a threat of a single rule is named by its event. What a correlation counts of another comes back through the log,
/// later than in a file that is scanned: which event completes such a chain, and after how many, is not part of it either.
fn brute_force(threats: &[Value]) -> BTreeSet<[String; 5]> {
    let text = |threat: &Value, name: &str| threat[name].to_string();
    let of_event = |threat: &Value, name: &str| {
        let is_chain = threat["rule_ids"].as_array().is_some_and(|ids| ids.len() > 2);
        if is_chain { String::new() } else { text(threat, name) }
    };
    threats
        .iter()
        .filter(|threat| threat["threat_type"] == "BRUTE_FORCE")
        .map(|threat| {
            let [rules, source, technique] =
                ["rule_ids", "source_ip", "mitre_attack_id"].map(|name| text(threat, name));
            let [timestamp, count] = ["timestamp", "event_count"].map(|name| of_event(threat, name));
            [rules, timestamp, source, technique, count]
        })
        .collect()
}

async fn posted(lines: &[String]) -> Vec<Value> {
    let data = tempfile::tempdir().expect("a folder");
    let platform = Platform::start(data.path(), &[]);
    let client = client();
    post_lines(&client, &platform.base, lines, None).await;
    settled(&client, &platform.base).await;
    all(&client, &platform.base, "/api/threats/recent", "threats").await
}

fn scanned(lines: &[String]) -> Vec<Value> {
    let data = tempfile::tempdir().expect("a folder");
    let file = data.path().join("auth.log");
    std::fs::write(&file, lines.join("\n")).expect("written");
    let output = command()
        .arg("scan")
        .arg(&file)
        .args(["--output", "json"])
        .output()
        .expect("scan runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn attackers_are_named_the_same_both_ways_and_twice() {
    let Some(records) = corpus("auth-and-background/mixed_auth.jsonl.gz") else {
        return;
    };
    let lines: Vec<String> = records
        .iter()
        .filter_map(|record| record["input"].as_str())
        .map(|line| line.trim_end().to_owned())
        .collect();

    let threats = posted(&lines).await;
    let found = brute_force(&threats);
    assert!(found.len() >= 5, "{found:?}");
    let mut by_address = 0;
    for threat in threats.iter().filter(|threat| threat["threat_type"] == "BRUTE_FORCE") {
        // A few lines name the attacker's host and no address; the evidence then does.
        let named = threat["source_ip"].as_str().or_else(|| {
            let evidence = threat["evidence"].as_array()?;
            evidence.iter().find(|evidence| evidence["field"] == "source.domain")?["value"].as_str()
        });
        let source = named.unwrap_or_else(|| panic!("no attacker in {threat}"));
        by_address += usize::from(threat["source_ip"].is_string());
        assert!(
            lines.iter().any(|line| line.contains(source) && line.contains("sshd")),
            "{threat}"
        );
        assert!(
            threat["mitre_attack_id"]
                .as_str()
                .is_some_and(|id| id.starts_with("T1110")),
            "{threat}"
        );
        assert!(
            threat["evidence"]
                .as_array()
                .is_some_and(|evidence| !evidence.is_empty()),
            "{threat}"
        );
    }
    assert!(by_address > 100, "{by_address} by address");
    assert_eq!(brute_force(&posted(&lines).await), found, "posted again elsewhere");
    assert_eq!(brute_force(&scanned(&lines)), found, "scanned");
    assert_eq!(brute_force(&scanned(&lines)), found, "scanned again");

    let ordinary: Vec<String> = lines
        .iter()
        .filter(|line| line.contains("Accepted ") || line.contains("session opened") || line.contains("session closed"))
        .cloned()
        .collect();
    assert!(ordinary.len() > 100);
    assert_eq!(brute_force(&scanned(&ordinary)), BTreeSet::new(), "ordinary logins");
}
