//! Rules that change under a running platform.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::harness::{Platform, client, get, post_lines, until};

fn rule(word: &str) -> String {
    format!(
        "title: Own Rule of {word}\nid: 0b7ea5a2-9f11-4f6c-8f0d-3f5b7a0c8e11\nlogsource: {{}}\ndetection: {{ s: [{word}], condition: s }}\nlevel: high\n"
    )
}

/// Replaces a file at once, as editors and configuration management do.
fn replace(path: &Path, text: &str) {
    let new = path.with_extension("new");
    std::fs::write(&new, text).expect("written");
    std::fs::rename(&new, path).expect("renamed");
}

/// A folder of rules with one that knows `before`: its path, and the file's.
fn folder(data: &Path) -> (String, PathBuf) {
    let rules = data.join("rules");
    std::fs::create_dir(&rules).expect("a folder");
    let path = rules.join("own.yml");
    replace(&path, &rule("before"));
    (rules.to_string_lossy().into_owned(), path)
}

/// The descriptions and hashes of the threats whose line was this one.
async fn threats(client: &reqwest::Client, base: &str) -> Vec<(String, String)> {
    let page = get(client, base, "/api/threats/recent?limit=500").await;
    let text = |threat: &Value, name: &str| threat[name].as_str().unwrap_or_default().to_owned();
    let threats = page["threats"].as_array().expect("a list").iter();
    threats
        .map(|threat| (text(threat, "description"), text(threat, "rules_hash")))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_rule_fires_and_a_broken_one_leaves_the_old() {
    let data = tempfile::tempdir().expect("a folder");
    let (folder, path) = folder(data.path());
    let platform = Platform::start(
        data.path(),
        &[("RULES_DIR", &folder), ("RULES_RELOAD_INTERVAL", "20ms")],
    );
    let (client, base) = (client(), platform.base.clone());
    let found = async |word: &str| {
        // Sent again until the rules that know it are at work.
        until("the rule fires", async || {
            post_lines(&client, &base, &[format!("something {word} happened")], None).await;
            let threats = threats(&client, &base).await;
            threats.into_iter().find(|(description, _)| description.contains(word))
        })
        .await
    };
    let rules_are = async |wanted: &str| {
        until("health tells of the rules", async || {
            let health = get(&client, &base, "/api/health").await;
            (health["services"]["rules"] == wanted).then_some(health)
        })
        .await
    };
    let (_, first) = found("before").await;
    replace(&path, &rule("after"));
    let (_, second) = found("after").await;
    assert_ne!(first, second, "another set has another hash");

    replace(&path, "title: [");
    let health = rules_are("degraded").await;
    assert_eq!(health["status"], "degraded");
    let before = threats(&client, &base).await.len();
    post_lines(&client, &base, &["something after happened again".to_owned()], None).await;
    until("the old rule still fires", async || {
        (threats(&client, &base).await.len() > before).then_some(())
    })
    .await;

    // The same rule again has the same hash, whatever the file is called.
    std::fs::remove_file(&path).expect("removed");
    replace(&path.with_file_name("renamed.yaml"), &rule("before"));
    rules_are("up").await;
    let count = threats(&client, &base).await.len();
    post_lines(&client, &base, &["something before happened again".to_owned()], None).await;
    let latest = until("the rule fires", async || {
        let threats = threats(&client, &base).await;
        (threats.len() > count).then(|| threats[0].clone())
    })
    .await;
    assert_eq!(latest.1, first);
    assert_eq!(platform.terminate(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn hangup_reads_the_rules_at_once() {
    let data = tempfile::tempdir().expect("a folder");
    let (folder, path) = folder(data.path());
    let variables = [
        ("RULES_DIR", folder.as_str()),
        ("RULES_RELOAD_INTERVAL", "0s"),
        ("BUILTIN_RULES", "false"),
    ];
    let platform = Platform::start(data.path(), &variables);
    let (client, base) = (client(), platform.base.clone());
    // Without the built-in rules nobody knows what must match, and health says that there are rules.
    let health = get(&client, &base, "/api/health").await;
    assert_eq!(health["services"]["rules"], "up", "{health}");
    replace(&path, &rule("after"));
    let pid = platform.pid().to_string();
    until("the new rule fires", async || {
        // The handler may not be there yet when the port is: asked again until it is heard.
        let status = Command::new("kill").args(["-HUP", &pid]).status().expect("kill runs");
        assert!(status.success(), "the process lives on");
        post_lines(&client, &base, &["something after happened".to_owned()], None).await;
        let threats = threats(&client, &base).await;
        threats
            .iter()
            .any(|(description, _)| description.contains("after"))
            .then_some(())
    })
    .await;
    let brute = "Dec 10 07:28:08 web sshd[4]: Failed password for invalid user a from 203.0.113.7 port 5 ssh2";
    super::harness::settled(&client, &base).await;
    let count = threats(&client, &base).await.len();
    post_lines(&client, &base, &vec![brute.to_owned(); 10], None).await;
    super::harness::settled(&client, &base).await;
    assert_eq!(
        threats(&client, &base).await.len(),
        count,
        "the built-in rules are left out"
    );
}
