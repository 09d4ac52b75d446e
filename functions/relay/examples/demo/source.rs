//! A relay over a store of its own, and made-up threats committed at a steady rate.

use std::time::Duration;

use anyhow::Context;
use serde_json::json;
use threatstream_backend::{Backends, Commit, PartitionId, StateChange};
use threatstream_domain::{Clock, Frame, FrameKind, MinuteStats, Severity, Tally};
use threatstream_embedded::Options;
use threatstream_relay::{Config, Dependencies, build};
use threatstream_runtime::{CancellationToken, ServeConfig, bind, serve_on};
use tokio::time::{Instant, sleep_until};

/// Serves on a port until `shutdown`, and commits `rate` records a second until then; with alerts, if anybody is to look at them.
pub(crate) async fn serve(port: u16, rate: u32, alerts: bool, shutdown: CancellationToken) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let backends = threatstream_embedded::open(Options::new(folder.path()))?.backends();
    let config = Config {
        max_connections: 20_000,
        ..Config::default()
    };
    let function = build(
        config,
        Dependencies {
            backends: backends.clone(),
            clock: Clock::system(),
        },
    );
    let serving = ServeConfig {
        port,
        rate_limit_requests: 0,
        max_in_flight: 20_000,
        ..ServeConfig::local()
    };
    let server = serve_on(bind(&serving)?, function, serving, shutdown.clone());
    let committing = shutdown.run_until_cancelled(commit(backends, rate, alerts));
    let (served, committed) = tokio::join!(server, committing);
    committed.unwrap_or(Ok(()))?;
    served
}

async fn commit(backends: Backends, rate: u32, alerts: bool) -> anyhow::Result<()> {
    let clock = Clock::system();
    let id = PartitionId {
        topic: backends.topics.matches.clone(),
        partition: 0,
    };
    let lease = backends
        .store
        .acquire(&id, 4, "demo", Duration::from_secs(3600), clock.now())
        .await?;
    let lease = lease.context("the partition is held by another")?;
    let start = (Instant::now(), clock.now());
    for n in 0u32.. {
        let due = Duration::from_secs(1) * n / rate.max(1);
        sleep_until(start.0 + due).await;
        let severity = Severity::ALL[(n as usize * 7) % Severity::ALL.len()];
        let mut minute = MinuteStats {
            minute: clock.now().minute(),
            processed: 20,
            detected: 1,
            detect_ms: 0.8,
            ..MinuteStats::default()
        };
        minute.threats[severity as usize] = 1;
        let threat = json!({
            "id": format!("THR-{n:020}"), "ts": start.1.plus(due).as_micros(), "severity": severity, "threat_type": "BRUTE_FORCE",
            "source_ip": format!("203.0.113.{}", n % 250), "description": "twenty failed passwords for root in a minute <b>bold</b>",
            "mitre_attack_id": "T1110", "mitre_attack_name": "Brute Force", "simulated": n % 3 == 0, "auto_blocked": n % 5 == 0,
            "analyzed_at": clock.now(), "evidence": [{"field": "message", "value": "Failed password for root ".repeat(20), "rule_id": "r"}],
        });
        let mut frames = vec![Frame::new(FrameKind::NewThreat, Some(severity), &threat)?];
        if alerts {
            let alert = json!({
                "id": format!("ALT-{:020}", n % 12), "title": "Guessed passwords on web-1", "severity": severity, "priority": "P2",
                "status": "NEW", "event_count": n + 1, "source_ips": ["203.0.113.7"], "last_seen": clock.now(), "simulated": false,
            });
            frames.push(Frame::new(
                if n < 12 {
                    FrameKind::NewAlert
                } else {
                    FrameKind::AlertUpdate
                },
                Some(severity),
                &alert,
            )?);
        }
        let commit = Commit {
            id: id.clone(),
            owner_epoch: lease.owner_epoch,
            expected_offset: lease.next_offset + u64::from(n),
            next_offset: lease.next_offset + u64::from(n) + 1,
            batch_id: n.to_string(),
            unpublished: Vec::new(),
            tally: Tally {
                stored: 1,
                ..Tally::default()
            },
            lost: 0,
            minutes: vec![minute],
            threats: Vec::new(),
            alerts: Vec::new(),
            state: StateChange::default(),
            frames,
            lease_until: lease.lease_until,
            now: clock.now(),
        };
        backends.store.commit(commit).await?;
    }
    Ok(())
}
