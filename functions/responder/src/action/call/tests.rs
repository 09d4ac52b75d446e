use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use threatstream_runtime::Secret;

use crate::testing::{Answer, Receiver};

fn call() -> Call {
    Call {
        idempotency_key: "EXE-1-1".to_owned(),
        timestamp: Timestamp::from_secs(1_700_000_000),
        body: br#"{"a":1}"#.to_vec(),
    }
}

async fn called(receiver: &Receiver) -> Called {
    let client = WebhookClient::impatient(receiver.config(), Duration::from_secs(10));
    client.call(&call(), &CancellationToken::new()).await
}

fn refused(called: Called) -> (String, u32) {
    match called {
        Called::Refused { reason, tries } => (reason, tries),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_accepted_call_is_made_once_and_signed() {
    let receiver = Receiver::new(&[Answer::Status(202)]).await;
    assert_eq!(called(&receiver).await, Called::Accepted { status: 202, tries: 1 });
    let calls = receiver.calls();
    assert_eq!(calls.len(), 1);
    assert_eq!(&calls[0].body[..], br#"{"a":1}"#);
    assert_eq!(calls[0].header("content-type"), "application/json");
    assert_eq!(calls[0].header("idempotency-key"), "EXE-1-1");
    assert_eq!(calls[0].header(TIMESTAMP), "1700000000");
    // printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac hush
    assert_eq!(
        calls[0].header(SIGNATURE),
        "sha256=7cfd1df542c33ab7251748ffdc6e7fed278c63b83d4ece95a4534b0ad465571b"
    );
}

#[tokio::test]
async fn busy_receivers_are_asked_again_under_the_same_key() {
    let receiver = Receiver::new(&[
        Answer::With(429, "retry-after", "1", String::new()),
        Answer::Status(503),
        Answer::Status(200),
    ])
    .await;
    assert_eq!(called(&receiver).await, Called::Accepted { status: 200, tries: 3 });
    let calls = receiver.calls();
    assert!(
        calls
            .iter()
            .all(|call| call.header("idempotency-key") == "EXE-1-1" && call.body == calls[0].body)
    );
}

#[tokio::test]
async fn three_tries_are_enough() {
    let receiver = Receiver::new(&[Answer::With(500, "x-a", "b", "out \u{1b}[31mof order".to_owned())]).await;
    let (reason, tries) = refused(called(&receiver).await);
    assert_eq!((tries, receiver.calls().len()), (3, 3));
    assert!(reason.contains("500: out") && !reason.contains('\u{1b}'), "{reason}");
}

#[tokio::test]
async fn a_refusal_is_final_and_its_text_is_bounded() {
    let receiver = Receiver::new(&[Answer::With(400, "x-a", "b", "no".repeat(5_000_000))]).await;
    let (reason, tries) = refused(called(&receiver).await);
    assert_eq!((tries, receiver.calls().len()), (1, 1));
    assert!(reason.contains("400: nono") && reason.len() < 300, "{reason}");
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = Receiver::new(&[Answer::Status(200)]).await;
    let location: &'static str = Box::leak(format!("http://{}/", elsewhere.config().url.expose().authority()).into());
    let receiver = Receiver::new(&[Answer::With(307, "location", location, String::new())]).await;
    let (reason, _) = refused(called(&receiver).await);
    assert!(reason.contains("307, and redirects are not followed"), "{reason}");
    assert_eq!((receiver.calls().len(), elsewhere.calls().len()), (1, 0));
}

#[tokio::test]
async fn an_unreachable_receiver_is_tried_again_and_its_address_kept_secret() {
    let receiver = Receiver::new(&[Answer::Status(200)]).await;
    let config = receiver.config();
    // Bound and dropped: nobody listens there now.
    let free = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let url = format!("http://{free}/hook/T0K3N").parse().unwrap();
    let config = WebhookConfig {
        url: Secret::new(url),
        ..config
    };
    let client = WebhookClient::impatient(config, Duration::from_secs(10));
    let (reason, tries) = refused(client.call(&call(), &CancellationToken::new()).await);
    assert_eq!(tries, 3);
    assert!(
        reason.contains("could not be reached") && !reason.contains("T0K3N"),
        "{reason}"
    );
}

#[tokio::test]
async fn a_call_that_may_have_arrived_is_not_repeated() {
    let receiver = Receiver::new(&[Answer::Silence]).await;
    let client = WebhookClient::impatient(receiver.config(), Duration::from_millis(300));
    let outcome = client.call(&call(), &CancellationToken::new()).await;
    assert!(
        matches!(&outcome, Called::Unknown { reason } if !reason.contains("T0K3N")),
        "{outcome:?}"
    );
    assert_eq!(receiver.calls().len(), 1);
}

#[tokio::test]
async fn a_connection_that_breaks_after_sending_is_not_repeated() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let mut connections = 0;
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            connections += 1;
            assert_eq!(connections, 1, "called again");
            let mut buffer = [0; 4096];
            let read = stream.read(&mut buffer).await.unwrap();
            assert!(read > 0);
            stream.write_all(b"HTTP/1.1 2").await.unwrap();
        }
    });
    let config = WebhookConfig {
        url: Secret::new(format!("http://{address}/").parse().unwrap()),
        secret: None,
    };
    let client = WebhookClient::impatient(config, Duration::from_secs(10));
    let outcome = client.call(&call(), &CancellationToken::new()).await;
    assert!(matches!(outcome, Called::Unknown { .. }), "{outcome:?}");
    assert!(!server.is_finished());
    server.abort();
}

#[tokio::test]
async fn a_stopping_process_does_not_wait_for_the_next_try() {
    let receiver = Receiver::new(&[Answer::Status(503)]).await;
    let client = WebhookClient::new(receiver.config());
    let stop = CancellationToken::new();
    stop.cancel();
    assert_eq!(client.call(&call(), &stop).await, Called::Postponed);
    assert_eq!(receiver.calls().len(), 1);
}

#[tokio::test]
async fn https_works_without_a_provider_installed_before() {
    // Nobody speaks TLS there; what counts is that the client can be made and says what is wrong.
    let receiver = Receiver::new(&[Answer::Status(200)]).await;
    let mut url = receiver.config().url.expose().clone();
    url.set_scheme("https").unwrap();
    let client = WebhookClient::impatient(
        WebhookConfig {
            url: Secret::new(url),
            secret: None,
        },
        Duration::from_secs(10),
    );
    let (reason, tries) = refused(client.call(&call(), &CancellationToken::new()).await);
    assert_eq!((tries, receiver.calls().len()), (3, 0), "{reason}");
}
