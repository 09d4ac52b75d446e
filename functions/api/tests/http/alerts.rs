//! `/api/alerts`.

use axum::body::Body;
use http::Request;
use serde_json::{Value, json};

use crate::world::{Answer, World, alert};

async fn step(world: &World, id: &str, step: &str, body: Value) -> Answer {
    world
        .post(
            &format!("/api/alerts/{id}/{step}"),
            "application/json",
            body.to_string(),
        )
        .await
}

#[tokio::test]
async fn an_alert_is_worked_on_from_new_to_closed() {
    let world = World::new();
    world.plant(Vec::new(), vec![alert(1)]).await;
    let id = alert(1).id;
    let active = world.get("/api/alerts/active").await.json();
    assert_eq!(
        (active["count"].clone(), active["alerts"][0]["status"].clone()),
        (json!(1), json!("NEW"))
    );

    let answer = step(
        &world,
        &id,
        "acknowledge",
        json!({"analyst_id": "ana", "notes": "on it"}),
    )
    .await;
    assert_eq!(
        (answer.status.as_u16(), answer.headers["etag"].to_str().unwrap()),
        (200, "W/\"1\"")
    );
    assert_eq!(answer.json()["acknowledged_by"], "ana");
    assert_eq!(
        step(&world, &id, "assign", json!({"analyst_id": "ana", "assignee": "bo"}))
            .await
            .json()["assigned_to"],
        "bo"
    );
    assert_eq!(
        step(&world, &id, "investigate", json!({})).await.json()["status"],
        "INVESTIGATING"
    );
    assert_eq!(
        step(&world, &id, "notes", json!({"notes": "<b>x</b>"})).await.json()["notes"][1]["text"],
        "<b>x</b>"
    );

    let backwards = step(&world, &id, "acknowledge", json!({"analyst_id": "ana"})).await;
    assert_eq!(
        (backwards.status.as_u16(), backwards.fields()),
        (409, vec!["status".to_owned()])
    );
    let closed = step(
        &world,
        &id,
        "resolve",
        json!({"analyst_id": "bo", "resolution": "patched", "notes": "and tested"}),
    )
    .await
    .json();
    assert_eq!(
        (
            closed["status"].clone(),
            closed["resolution"].clone(),
            closed["version"].clone()
        ),
        (json!("RESOLVED"), json!("RESOLVED"), json!(5))
    );
    assert_eq!(closed["notes"][2]["text"], "patched\nand tested");
    assert_eq!(
        step(&world, &id, "resolve", json!({"resolution": "FALSE_POSITIVE"}))
            .await
            .status,
        409
    );
    assert_eq!(world.get("/api/alerts/active").await.json()["count"], 0);
    assert_eq!(world.get(&format!("/api/alerts/{id}")).await.json(), closed);
}

#[tokio::test]
async fn without_a_body_it_is_the_caller() {
    let world = World::new();
    world.plant(Vec::new(), vec![alert(1)]).await;
    let request = Request::post(format!("/api/alerts/{}/acknowledge", alert(1).id))
        .body(Body::empty())
        .unwrap();
    assert_eq!(world.send(request).await.json()["acknowledged_by"], "local");
}

#[tokio::test]
async fn if_match_holds_a_change_to_its_version() {
    let world = World::new();
    world.plant(Vec::new(), vec![alert(1)]).await;
    for (version, status) in [
        ("\"7\"", 412),
        ("\"0\"", 200),
        ("\"0\"", 412),
        ("W/\"0\"", 412),
        ("W/\"1\"", 200),
        ("2", 200),
        ("x", 400),
    ] {
        let request = Request::post(format!("/api/alerts/{}/notes", alert(1).id))
            .header("content-type", "application/json")
            .header("if-match", version)
            .body(Body::from("{\"notes\": \"n\"}"))
            .unwrap();
        let answer = world.send(request).await;
        assert_eq!(answer.status, status, "{version}");
        if status != 200 {
            assert_eq!(answer.fields(), ["if-match"]);
        }
    }
}

