//! Logs whose verdicts are known, and are the same in whatever order the partitions are worked.
//!
//! Two analyzers that share the partitions work them side by side, so what decides between the one and the other of two events
//! of one address must not decide a verdict here: each attacker does one thing once.

/// Lines of a block: its attackers appear in no other.
pub(crate) const BLOCK: usize = 500;
/// Blocks begin on the first of November 2026, and lie
/// so many seconds apart.
const BLOCK_SECONDS: usize = 1200;

/// Failed logins of the fast guesser, within a minute.
const FAST: usize = 8;
/// Failed logins of the slow guesser, within ten minutes.
const SLOW: usize = 12;
/// Addresses that inject SQL, each once.
const INJECTORS: usize = 3;

/// How many lines the tests send.
pub(crate) fn size() -> usize {
    super::harness::size("THREATSTREAM_TEST_CLOUD_EVENTS", 20_000).max(2 * BLOCK)
}

/// `count` lines, cut down to whole blocks.
pub(crate) fn lines(count: usize) -> Vec<String> {
    (0..count / BLOCK).flat_map(block).collect()
}

/// The addresses that guess so fast that they are to be blocked.
pub(crate) fn fast_guessers(lines: usize) -> Vec<String> {
    (0..lines / BLOCK).map(|block| address(block, 1)).collect()
}

/// Threats that this many lines hold at least: one of each guesser and of each injector.
pub(crate) fn least_threats(lines: usize) -> usize {
    lines / BLOCK * (2 + INJECTORS)
}

/// An address of a block's own.
fn address(block: usize, role: usize) -> String {
    format!("203.{}.{}.{role}", 10 + block / 250, block % 250)
}

fn block(block: usize) -> Vec<String> {
    let start = block * BLOCK_SECONDS;
    (0..BLOCK)
        .map(|at| {
            let spread = start + at;
            match at {
                // Spread over the block, so that every request holds some of every attack.
                _ if at % 50 == 3 && at / 50 < FAST => {
                    failed_login(&address(block, 1), block, start + 60 + at / 50 * 7, at)
                }
                _ if at % 40 == 11 && at / 40 < SLOW => {
                    failed_login(&address(block, 2), block, start + at / 40 * 49, at)
                }
                _ if at % 100 == 27 && at / 100 < INJECTORS => access(
                    &address(block, 10 + at / 100),
                    spread,
                    "/items?id=1%27%20UNION%20SELECT%20password%20FROM%20users--",
                ),
                _ if at % 10 == 5 => format!(
                    "<38>1 {} web-{} sshd {} - - Accepted publickey for deploy from 10.0.3.9 port {} ssh2",
                    rfc3339(spread),
                    block % 7,
                    1000 + at,
                    40_000 + at
                ),
                _ => access(
                    &format!("198.51.100.{}", at % 250 + 1),
                    spread,
                    &format!("/articles/{block}/{at}?page={}", at % 9),
                ),
            }
        })
        .collect()
}

fn failed_login(ip: &str, block: usize, second: usize, at: usize) -> String {
    format!(
        "<38>1 {} web-{} sshd 4242 - - Failed password for root from {ip} port {} ssh2",
        rfc3339(second),
        block % 7,
        40_000 + at
    )
}

fn access(ip: &str, second: usize, uri: &str) -> String {
    let (day, hour, minute, second) = clock(second);
    format!(
        "{ip} - - [{day:02}/Nov/2026:{hour:02}:{minute:02}:{second:02} +0000] \"GET {uri} HTTP/1.1\" 200 512 \"-\" \"Mozilla/5.0\""
    )
}

fn rfc3339(second: usize) -> String {
    let (day, hour, minute, second) = clock(second);
    format!("2026-11-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

fn clock(second: usize) -> (usize, usize, usize, usize) {
    // Still in November: what comes after begins anew, from other addresses.
    let second = second % (20 * 86_400);
    (second / 86_400 + 1, second / 3600 % 24, second / 60 % 60, second % 60)
}
