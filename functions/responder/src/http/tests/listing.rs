//! Playbooks, the history and the blocklist as they are read.

use super::*;

#[tokio::test]
async fn playbooks_are_listed_with_those_set_aside() {
    let world = World::new();
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join("bad.yml"),
        "id: bad\nname: B\nsteps: [{name: X, action: reboot}]\n",
    )
    .unwrap();
    let mut playbooks = crate::Library::builtin();
    playbooks.add_dir(dir.path()).unwrap();
    let engine = world.engine_with(playbooks, None);
    let list = get(&engine, "/api/playbooks").await.json();
    assert_eq!(list["count"], 1);
    let playbook = &list["playbooks"][0];
    assert_eq!(playbook["id"], PLAYBOOK);
    assert_eq!(playbook["trigger"]["threat_types"], json!(["BRUTE_FORCE"]));
    assert_eq!(playbook["parameters"], json!({"block_minutes": 60}));
    assert_eq!(playbook["steps"][0]["action"], "block_source");
    assert_eq!(playbook["steps"][1]["name"], "Tell the webhook");
    assert_eq!(list["set_aside"][0]["file"], "bad.yml");
    assert!(
        list["set_aside"][0]["reason"]
            .as_str()
            .unwrap()
            .contains("block_source"),
        "{list}"
    );
}

#[tokio::test]
async fn history_pages_and_filters() {
    let world = World::new();
    let engine = world.engine(None);
    for name in ["one", "two", "three"] {
        let threat = world.threat(name, |_| {}).await;
        engine.respond(&threat.id, &CancellationToken::new()).await.unwrap();
        world.clock.advance(Duration::from_secs(1));
    }
    let first = get(&engine, "/api/playbooks/history?limit=2").await.json();
    assert_eq!(first["count"], 2);
    let next = format!(
        "/api/playbooks/history?limit=2&cursor={}",
        first["next_cursor"].as_str().unwrap()
    );
    let rest = get(&engine, &next).await.json();
    assert_eq!((&rest["count"], &rest["next_cursor"]), (&json!(1), &json!(null)));
    let one = threatstream_domain::derived_id("THR", &["one"]);
    assert_eq!(rest["executions"][0]["threat_id"], one);
    for (query, count) in [
        ("status=COMPLETED".to_owned(), 3),
        ("status=FAILED".to_owned(), 0),
        (format!("threat_id={one}"), 1),
        (format!("playbook_id={PLAYBOOK}&status=COMPLETED"), 3),
        ("playbook_id=other".to_owned(), 0),
    ] {
        assert_eq!(
            get(&engine, &format!("/api/playbooks/history?{query}")).await.json()["count"],
            count,
            "{query}"
        );
    }
}

#[tokio::test]
async fn firewalls_poll_a_sorted_list() {
    let world = World::new();
    let engine = world.engine(None);
    let list = "/api/blocklist?format=txt";
    assert_eq!(get(&engine, list).await.text, "");
    for (name, ip) in [
        ("a", "203.0.113.20"),
        ("b", "2001:db8::9"),
        ("c", "203.0.113.3"),
        ("d", "::ffff:203.0.113.20"),
    ] {
        let threat = world.threat(name, source(ip)).await;
        engine.respond(&threat.id, &CancellationToken::new()).await.unwrap();
    }
    let answered = get(&engine, list).await;
    assert_eq!(answered.text, "203.0.113.3\n203.0.113.20\n2001:db8::9\n");
    assert_eq!(answered.headers["content-type"], "text/plain; charset=utf-8");
    let tag = answered.headers["etag"].to_str().unwrap().to_owned();
    let ask = |tag: String| {
        Request::get(list)
            .header("if-none-match", tag)
            .body(Body::empty())
            .unwrap()
    };
    for known in [tag.clone(), format!("\"other\", W/{tag}"), "*".to_owned()] {
        let unchanged = send(&engine, ask(known)).await;
        assert_eq!(
            (unchanged.status, unchanged.text.as_str()),
            (StatusCode::NOT_MODIFIED, "")
        );
        assert_eq!(unchanged.headers["etag"], tag);
    }

    let json = get(&engine, "/api/blocklist").await.json();
    assert_eq!((&json["count"], &json["as_of"]), (&json!(3), &json!(world.clock.now())));
    assert!(
        json["blocklist"][0]["reason"]
            .as_str()
            .unwrap()
            .starts_with("BRUTE_FORCE (HIGH)"),
        "{json}"
    );

    world.clock.advance(Duration::from_secs(3600));
    let expired = send(&engine, ask(tag)).await;
    assert_eq!((expired.status, expired.text.as_str()), (StatusCode::OK, ""));
    assert_eq!(get(&engine, "/api/blocklist").await.json()["count"], 0);
}
