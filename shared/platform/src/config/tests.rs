use std::collections::{BTreeSet, HashMap};

use proptest::prelude::*;

use super::*;

type Variables<'a> = &'a [(&'a str, &'a str)];

fn environment(variables: Variables) -> HashMap<String, String> {
    variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

/// With the engines of the cloud in the build, whatever this build has.
fn whole(variables: Variables) -> Result<PlatformConfig, ConfigErrors> {
    PlatformConfig::read(&environment(variables), Process::Whole, true)
}

fn function(variables: Variables, needs: Needs) -> Result<PlatformConfig, ConfigErrors> {
    PlatformConfig::read(&environment(variables), Process::Function(needs), true)
}

fn kinds(config: &PlatformConfig) -> [&'static str; 3] {
    [
        config.event_log.as_str(),
        config.store.as_str(),
        config.task_queue.as_str(),
    ]
}

fn named(errors: &ConfigErrors) -> BTreeSet<&str> {
    errors
        .problems()
        .iter()
        .map(|problem| problem.variable.as_str())
        .collect()
}

const SERVERS: (&str, &str) = (
    "CONFLUENT_BOOTSTRAP_SERVERS",
    "a.example:9092, 10.0.0.1:9093,[::1]:9094",
);
const PROJECT: (&str, &str) = ("GOOGLE_CLOUD_PROJECT", "threats-123");

#[test]
fn what_is_named_is_chosen_and_the_rest_is_one_machine() {
    let table: &[(Variables, [&str; 3])] = &[
        (&[], ["embedded", "embedded", "embedded"]),
        (&[SERVERS], ["kafka", "embedded", "embedded"]),
        (&[PROJECT], ["embedded", "firestore", "pubsub"]),
        (&[SERVERS, PROJECT], ["kafka", "firestore", "pubsub"]),
        (
            &[SERVERS, PROJECT, ("EVENT_LOG", "embedded")],
            ["embedded", "firestore", "pubsub"],
        ),
        (&[SERVERS, ("EVENT_LOG", "KAFKA")], ["kafka", "embedded", "embedded"]),
        // A project is named for traces too.
        (&[PROJECT, ("STORE", "embedded")], ["embedded", "embedded", "embedded"]),
        (
            &[PROJECT, ("STORE", "embedded"), ("TASK_QUEUE", "pubsub")],
            ["embedded", "embedded", "pubsub"],
        ),
        (
            &[PROJECT, ("STORE", "firestore"), ("TASK_QUEUE", "embedded")],
            ["embedded", "firestore", "embedded"],
        ),
        (&[PROJECT, ("STORE", "firestore")], ["embedded", "firestore", "pubsub"]),
        // An empty value counts as not set.
        (
            &[("CONFLUENT_BOOTSTRAP_SERVERS", " "), ("STORE", "")],
            ["embedded", "embedded", "embedded"],
        ),
        (
            &[SERVERS, PROJECT, ("K_SERVICE", "all")],
            ["kafka", "firestore", "pubsub"],
        ),
    ];
    for (variables, expected) in table {
        let config = whole(variables).unwrap_or_else(|errors| panic!("{variables:?}: {errors}"));
        assert_eq!(kinds(&config), *expected, "{variables:?}");
        assert_eq!(config.has_embedded(), expected.contains(&"embedded"), "{variables:?}");
    }
}

#[test]
fn the_settings_of_each_engine() {
    let config = whole(&[
        SERVERS,
        PROJECT,
        ("CONFLUENT_API_KEY", "KEY"),
        ("CONFLUENT_API_SECRET", "hush"),
        ("CONFLUENT_CLUSTER_ID", "lkc-1"),
        ("KAFKA_CONSUMER_GROUP", "group"),
        ("KAFKA_RAW_TOPIC", "raw"),
        ("FIRESTORE_DATABASE", "threats"),
        ("FIRESTORE_EMULATOR_HOST", "127.0.0.1:8080"),
        ("PUBSUB_EMULATOR_HOST", "localhost:8085"),
    ])
    .unwrap();
    assert!(!format!("{config:?}").contains("hush"));
    let LogChoice::Kafka(kafka) = &config.event_log else {
        panic!("{config:?}")
    };
    let (key, secret) = kafka.credentials.as_ref().unwrap();
    assert_eq!((key.as_str(), secret.expose().as_str()), ("KEY", "hush"));
    assert_eq!(
        (kafka.cluster_id.as_deref(), kafka.consumer_group.as_str()),
        (Some("lkc-1"), "group")
    );
    assert_eq!(
        (kafka.bootstrap_servers.as_str(), config.topics.raw.as_str()),
        (SERVERS.1, "raw")
    );
    let StoreChoice::Firestore(firestore) = &config.store else {
        panic!("{config:?}")
    };
    assert_eq!(
        (
            firestore.project.as_str(),
            firestore.database.as_str(),
            firestore.emulator_host.as_deref()
        ),
        ("threats-123", "threats", Some("127.0.0.1:8080"))
    );
    let QueueChoice::PubSub(pubsub) = &config.task_queue else {
        panic!("{config:?}")
    };
    assert_eq!(
        (pubsub.project.as_str(), pubsub.emulator_host.as_deref()),
        ("threats-123", Some("localhost:8085"))
    );
    let plain = whole(&[SERVERS, PROJECT]).unwrap();
    let LogChoice::Kafka(kafka) = &plain.event_log else {
        panic!("{plain:?}")
    };
    assert_eq!(
        (&kafka.credentials, kafka.consumer_group.as_str()),
        (&None, "threatstream-analyzer")
    );
    let StoreChoice::Firestore(firestore) = &plain.store else {
        panic!("{plain:?}")
    };
    assert_eq!(
        (firestore.database.as_str(), &firestore.emulator_host),
        ("(default)", &None)
    );
}

#[test]
fn everything_that_is_missing_or_contradictory_is_named_at_once() {
    let table: &[(Variables, &[&str])] = &[
        (&[("EVENT_LOG", "kafka")], &["CONFLUENT_BOOTSTRAP_SERVERS"]),
        (&[("STORE", "firestore")], &["GOOGLE_CLOUD_PROJECT"]),
        (&[("TASK_QUEUE", "pubsub")], &["GOOGLE_CLOUD_PROJECT"]),
        (
            &[("EVENT_LOG", "rabbitmq"), ("STORE", "mongodb"), ("TASK_QUEUE", "sqs")],
            &["EVENT_LOG", "STORE", "TASK_QUEUE"],
        ),
        (&[SERVERS, ("CONFLUENT_API_KEY", "k")], &["CONFLUENT_API_SECRET"]),
        (&[SERVERS, ("CONFLUENT_API_SECRET", "s")], &["CONFLUENT_API_KEY"]),
        (
            &[("CONFLUENT_API_KEY", "k"), ("CONFLUENT_API_SECRET", "s")],
            &["CONFLUENT_API_KEY", "CONFLUENT_API_SECRET"],
        ),
        (
            &[("CONFLUENT_BOOTSTRAP_SERVERS", "SASL_SSL://a:9092")],
            &["CONFLUENT_BOOTSTRAP_SERVERS"],
        ),
        (
            &[("CONFLUENT_BOOTSTRAP_SERVERS", "a:9092,,b:9092")],
            &["CONFLUENT_BOOTSTRAP_SERVERS"],
        ),
        (
            &[("CONFLUENT_BOOTSTRAP_SERVERS", "a")],
            &["CONFLUENT_BOOTSTRAP_SERVERS"],
        ),
        (
            &[("GOOGLE_CLOUD_PROJECT", "projects/x/../y")],
            &["GOOGLE_CLOUD_PROJECT"],
        ),
        (&[PROJECT, ("FIRESTORE_DATABASE", "A/B")], &["FIRESTORE_DATABASE"]),
        (
            &[
                PROJECT,
                ("FIRESTORE_EMULATOR_HOST", "http://localhost:1"),
                ("PUBSUB_EMULATOR_HOST", "localhost"),
            ],
            &["FIRESTORE_EMULATOR_HOST", "PUBSUB_EMULATOR_HOST"],
        ),
        (
            &[
                ("KAFKA_RAW_TOPIC", "one"),
                ("KAFKA_ALERTS_TOPIC", "one"),
                ("KAFKA_METRICS_TOPIC", "a b"),
            ],
            &["KAFKA_ALERTS_TOPIC", "KAFKA_METRICS_TOPIC"],
        ),
        (
            &[("K_SERVICE", "all")],
            &["CONFLUENT_BOOTSTRAP_SERVERS", "GOOGLE_CLOUD_PROJECT"],
        ),
        (
            &[
                ("K_SERVICE", "all"),
                PROJECT,
                ("EVENT_LOG", "embedded"),
                ("STORE", "embedded"),
            ],
            &["EVENT_LOG", "STORE", "TASK_QUEUE"],
        ),
        (
            &[
                ("K_SERVICE", "all"),
                SERVERS,
                PROJECT,
                ("PUBSUB_EMULATOR_HOST", "localhost:1"),
            ],
            &["PUBSUB_EMULATOR_HOST"],
        ),
        (
            &[
                ("STORE", "firestore"),
                ("EVENT_LOG", "kafka"),
                ("CONFLUENT_API_KEY", "k"),
                ("LOG_PARTITIONS", "0"),
            ],
            &[
                "CONFLUENT_API_SECRET",
                "CONFLUENT_BOOTSTRAP_SERVERS",
                "GOOGLE_CLOUD_PROJECT",
                "LOG_PARTITIONS",
            ],
        ),
    ];
    for (variables, expected) in table {
        let errors = whole(variables).expect_err(&format!("{variables:?}"));
        assert_eq!(
            named(&errors),
            expected.iter().copied().collect(),
            "{variables:?}: {errors}"
        );
        assert!(!errors.to_string().contains("hush"));
    }
}

#[test]
fn a_function_of_its_own_names_what_it_shares() {
    let errors = function(&[], Needs::ALL).unwrap_err();
    let text = errors.to_string();
    assert_eq!(
        named(&errors),
        BTreeSet::from(["CONFLUENT_BOOTSTRAP_SERVERS", "GOOGLE_CLOUD_PROJECT"]),
        "{text}"
    );
    for variable in ["EVENT_LOG", "STORE", "TASK_QUEUE"] {
        assert!(text.contains(variable), "{text}");
    }
    let on_purpose = [
        ("EVENT_LOG", "embedded"),
        ("STORE", "embedded"),
        ("TASK_QUEUE", "embedded"),
    ];
    assert_eq!(kinds(&function(&on_purpose, Needs::ALL).unwrap()), ["embedded"; 3]);
    assert_eq!(
        kinds(&function(&[SERVERS, PROJECT], Needs::ALL).unwrap()),
        ["kafka", "firestore", "pubsub"]
    );
    // What it does not need may be left out, and is not made up; a queue comes with the project.
    assert_eq!(
        kinds(&function(&[PROJECT], Needs::STORE).unwrap()),
        ["none", "firestore", "pubsub"]
    );
    assert_eq!(
        kinds(&function(&[PROJECT, ("K_SERVICE", "relay")], Needs::STORE).unwrap()),
        ["none", "firestore", "pubsub"]
    );
    assert_eq!(
        kinds(&function(&[("STORE", "embedded")], Needs::STORE).unwrap()),
        ["none", "embedded", "none"]
    );
}

#[test]
fn a_build_without_the_engines_says_so() {
    let without = |variables: Variables| PlatformConfig::read(&environment(variables), Process::Whole, false);
    assert_eq!(kinds(&without(&[]).unwrap()), ["embedded"; 3]);
    let errors = without(&[SERVERS, PROJECT]).unwrap_err();
    assert_eq!(
        named(&errors),
        BTreeSet::from(["CONFLUENT_BOOTSTRAP_SERVERS", "GOOGLE_CLOUD_PROJECT"])
    );
    assert!(errors.to_string().contains("--features cloud"), "{errors}");
    let errors = without(&[("EVENT_LOG", "kafka"), SERVERS]).unwrap_err();
    assert_eq!(named(&errors), BTreeSet::from(["EVENT_LOG"]), "{errors}");
    assert!(without(&[PROJECT, ("STORE", "embedded"), ("TASK_QUEUE", "embedded")]).is_ok());
}

/// Any combination of these gives backends or names variables; never a panic, and on Cloud Run never the embedded file.
const POOL: &[(&str, &[&str])] = &[
    ("EVENT_LOG", &["embedded", "kafka", "x"]),
    ("STORE", &["embedded", "firestore", "x"]),
    ("TASK_QUEUE", &["embedded", "pubsub", "x"]),
    ("CONFLUENT_BOOTSTRAP_SERVERS", &["a:1", "a", "\u{0}:1", ":::"]),
    ("CONFLUENT_API_KEY", &["k"]),
    ("CONFLUENT_API_SECRET", &["hush"]),
    ("GOOGLE_CLOUD_PROJECT", &["p", "p/q"]),
    ("K_SERVICE", &["s"]),
    ("FIRESTORE_EMULATOR_HOST", &["h:1", "h"]),
];

proptest! {
    #[test]
    fn no_combination_slips_through(picks in proptest::collection::vec(0usize..5, POOL.len()), needs in any::<(bool, bool)>(), alone in any::<bool>()) {
        let variables: HashMap<String, String> = POOL
            .iter()
            .zip(&picks)
            .filter_map(|((name, values), pick)| Some(((*name).to_owned(), (*values.get(*pick)?).to_owned())))
            .collect();
        let process = if alone {
            Process::Function(Needs { event_log: needs.0, task_queue: needs.1 })
        } else {
            Process::Whole
        };
        match PlatformConfig::read(&variables, process, true) {
            Ok(config) => {
                prop_assert!(!(variables.contains_key("K_SERVICE") && config.has_embedded()));
                prop_assert_eq!(matches!(config.event_log, LogChoice::Absent), alone && !needs.0 && config.event_log.as_str() == "none");
                for (chosen, variable) in kinds(&config).into_iter().zip(["EVENT_LOG", "STORE", "TASK_QUEUE"]) {
                    if let Some(asked) = variables.get(variable) {
                        prop_assert_eq!(chosen, asked.as_str());
                    }
                    if alone && chosen == "embedded" {
                        prop_assert!(variables.contains_key(variable));
                    }
                }
            }
            Err(errors) => {
                prop_assert!(!errors.problems().is_empty());
                prop_assert!(!errors.to_string().contains("hush"));
            }
        }
    }
}
