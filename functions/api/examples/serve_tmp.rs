//! x
use std::sync::Arc;
use threatstream_api::*;
fn main() {
    let rt = tokio::runtime::Runtime::new().unwrap();
    rt.block_on(async {
        let backends = threatstream_embedded::open(threatstream_embedded::Options::new("/tmp/api-serve-tmp")).unwrap().backends();
        let rules = Arc::new(|| Ok(RuleSummary { loaded: 1, set_aside: 0, rules_hash: String::new() }));
        let mut config = threatstream_runtime::ServeConfig::local();
        config.port = 8977;
        config.rate_limit_requests = 0;
        let deps = Dependencies { backends, clock: threatstream_domain::Clock::system(), rules, tickets: threatstream_runtime::Tickets::random() };
        threatstream_runtime::serve(build(Config::default(), deps), config).await.unwrap();
    });
}
