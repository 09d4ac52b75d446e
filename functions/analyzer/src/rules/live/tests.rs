use std::path::Path;

use super::*;

const FILE: &str = "own.yml";

fn rule(word: &str) -> String {
    format!("title: {word}\nid: own\nlogsource: {{}}\ndetection: {{ s: [{word}], condition: s }}\n")
}

fn live(folder: &Path, builtin: bool) -> LiveDetector {
    let config = RulesConfig {
        builtin,
        folder: Some(folder.to_owned()),
        reload_interval: Duration::from_millis(10),
    };
    LiveDetector::load(config, Networks::default(), MarkKey::new("key")).unwrap()
}

fn titles(live: &LiveDetector) -> Vec<String> {
    let detector = live.current();
    let rules = detector.rules().rules().iter();
    rules
        .map(|rule| rule.title.clone())
        .filter(|title| !title.contains(' '))
        .collect()
}

#[test]
fn a_changed_file_replaces_the_set_and_a_batch_keeps_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    std::fs::write(&path, rule("before")).unwrap();
    let live = live(folder.path(), true);
    let batch = live.current();
    assert_eq!(live.reload(false), Reload::Unchanged);
    std::fs::write(&path, rule("after")).unwrap();
    assert_eq!(live.reload(false), Reload::Replaced);
    assert_eq!(titles(&live), ["after"]);
    assert_eq!(batch.rules().rule("own").unwrap().title, "before");
    assert_ne!(batch.rules().hash(), live.current().rules().hash());
    // Touched, but the same: what is loaded stays, to the very set.
    let loaded = live.current();
    std::fs::write(&path, rule("after")).unwrap();
    assert_eq!(live.reload(true), Reload::Unchanged);
    assert!(Arc::ptr_eq(&loaded, &live.current()));
}

#[test]
fn what_does_not_load_at_all_leaves_the_old_set() {
    for builtin in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        std::fs::write(&path, rule("before")).unwrap();
        let live = live(folder.path(), builtin);
        std::fs::write(&path, "title: [").unwrap();
        let Reload::Refused(reason) = live.reload(false) else {
            panic!("a broken file is refused")
        };
        assert!(reason.contains(FILE), "{reason}");
        assert_eq!(
            (titles(&live), live.failure()),
            (vec!["before".to_owned()], Some(reason.clone()))
        );
        // Nothing has changed since, and it is still refused.
        assert_eq!(live.reload(false), Reload::Refused(reason));
        std::fs::remove_file(&path).unwrap();
        assert!(
            matches!(live.reload(false), Reload::Refused(_)),
            "an empty folder is no rules"
        );
        std::fs::remove_dir(folder.path()).unwrap();
        assert!(matches!(live.reload(false), Reload::Refused(_)));
        assert_eq!(titles(&live), ["before"]);
        std::fs::create_dir(folder.path()).unwrap();
        std::fs::write(&path, rule("before")).unwrap();
        assert_eq!((live.reload(false), live.failure()), (Reload::Unchanged, None));
    }
}

#[test]
fn a_folder_that_comes_back_as_it_was_is_no_failure_any_more() {
    let folder = tempfile::tempdir().unwrap();
    let (here, away) = (folder.path().join("rules"), folder.path().join("away"));
    std::fs::create_dir(&here).unwrap();
    std::fs::write(here.join(FILE), rule("own")).unwrap();
    let live = live(&here, true);
    std::fs::rename(&here, &away).unwrap();
    assert!(matches!(live.reload(false), Reload::Refused(_)));
    assert!(live.failure().unwrap().contains("rules"));
    std::fs::rename(&away, &here).unwrap();
    assert_eq!((live.reload(false), live.failure()), (Reload::Unchanged, None));
}

#[test]
fn one_broken_file_among_others_is_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(FILE), rule("good")).unwrap();
    let live = live(folder.path(), true);
    std::fs::write(folder.path().join("broken.yml"), "title: [").unwrap();
    assert_eq!((live.reload(false), live.failure()), (Reload::Replaced, None));
    assert_eq!(
        (titles(&live).as_slice(), live.current().rules().set_aside().len()),
        (["good".to_owned()].as_slice(), 1)
    );
}

#[test]
fn a_folder_of_filters_is_no_failure() {
    let folder = tempfile::tempdir().unwrap();
    let filter = |user: &str| {
        format!(
            "title: f\nlogsource: {{ product: linux }}\nfilter: {{ rules: [ssh_failed_login], s: {{ user.name: {user} }}, condition: not s }}\n"
        )
    };
    std::fs::write(folder.path().join(FILE), filter("ana")).unwrap();
    let live = live(folder.path(), true);
    assert!(live.current().rules().set_aside().is_empty());
    std::fs::write(folder.path().join(FILE), filter("bob")).unwrap();
    assert_eq!(live.reload(false), Reload::Replaced);
}

#[tokio::test]
async fn files_are_followed_until_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    std::fs::write(&path, rule("before")).unwrap();
    let live = Arc::new(live(folder.path(), true));
    let stop = CancellationToken::new();
    let following = tokio::spawn(live.clone().follow(stop.clone()));
    std::fs::write(&path, rule("after")).unwrap();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    while titles(&live) != ["after"] {
        assert!(tokio::time::Instant::now() < deadline, "still waiting for the new rule");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    stop.cancel();
    following.await.unwrap().unwrap();
}
