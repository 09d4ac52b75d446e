use std::sync::Arc;

use threatstream_domain::{Severity, SourceZone, ThreatType};

use super::*;
use crate::testing::{Answer, Receiver, World, execution_id, library};

const PLAYBOOK: &str = "pb-brute-001";

fn never() -> CancellationToken {
    CancellationToken::new()
}

fn later(world: &World) {
    world.clock.advance(INTERRUPTED_AFTER + Duration::from_secs(1));
}

fn statuses(execution: &Execution) -> Vec<StepStatus> {
    execution.steps.iter().map(|step| step.status).collect()
}

fn detail(execution: &Execution, at: usize) -> &str {
    execution.steps[at].detail.as_deref().unwrap_or_default()
}

#[tokio::test]
async fn a_threat_is_blocked_and_told() {
    let world = World::new();
    let receiver = Receiver::new(&[Answer::Status(200)]).await;
    let engine = world.engine(Some(receiver.config()));
    let threat = world.threat("one", |_| {}).await;
    let before = world.backends.store.head().await.unwrap();
    engine.respond(&threat.id, &never()).await.unwrap();

    let (updates, told): (Vec<_>, Vec<_>) = world
        .told_since(&before)
        .await
        .into_iter()
        .partition(|told| told == "blocked");
    assert_eq!(
        (updates.len(), told),
        (
            1,
            ["PENDING", "RUNNING", "RUNNING", "COMPLETED"]
                .map(str::to_owned)
                .to_vec()
        )
    );
    let execution = world.execution(&execution_id(PLAYBOOK, &threat)).await;
    assert_eq!(execution.status, ExecutionStatus::Completed, "{execution:?}");
    assert_eq!(statuses(&execution), [StepStatus::Completed; 2]);
    assert_eq!(
        (execution.current_step, execution.completed_at),
        (2, Some(world.clock.now()))
    );
    let blocklist = world.blocklist().await;
    assert_eq!(blocklist.len(), 1);
    assert_eq!(
        (blocklist[0].ip.as_str(), &blocklist[0].execution_id),
        ("203.0.113.7", &execution.execution_id)
    );
    assert_eq!(
        blocklist[0].expires_at,
        world.clock.now().plus(Duration::from_secs(3600))
    );
    assert!(world.auto_blocked(&threat).await);

    let calls = receiver.calls();
    assert_eq!(calls.len(), 1);
    assert_eq!(
        calls[0].header("idempotency-key"),
        format!("{}-1", execution.execution_id)
    );
    let body: serde_json::Value = serde_json::from_slice(&calls[0].body).unwrap();
    assert_eq!(body["threat"]["id"], threat.id);
    assert_eq!(body["threat"]["source_ip"], "203.0.113.7");
    assert_eq!(body["execution"]["steps"][0]["status"], "COMPLETED");
    assert_eq!(body["execution"]["steps"][1]["status"], "RUNNING");

    // The same task again, and again after the block has expired.
    engine.respond(&threat.id, &never()).await.unwrap();
    world.clock.advance(Duration::from_secs(3601));
    engine.respond(&threat.id, &never()).await.unwrap();
    assert_eq!(world.execution(&execution.execution_id).await, execution);
    assert_eq!((receiver.calls().len(), world.blocklist().await), (1, vec![]));
}

#[tokio::test]
async fn a_crash_between_any_two_saves_repeats_nothing() {
    for saves in 0..=3 {
        let world = World::new();
        let receiver = Receiver::new(&[Answer::Status(200)]).await;
        let threat = world.threat("one", |_| {}).await;
        let id = execution_id(PLAYBOOK, &threat);
        let began = world.clock.now();
        {
            let engine = world.engine(Some(receiver.config()));
            let execution = engine.fresh_for_test(PLAYBOOK, &threat);
            assert!(world.backends.store.create_execution(&execution, began).await.unwrap());
            let mut run = Run::open(&engine, &id).await.unwrap();
            for _ in 0..saves {
                assert_eq!(run.step(&never()).await.unwrap(), Progress::Saved);
            }
        }
        let world = world.restarted().await;
        let engine = world.engine(Some(receiver.config()));
        if saves == 2 {
            // The worker before may still be at it, for all that is known.
            let error = engine.respond(&threat.id, &never()).await.unwrap_err();
            assert!(matches!(error, RunError::Busy(_)) && error.is_retryable(), "{error}");
            assert_eq!(receiver.calls().len(), 0);
        }
        later(&world);
        engine.respond(&threat.id, &never()).await.unwrap();
        engine.respond(&threat.id, &never()).await.unwrap();

        let execution = world.execution(&id).await;
        let blocklist = world.blocklist().await;
        assert_eq!(blocklist.len(), 1, "after {saves} saves");
        let blocked_at = if saves == 0 { world.clock.now() } else { began };
        assert_eq!(blocklist[0].blocked_at, blocked_at, "after {saves} saves");
        if saves == 2 {
            assert_eq!(execution.status, ExecutionStatus::Failed);
            assert_eq!(detail(&execution, 1), "interrupted: outcome unknown, not sent again");
            assert_eq!(receiver.calls().len(), 0);
        } else {
            assert_eq!(execution.status, ExecutionStatus::Completed, "after {saves} saves");
            assert_eq!(receiver.calls().len(), 1, "after {saves} saves");
        }
    }
}