#[tokio::test]
async fn the_entity_tag_is_weak_because_the_analyzer_changes_the_rest() {
    let world = World::new();
    world.plant(Vec::new(), vec![alert(1)]).await;
    let path = format!("/api/alerts/{}", alert(1).id);
    let before = world.get(&path).await;
    let mut grown = alert(1);
    grown.event_count += 1;
    world.plant(Vec::new(), vec![grown]).await;
    let after = world.get(&path).await;
    assert_ne!(before.body, after.body);
    assert_eq!(before.headers["etag"], "W/\"0\"");
    assert_eq!(before.headers["etag"], after.headers["etag"]);
}

#[tokio::test]
async fn notes_end_where_they_would_cost_everybody() {
    let world = World::new();
    world.plant(Vec::new(), vec![alert(1)]).await;
    let id = alert(1).id;
    let note = "é".repeat(2048);
    let mut taken = 0;
    let refused = loop {
        let answer = step(&world, &id, "notes", json!({ "notes": note })).await;
        if answer.status != 200 {
            break answer;
        }
        taken += 1;
        assert!(taken < 100, "notes are without bounds");
    };
    assert!(taken > 50, "{taken}");
    assert_eq!(
        (refused.status.as_u16(), refused.fields()),
        (409, vec!["notes".to_owned()])
    );
    let detail = refused.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("notes are full"), "{detail}");
    let full = world.get(&format!("/api/alerts/{id}")).await;
    assert!(full.body.len() < 300 * 1024, "{}", full.body.len());
    assert_eq!(full.json()["version"], taken);

    let with_note = json!({"resolution": "FALSE_POSITIVE", "notes": note});
    assert_eq!(step(&world, &id, "resolve", with_note).await.status, 409);
    let closed = step(&world, &id, "resolve", json!({"resolution": "FALSE_POSITIVE"})).await;
    assert_eq!(
        (closed.status.as_u16(), closed.json()["status"].clone()),
        (200, json!("FALSE_POSITIVE")),
        "a full alert can be closed"
    );
}

#[tokio::test]
async fn a_note_is_stored_once() {
    let world = World::new();
    world.plant(Vec::new(), vec![alert(1)]).await;
    let note = "n".repeat(4096);
    let answer = step(&world, &alert(1).id, "acknowledge", json!({ "notes": note }))
        .await
        .json();
    assert_eq!(answer["notes"][0]["text"], note.as_str());
    let cut = answer["timeline"][0]["notes"].as_str().unwrap();
    assert!(
        cut.len() <= 200 && cut.starts_with("nnn") && cut.ends_with('…'),
        "{cut}"
    );
}

async fn step_as(world: &World, caller: &str, name: &str, body: Value) -> Answer {
    let request = Request::post(format!("/api/alerts/{}/{name}", alert(1).id))
        .header("content-type", "application/json")
        .header("authorization", format!("Bearer {caller}"))
        .body(Body::from(body.to_string()));
    world.send(request.unwrap()).await
}

#[tokio::test]
async fn with_authentication_nobody_signs_as_another() {
    let world = World::with_tokens(&[("ana", "analyst"), ("root", "admin")]);
    world.plant(Vec::new(), vec![alert(1)]).await;
    for name in ["acknowledge", "assign", "investigate", "resolve", "notes"] {
        let answer = step_as(&world, "ana", name, json!({"analyst_id": "bo", "notes": "n"})).await;
        assert_eq!(
            (answer.status.as_u16(), answer.fields()),
            (403, vec!["analyst_id".to_owned()]),
            "{name}"
        );
    }
    let own = step_as(&world, "ana", "acknowledge", json!({"analyst_id": " ana "}))
        .await
        .json();
    assert_eq!((&own["acknowledged_by"], &own["version"]), (&json!("ana"), &json!(1)));
    let given = step_as(&world, "ana", "assign", json!({"assignee": "bo"})).await.json();
    assert_eq!(
        (&given["assigned_to"], &given["timeline"][1]["by"]),
        (&json!("bo"), &json!("ana"))
    );
    let for_another = step_as(&world, "root", "resolve", json!({"analyst_id": "bo"}))
        .await
        .json();
    assert_eq!(for_another["resolved_by"], "bo");
}

