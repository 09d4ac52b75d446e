//! A relay with made-up threats, to look at the page or to point a WebSocket load generator at.
//!
//! `cargo run --release -p threatstream-relay --example demo -- PORT THREATS_PER_SECOND`
//!
//! Each threat's data carries `ts`, the microseconds since 1970 at which it was due to be committed.

mod source;

use threatstream_runtime::shutdown_signal;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let port = arguments.next().as_deref().unwrap_or("8090").parse()?;
    let rate = arguments.next().as_deref().unwrap_or("5").parse()?;
    source::serve(port, rate, rate <= 50, shutdown_signal()?).await
}
