//! The number of partitions, and what else is sent meanwhile, change no verdict.

use std::path::Path;

use super::harness::{Outcome, Platform, client, post_lines, settled};
use super::traffic;

async fn outcome(data: &Path, partitions: &str) -> Outcome {
    let platform = Platform::start(data, &[("LOG_PARTITIONS", partitions)]);
    let client = client();
    post_lines(&client, &platform.base, &traffic::lines(3, 20_000), Some("file")).await;
    settled(&client, &platform.base).await;
    Outcome::of(&client, &platform.base).await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_four_and_six_partitions_give_the_same() {
    let folders: Vec<_> = (0..3).map(|_| tempfile::tempdir().expect("a folder")).collect();
    let one = outcome(folders[0].path(), "1").await;
    assert!(one.threats.len() > 10 && !one.alerts.is_empty(), "{one:?}");
    assert_eq!(outcome(folders[1].path(), "4").await, one);
    assert_eq!(outcome(folders[2].path(), "6").await, one);
}

#[tokio::test(flavor = "multi_thread")]
async fn last_years_file_and_todays_traffic_do_not_disturb_each_other() {
    let today = traffic::lines(4, 10_000);
    // The same attackers, a year ago.
    let last_year: Vec<String> = today
        .iter()
        .map(|line| line.replace("/2026:", "/2025:").replace(" 2026-", " 2025-"))
        .collect();

    let mut apart = Vec::new();
    for (lines, key) in [(&today, "today"), (&last_year, "past")] {
        let data = tempfile::tempdir().expect("a folder");
        let platform = Platform::start(data.path(), &[]);
        let client = client();
        post_lines(&client, &platform.base, lines, Some(key)).await;
        settled(&client, &platform.base).await;
        apart.push(Outcome::of(&client, &platform.base).await);
    }

    let data = tempfile::tempdir().expect("a folder");
    let platform = Platform::start(data.path(), &[]);
    let client = client();
    tokio::join!(
        post_lines(&client, &platform.base, &today, Some("today")),
        post_lines(&client, &platform.base, &last_year, Some("past")),
    );
    settled(&client, &platform.base).await;
    let together = Outcome::of(&client, &platform.base).await;
    let threats: std::collections::BTreeSet<String> = apart.iter().flat_map(|one| one.threats.clone()).collect();
    assert!(apart.iter().all(|one| one.threats.len() > 5));
    assert_eq!(together.threats, threats);
    let alerts: std::collections::BTreeMap<String, u64> = apart.iter().flat_map(|one| one.alerts.clone()).collect();
    assert_eq!(together.alerts, alerts);
}
