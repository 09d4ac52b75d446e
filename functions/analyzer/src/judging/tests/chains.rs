//! Correlations that count correlations, through the log and across partitions.

use threatstream_backend::ThreatQuery;

use super::*;

/// Twelve failed logins and one that succeeds: what the built-in rule on guessed passwords is about.
fn guessed() -> impl Iterator<Item = (usize, String)> {
    let line = |at: usize, what: &str| {
        format!(
            "<38>1 2026-11-22T09:00:{at:02}Z web-1 sshd 4 - - {what} password for root from 203.0.113.7 port 5 ssh2"
        )
    };
    (0..12)
        .map(move |at| (at, line(at, "Failed")))
        .chain([(40, line(40, "Accepted"))])
}

/// The judges of all partitions, until nothing is left.
async fn work(judges: &mut [Judge]) {
    let mut worked = true;
    while worked {
        worked = false;
        for judge in &mut *judges {
            worked |= judge.step(SOON).await.unwrap() > 0;
        }
    }
}

/// Ids of the threats that the chain came to.
async fn found(world: &World) -> Vec<String> {
    let query = ThreatQuery {
        limit: 100,
        ..ThreatQuery::default()
    };
    let threats = world.backends.store.threats(&query).await.unwrap();
    let is_guessed =
        |threat: &threatstream_domain::Threat| threat.description.starts_with("SSH Login After Many Failures");
    let mut ids: Vec<String> = threats
        .items
        .into_iter()
        .filter(is_guessed)
        .map(|threat| threat.id)
        .collect();
    ids.sort();
    ids
}

async fn accounted(world: &World) -> (u64, u64, u64) {
    let topic = &world.backends.topics.matches;
    let checkpoints = world.backends.store.checkpoints(topic).await.unwrap();
    let marks = world.backends.log.watermarks(topic).await.unwrap();
    let of =
        |count: fn(&threatstream_domain::Tally) -> u64| checkpoints.iter().map(|own| count(&own.tally)).sum::<u64>();
    let judged = of(|tally| tally.stored + tally.counted + tally.suppressed + tally.duplicate);
    (
        marks.iter().map(|marks| marks.high).sum(),
        judged,
        of(|tally| tally.duplicate),
    )
}

#[tokio::test]
async fn a_chain_is_the_same_on_one_partition_and_on_six() {
    let mut all = Vec::new();
    for partitions in [1, 6] {
        let world = World::of(partitions);
        world.match_lines(guessed()).await;
        let mut judges: Vec<Judge> = (0..partitions)
            .map(|partition| Judge::new(world.dependencies("a"), partition, partitions))
            .collect();
        work(&mut judges).await;
        let (matches, judged, duplicates) = accounted(&world).await;
        assert_eq!((matches, duplicates), (judged, 0), "{partitions}");
        all.push(found(&world).await);
    }
    assert_eq!(all[0].len(), 1);
    assert_eq!(all[0], all[1]);
}

#[tokio::test]
async fn a_chain_whose_judge_dies_before_its_commit_fires_once() {
    let world = World::new();
    world.match_lines(guessed()).await;
    let before = accounted(&world).await.0;
    world.execute(
        "CREATE TRIGGER never BEFORE UPDATE OF next_offset ON lease WHEN NEW.next_offset > OLD.next_offset
         BEGIN SELECT RAISE(FAIL, 'no'); END",
    );
    let mut dying = world.judge("a");
    // What fired is published first; then nothing can be committed, however small the batch.
    assert!(dying.step(SOON).await.is_err());
    drop(dying);
    assert!(accounted(&world).await.0 > before);
    assert!(found(&world).await.is_empty());
    world.execute("DROP TRIGGER never");
    world.clock.advance(LEASE + Duration::from_secs(1));
    work(&mut [world.judge("b")]).await;
    let (matches, judged, duplicates) = accounted(&world).await;
    assert_eq!(matches, judged);
    assert!(duplicates > 0);
    assert_eq!(found(&world).await.len(), 1);
}
