//! What callers are told when the transaction fails that they share with others.

use tempfile::TempDir;
use threatstream_backend::conformance::samples::record;

use super::*;
use crate::block::segments;
use crate::embedded::Embedded;
use crate::options::Options;

const TOPIC: i64 = 1;

fn opened() -> (Embedded, TempDir) {
    let folder = TempDir::new().unwrap();
    (crate::open(Options::new(folder.path())).unwrap(), folder)
}

/// Makes the writer wait, so that what is queued meanwhile goes into one transaction. It goes on when the sender is dropped.
async fn hold(writer: &Handle) -> std::sync::mpsc::Sender<()> {
    let (release, held) = std::sync::mpsc::channel();
    let (entered, waits) = oneshot::channel();
    let (job, _) = job::<_, Fault, _>(Promise::Durable, move |_| {
        entered.send(()).unwrap();
        Ok(held.recv().is_err())
    });
    writer.send(job).await.unwrap();
    waits.await.unwrap();
    release
}

/// Work that writes a setting of this many bytes.
fn write(name: &'static str, bytes: usize) -> (Job, oneshot::Receiver<Result<(), Fault>>) {
    job(Promise::Durable, move |session| {
        let sql = "INSERT INTO setting VALUES (?1, ?2)";
        session.db.execute(sql, rusqlite::params![name, vec![7u8; bytes]])?;
        Ok(())
    })
}

fn append() -> (Job, oneshot::Receiver<appends::Answered>) {
    let (answer, answered) = oneshot::channel();
    let append = Append {
        topic: TOPIC,
        promise: Promise::Durable,
        count: 1,
        segments: segments(vec![record("key", "value")], |_| 0),
        answer,
    };
    (Job::Append(append), answered)
}

/// Lets the file of promised work grow to so many pages; as many as it has, when it has more.
async fn limit(writer: &Handle, pages: u32) {
    let limited = writer.run::<_, Fault, _>(Promise::Durable, move |session| {
        let set = format!("PRAGMA max_page_count = {pages}");
        Ok(session.db.query_row(&set, [], |row| row.get::<_, i64>(0))?)
    });
    limited.await.unwrap();
}

#[tokio::test]
async fn everybody_in_a_transaction_is_told_that_the_disk_is_full() {
    let (embedded, _folder) = opened();
    let writer = &embedded.inner.writer;
    limit(writer, 1).await;
    let release = hold(writer).await;
    let (jobs, answers): (Vec<_>, Vec<_>) = [write("before", 1), write("large", 1 << 20), write("after", 1)]
        .into_iter()
        .unzip();
    let (appending, appended) = append();
    for job in jobs.into_iter().chain([appending]) {
        writer.send(job).await.unwrap();
    }
    drop(release);
    for (at, answer) in answers.into_iter().enumerate() {
        let error = BackendError::from(answer.await.unwrap().unwrap_err());
        assert!(matches!(error, BackendError::Full { .. }), "job {at}: {error}");
    }
    let error = appended.await.unwrap().unwrap_err();
    assert!(matches!(error, BackendError::Full { .. }), "{error}");

    limit(writer, u32::MAX - 1).await;
    let (job, answer) = write("after", 1);
    writer.send(job).await.unwrap();
    answer.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_panic_is_its_own_callers_alone() {
    let (embedded, _folder) = opened();
    let writer = &embedded.inner.writer;
    let release = hold(writer).await;
    let (panics, told) = job::<(), Fault, _>(Promise::Durable, |_| panic!("on purpose"));
    let (writes, written) = write("beside", 1);
    writer.send(panics).await.unwrap();
    writer.send(writes).await.unwrap();
    drop(release);
    let error = BackendError::from(told.await.unwrap().unwrap_err());
    assert!(error.is_retryable() && error.to_string().contains("panic"), "{error}");
    written.await.unwrap().unwrap();
}
