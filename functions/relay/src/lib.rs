//! Pushes what the store commits to every open dashboard, and serves the page that shows it.
//!
//! One worker follows the store's feed and encodes each frame once, as the bytes that go onto the wire; every client is sent those same
//! bytes. A client is a place in a bounded ring: one that stops reading loses its place and nothing else, and reads what it missed from
//! the store's feed, or is told that it has to start anew.
//!
//! | module | |
//! |---|---|
//! | [`config`] | heartbeat, limits, where the page finds the api |
//! | `ring`, `segment`, `seq` | encoded frames, bounded and shared, and places among them |
//! | `follow`, `vitals` | the workers that fill the ring: the feed; counters, risk and heartbeats |
//! | `standing` | how far the relay is behind the feed, told each minute |
//! | `session`, `catch_up`, `snapshot` | one client: what it is owed, what it missed, the whole state |
//! | `request`, `filter`, `allowance` | what clients may say, what they want to hear, how often they may speak |
//! | `wire`, `socket` | RFC 6455 frames, and the upgrade of a request to a socket |
//! | [`page`] | the page |

mod allowance;
mod catch_up;
pub mod config;
mod filter;
mod follow;
mod message;
mod meters;
pub mod page;
mod relay;
mod request;
mod ring;
mod segment;
mod seq;
mod session;
mod snapshot;
mod socket;
mod standing;
mod vitals;
mod wire;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use threatstream_backend::Backends;
use threatstream_domain::Clock;
use threatstream_runtime::Function;

pub use config::{Config, Limits};
pub use page::{Page, page};

use relay::Relay;

/// What the relay needs of others.
#[derive(Clone)]
pub struct Dependencies {
    /// Where the feed and the state come from.
    pub backends: Backends,
    /// The time on frames.
    pub clock: Clock,
}

/// The relay: `GET /ws/live`, `GET /` if [`Config::mount_page`] says so, and the workers that feed the sockets.
///
/// Who may open a socket is the runtime's business; the page itself is public, because it must load before anyone can log in.
#[must_use]
pub fn build(config: Config, dependencies: Dependencies) -> Function {
    let page = Page::new(config.api_url.as_ref());
    let mount_page = config.mount_page;
    let relay = Arc::new(Relay::new(config, dependencies));

    let mut router = Router::new()
        .route("/ws/live", get(socket::open))
        .with_state(Arc::clone(&relay));
    if mount_page {
        router = router.route("/", get(async move || page.clone()));
    }
    let mut function = Function::new("relay", router);
    if mount_page {
        function = function.public("/");
    }
    let [follower, vitals, heart, standing, probe] = std::array::from_fn(|_| Arc::clone(&relay));
    function
        .worker("relay-feed", move |token| follow::run(Arc::clone(&follower), token))
        .worker("relay-vitals", move |token| vitals::run(Arc::clone(&vitals), token))
        .worker("relay-heartbeat", move |token| vitals::beat(Arc::clone(&heart), token))
        .worker("relay-standing", move |token| {
            standing::run(Arc::clone(&standing), token)
        })
        .ready("feed", move || {
            let relay = Arc::clone(&probe);
            async move {
                if relay.ring.is_ready() {
                    Ok(())
                } else {
                    Err("the feed has not been reached yet".to_owned())
                }
            }
        })
}