#[tokio::test]
async fn a_crash_during_the_call_does_not_call_again() {
    let world = World::new();
    let receiver = Receiver::new(&[Answer::Silence]).await;
    let threat = world.threat("one", |_| {}).await;
    let id = execution_id(PLAYBOOK, &threat);
    let engine = world.engine(Some(receiver.config()));
    let (threat_id, first) = (threat.id.clone(), Arc::clone(&engine));
    let worker = tokio::spawn(async move { first.respond(&threat_id, &never()).await });
    receiver.arrived(1).await;
    worker.abort();
    assert!(worker.await.unwrap_err().is_cancelled());
    drop(engine);

    let world = world.restarted().await;
    later(&world);
    world
        .engine(Some(receiver.config()))
        .respond(&threat.id, &never())
        .await
        .unwrap();
    let execution = world.execution(&id).await;
    assert_eq!(execution.status, ExecutionStatus::Failed);
    assert_eq!(statuses(&execution), [StepStatus::Completed, StepStatus::Failed]);
    assert_eq!(receiver.calls().len(), 1);
    assert_eq!(world.blocklist().await.len(), 1);
}

#[tokio::test]
async fn deliveries_at_once_make_one_execution() {
    let world = World::new();
    let receiver = Receiver::new(&[Answer::Status(200)]).await;
    let threat = world.threat("one", |_| {}).await;
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (engine, id) = (world.engine(Some(receiver.config())), threat.id.clone());
        workers.spawn(async move { engine.respond(&id, &never()).await });
    }
    for done in workers.join_all().await {
        assert!(done.as_ref().err().is_none_or(RunError::is_retryable), "{done:?}");
    }
    let execution = world.execution(&execution_id(PLAYBOOK, &threat)).await;
    assert_eq!(execution.status, ExecutionStatus::Completed, "{execution:?}");
    assert_eq!(execution.version, 3, "a save for the block, two for the call");
    assert_eq!((receiver.calls().len(), world.blocklist().await.len()), (1, 1));
}

#[tokio::test]
async fn a_stopping_worker_puts_the_call_off() {
    let world = World::new();
    let receiver = Receiver::new(&[Answer::Status(503), Answer::Status(200)]).await;
    let engine = world.engine(Some(receiver.config()));
    let threat = world.threat("one", |_| {}).await;
    let stop = never();
    stop.cancel();
    let error = engine.respond(&threat.id, &stop).await.unwrap_err();
    let id = execution_id(PLAYBOOK, &threat);
    assert!(matches!(error, RunError::Postponed(_)), "{error}");
    assert_eq!(
        statuses(&world.execution(&id).await),
        [StepStatus::Completed, StepStatus::Pending]
    );
    engine.respond(&threat.id, &never()).await.unwrap();
    assert_eq!(world.execution(&id).await.status, ExecutionStatus::Completed);
    assert_eq!(receiver.calls().len(), 2);
}

#[tokio::test]
async fn without_a_webhook_the_step_is_skipped() {
    let world = World::new();
    let threat = world.threat("one", |_| {}).await;
    world.engine(None).respond(&threat.id, &never()).await.unwrap();
    let execution = world.execution(&execution_id(PLAYBOOK, &threat)).await;
    assert_eq!(execution.status, ExecutionStatus::Completed);
    assert_eq!(statuses(&execution), [StepStatus::Completed, StepStatus::Skipped]);
    assert!(detail(&execution, 1).contains("WEBHOOK_URL"));
}

#[tokio::test]
async fn internal_sources_are_never_blocked() {
    let world = World::new();
    let engine = world.engine(None);
    for (at, (source, zone, reason)) in [
        (Some("10.0.0.5"), None, "private"),
        (Some("::ffff:127.0.0.1"), Some(SourceZone::External), "loopback"),
        (Some("attacker.example; DROP TABLE"), None, "not an address"),
        (None, None, "no source address"),
        (Some("198.51.100.1"), Some(SourceZone::Trusted), "trusted"),
        (Some("198.51.100.1"), Some(SourceZone::Internal), "internal"),
    ]
    .into_iter()
    .enumerate()
    {
        let edit = |threat: &mut Threat| {
            threat.source_ip = source.map(str::to_owned);
            threat.source_zone = zone;
        };
        let threat = world.threat(&format!("t{at}"), edit).await;
        engine.respond(&threat.id, &never()).await.unwrap();
        let execution = world.execution(&execution_id(PLAYBOOK, &threat)).await;
        assert_eq!(execution.steps[0].status, StepStatus::Skipped);
        assert!(detail(&execution, 0).contains(reason), "{execution:?}");
        assert!(!world.auto_blocked(&threat).await);
    }
    assert_eq!(world.blocklist().await, []);
}