#[tokio::test]
async fn changes_at_once_are_all_kept() {
    let world = World::new();
    world.plant(Vec::new(), vec![alert(1)]).await;
    let id = alert(1).id;
    let note = |text: &'static str| step(&world, &id, "notes", json!({ "notes": text }));
    let (a, b, c, d) = tokio::join!(note("a"), note("b"), note("c"), note("d"));
    assert_eq!(
        [a.status, b.status, c.status, d.status].map(|status| status.as_u16()),
        [200; 4]
    );
    let alert = world.get(&format!("/api/alerts/{id}")).await.json();
    assert_eq!(
        (alert["version"].clone(), alert["notes"].as_array().unwrap().len()),
        (json!(4), 4)
    );
}

#[tokio::test]
async fn lists_are_filtered() {
    let world = World::new();
    world.plant(Vec::new(), (1..=3).map(alert).collect()).await;
    step(&world, &alert(2).id, "assign", json!({"analyst_id": "ana"})).await;
    step(&world, &alert(3).id, "resolve", json!({"analyst_id": "bo"})).await;
    world.clock.advance(std::time::Duration::from_secs(3601));
    for (path, count) in [
        ("/api/alerts", 3),
        ("/api/alerts/active", 2),
        ("/api/alerts?status=RESOLVED", 1),
        ("/api/alerts?priority=P2", 3),
        ("/api/alerts?priority=P1", 0),
        ("/api/alerts?assignee=ana", 1),
        ("/api/alerts/active?assignee=bo", 0),
        ("/api/alerts?overdue=true", 2),
        ("/api/alerts?overdue=false", 3),
        ("/api/alerts?updated_since=2026-11-23T00:00:00Z", 0),
        ("/api/alerts?limit=1", 1),
    ] {
        assert_eq!(world.get(path).await.json()["count"], count, "{path}");
    }
}

#[tokio::test]
async fn what_analysts_send_is_checked() {
    let world = World::new();
    world.plant(Vec::new(), vec![alert(1)]).await;
    let id = alert(1).id;
    for (name, body, status, field) in [
        ("acknowledge", json!({"analyst_id": ""}), 422, "analyst_id"),
        ("acknowledge", json!({"analyst_id": "a\u{1b}[31m"}), 422, "analyst_id"),
        ("acknowledge", json!({"analyst_id": 7}), 422, "analyst_id"),
        ("acknowledge", json!({"colour": "red"}), 422, "colour"),
        ("assign", json!({"assignee": "x".repeat(10_000)}), 422, "assignee"),
        ("notes", json!({}), 422, "notes"),
        ("notes", json!({"notes": " "}), 422, "notes"),
        ("notes", json!({"notes": "x".repeat(4097)}), 422, "notes"),
        (
            "resolve",
            json!({"resolution": "x".repeat(4000), "notes": "y".repeat(4000)}),
            422,
            "notes",
        ),
        ("resolve", json!({"resolution": 1}), 422, "resolution"),
    ] {
        let answer = step(&world, &id, name, body.clone()).await;
        assert_eq!(
            (answer.status.as_u16(), answer.fields()),
            (status, vec![field.to_owned()]),
            "{name} {body}"
        );
    }
    assert_eq!(
        step(&world, "ALT-none", "acknowledge", json!({})).await.fields(),
        ["id"]
    );
    assert_eq!(
        world
            .post(&format!("/api/alerts/{id}/resolve"), "text/plain", "{}")
            .await
            .status,
        415
    );
    assert_eq!(world.get(&format!("/api/alerts/{id}")).await.json()["version"], 0);
}
