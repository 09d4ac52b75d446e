//! Log lines as a busy site leaves them: mostly ordinary, with attacks in between. Made from numbers, so that every run has the
//! same.

/// Seconds that `count` lines spread over.
const LINES_A_SECOND: usize = 50;
/// 2026-11-01T00:00:00Z.
const START: i64 = 1_793_491_200;

/// `count` lines of one site. Sources differ between sites, so that what one sends does not touch what another does.
pub(crate) fn lines(site: usize, count: usize) -> Vec<String> {
    (0..count).map(|at| line(site, at)).collect()
}

fn line(site: usize, at: usize) -> String {
    let time = START + i64::try_from(at / LINES_A_SECOND).expect("small");
    let attacker = format!("203.0.113.{}", site * 10 + at / 20_000 % 10);
    let visitor = format!("198.51.{}.{}", 100 + site, at % 250 + 1);
    match at % 200 {
        // Somebody guesses passwords, in bursts.
        0..=3 if (at / 3000).is_multiple_of(2) => format!(
            "<38>1 {} web-{site} sshd {} - - Failed password for invalid user user{} from {attacker} port {} ssh2",
            rfc3339(time),
            1000 + at % 900,
            at % 7,
            40_000 + at % 20_000
        ),
        // Injections, now and then more than ten a minute.
        7 | 57 | 107 | 157 if (at / 7000).is_multiple_of(2) => access(
            &attacker,
            time,
            "/items?id=1%27%20UNION%20SELECT%20password%20FROM%20users--",
            200,
        ),
        10..=20 => format!(
            "<38>1 {} web-{site} sshd {} - - Accepted publickey for deploy from 10.0.{site}.9 port {} ssh2",
            rfc3339(time),
            1000 + at % 900,
            40_000 + at % 20_000
        ),
        _ => access(&visitor, time, &format!("/articles/{}?page={}", at % 977, at % 9), 200),
    }
}

fn access(ip: &str, time: i64, uri: &str, status: u16) -> String {
    let seconds = time - START;
    let (day, clock) = (seconds / 86_400 + 1, seconds % 86_400);
    format!(
        "{ip} - - [{day:02}/Nov/2026:{:02}:{:02}:{:02} +0000] \"GET {uri} HTTP/1.1\" {status} 512 \"-\" \"Mozilla/5.0\"",
        clock / 3600,
        clock / 60 % 60,
        clock % 60
    )
}

fn rfc3339(time: i64) -> String {
    let seconds = time - START;
    let (day, clock) = (seconds / 86_400 + 1, seconds % 86_400);
    format!(
        "2026-11-{day:02}T{:02}:{:02}:{:02}Z",
        clock / 3600,
        clock / 60 % 60,
        clock % 60
    )
}