#[tokio::test]
async fn drills_run_dry() {
    let world = World::new();
    let receiver = Receiver::new(&[Answer::Status(200)]).await;
    let threat = world.threat("one", |threat| threat.simulated = true).await;
    world
        .engine(Some(receiver.config()))
        .respond(&threat.id, &never())
        .await
        .unwrap();
    let execution = world.execution(&execution_id(PLAYBOOK, &threat)).await;
    assert!(execution.dry_run && execution.status == ExecutionStatus::Completed);
    assert!(detail(&execution, 0).starts_with("dry run: would block 203.0.113.7 until"));
    assert!(detail(&execution, 1).starts_with("dry run: would call"));
    assert_eq!((receiver.calls().len(), world.blocklist().await), (0, vec![]));
    assert!(!world.auto_blocked(&threat).await);
}

#[tokio::test]
async fn only_matching_threats_start_a_playbook() {
    let world = World::new();
    let narrow = "id: narrow\nname: N\ntrigger: {threat_types: [BRUTE_FORCE, DDOS], min_severity: MEDIUM, techniques: [T1110]}\n\
        steps: [{name: Tell, action: webhook}]\n";
    let by_hand = "id: by-hand\nname: H\nsteps: [{name: Tell, action: webhook}]\n";
    let engine = world.engine_with(library(&[narrow, by_hand]), None);
    type Edit = fn(&mut Threat);
    let cases: [(Edit, bool); 7] = [
        (|_| {}, true),
        (|threat| threat.mitre_attack_id = Some("T1110".to_owned()), true),
        (|threat| threat.severity = Severity::Medium, true),
        (|threat| threat.severity = Severity::Low, false),
        (|threat| threat.threat_type = ThreatType::Phishing, false),
        (|threat| threat.mitre_attack_id = Some("T11101".to_owned()), false),
        (|threat| threat.mitre_attack_id = None, false),
    ];
    for (at, (edit, starts)) in cases.into_iter().enumerate() {
        let threat = world.threat(&format!("t{at}"), edit).await;
        engine.respond(&threat.id, &never()).await.unwrap();
        let found = world
            .backends
            .store
            .execution(&execution_id("narrow", &threat))
            .await
            .unwrap();
        assert_eq!(found.is_some(), starts, "case {at}");
        assert_eq!(
            world
                .backends
                .store
                .execution(&execution_id("by-hand", &threat))
                .await
                .unwrap(),
            None
        );
    }
    let error = engine.respond("THR-none", &never()).await.unwrap_err();
    assert!(matches!(error, RunError::NoThreat(_)));
}

#[tokio::test]
async fn a_failed_step_ends_the_execution() {
    let world = World::new();
    let receiver = Receiver::new(&[Answer::Status(400)]).await;
    let told_first = "id: told-first\nname: T\ntrigger: {threat_types: [BRUTE_FORCE], min_severity: LOW}\nsteps:\n\
        - {name: Tell, action: webhook}\n- {name: Block, action: block_source, with: {minutes: 5}}\n";
    let engine = world.engine_with(library(&[told_first]), Some(receiver.config()));
    let threat = world.threat("one", |_| {}).await;
    engine.respond(&threat.id, &never()).await.unwrap();
    let execution = world.execution(&execution_id("told-first", &threat)).await;
    assert_eq!((execution.status, execution.current_step), (ExecutionStatus::Failed, 0));
    assert_eq!(statuses(&execution), [StepStatus::Failed, StepStatus::Skipped]);
    assert!(detail(&execution, 0).contains("400") && detail(&execution, 1).contains("not reached"));
    assert_eq!(world.blocklist().await, []);
}

#[tokio::test]
async fn a_playbook_that_changed_underway_is_not_run_on() {
    let world = World::new();
    let threat = world.threat("one", |_| {}).await;
    let engine = world.engine(None);
    let execution = engine.fresh_for_test(PLAYBOOK, &threat);
    world
        .backends
        .store
        .create_execution(&execution, world.clock.now())
        .await
        .unwrap();
    let changed = world.engine_with(library(&[]), None);
    changed.run(&execution.execution_id, &never()).await.unwrap();
    let execution = world.execution(&execution.execution_id).await;
    assert_eq!(execution.status, ExecutionStatus::Failed);
    assert_eq!(detail(&execution, 0), "the playbook is gone");
    assert_eq!(world.blocklist().await, []);
}
