//! The store on Firestore does what every store must.

mod support;

use threatstream_backend::Store;
use threatstream_backend::conformance::Fixture;

threatstream_backend::conformance_store!(open_store);

async fn open_store() -> Option<Fixture<dyn Store>> {
    let subject = support::fresh_store()?;
    let (prefix, keep) = ("test".to_owned(), Box::new(()));
    Some(Fixture { subject, prefix, keep })
}
