//! What the visitors of a shop leave in a web server's access log.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use threatstream_domain::Timestamp;

const AGENTS: [&str; 5] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.1 Safari/605.1.15",
    "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.1 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36",
];

const ASSETS: [(&str, u32); 5] = [
    ("/static/css/site.css", 18_204),
    ("/static/js/app.js", 96_331),
    ("/static/img/logo.svg", 4_127),
    ("/static/fonts/inter.woff2", 48_256),
    ("/favicon.ico", 1_150),
];

const CATEGORIES: [&str; 6] = ["garden", "kitchen", "lighting", "office", "outdoor", "textiles"];

/// One request, without its time.
#[derive(Clone, Debug)]
pub(super) struct Visit {
    address: String,
    method: &'static str,
    path: String,
    status: u16,
    bytes: u32,
    referrer: &'static str,
    agent: &'static str,
}

impl Visit {
    /// In the `combined` format.
    pub(super) fn render(&self, at: Timestamp) -> String {
        let Self {
            address,
            method,
            path,
            status,
            bytes,
            referrer,
            agent,
        } = self;
        let time = at.to_jiff().strftime("%d/%b/%Y:%H:%M:%S +0000");
        format!("{address} - - [{time}] \"{method} {path} HTTP/1.1\" {status} {bytes} \"{referrer}\" \"{agent}\"")
    }
}

/// A visitor loads a page and a few things that belong to it.
pub(super) fn visit(rng: &mut StdRng) -> Vec<Visit> {
    // Two of the documentation's networks; the third is where attackers come from.
    let network = if rng.random_bool(0.5) { "198.51.100" } else { "192.0.2" };
    let address = format!("{network}.{}", rng.random_range(1..=254));
    let agent = AGENTS.choose(rng).copied().unwrap_or_default();
    let request = |method, path, status, bytes, referrer| Visit {
        address: address.clone(),
        method,
        path,
        status,
        bytes,
        referrer,
        agent,
    };
    let (method, path, status) = page(rng);
    let mut requests = vec![request(method, path, status, rng.random_range(2_000..60_000), "-")];
    for (path, bytes) in ASSETS.iter().take(rng.random_range(0..=ASSETS.len())) {
        // Browsers that were here before ask only whether it has changed.
        let (status, bytes) = if rng.random_bool(0.4) { (304, 0) } else { (200, *bytes) };
        requests.push(request(
            "GET",
            (*path).to_owned(),
            status,
            bytes,
            "https://shop.example.com/",
        ));
    }
    requests
}

fn page(rng: &mut StdRng) -> (&'static str, String, u16) {
    let category = CATEGORIES.choose(rng).copied().unwrap_or_default();
    match rng.random_range(0..10) {
        0..2 => ("GET", "/".to_owned(), 200),
        2..5 => ("GET", format!("/products/{}", rng.random_range(100..2_000)), 200),
        5..7 => (
            "GET",
            format!("/category/{category}?page={}", rng.random_range(1..9)),
            200,
        ),
        7 => ("GET", format!("/search?q={category}"), 200),
        8 => ("POST", "/cart".to_owned(), 302),
        _ => ("GET", "/about".to_owned(), 301),
    }
}
