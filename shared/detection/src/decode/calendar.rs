//! The times that log lines carry, read by hand: no allocation, no locale, no time zone database.

use threatstream_domain::Timestamp;

const MONTHS: [&[u8; 3]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];
const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

/// The month of a three-letter English name, 1 to 12.
pub(super) fn month(name: &[u8]) -> Option<u32> {
    let index = MONTHS.iter().position(|month| month.as_slice() == name)?;
    u32::try_from(index + 1).ok()
}

/// Digits only, as a number.
pub(super) fn digits(text: &[u8]) -> Option<u32> {
    if text.is_empty() || text.len() > 9 {
        return None;
    }
    text.iter().try_fold(0, |number, byte| {
        byte.is_ascii_digit().then(|| number * 10 + u32::from(byte - b'0'))
    })
}

fn days_in(year: i64, month: u32) -> u32 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 of a day of the Gregorian calendar.
fn days_since_epoch(year: i64, month: u32, day: u32) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * (i64::from(month) + if month > 2 { -3 } else { 9 }) + 2) / 5 + i64::from(day) - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Microseconds since 1970 of a moment in UTC; `None` when there is no such day or time.
fn moment(year: i64, month: u32, day: u32, time_of_day: i64) -> Option<i64> {
    let exists = (1..=9999).contains(&year) && (1..=12).contains(&month) && (1..=days_in(year, month)).contains(&day);
    exists.then(|| days_since_epoch(year, month, day) * DAY + time_of_day)
}

/// `HH:MM:SS` in microseconds; a leap second is the one before it.
fn clock(text: &[u8]) -> Option<i64> {
    let [h1, h2, b':', m1, m2, b':', s1, s2] = text else {
        return None;
    };
    let (hour, minute, second) = (digits(&[*h1, *h2])?, digits(&[*m1, *m2])?, digits(&[*s1, *s2])?);
    let exists = hour < 24 && minute < 60 && second < 61;
    exists.then(|| i64::from(hour * 3600 + minute * 60 + second.min(59)) * SECOND)
}

/// `+02:00`, `-0700` or `Z` in microseconds.
fn offset(text: &[u8]) -> Option<i64> {
    let (sign, hours, minutes) = match text {
        [b'Z' | b'z'] => return Some(0),
        [sign, h1, h2, b':', m1, m2] | [sign, h1, h2, m1, m2] => (*sign, [*h1, *h2], [*m1, *m2]),
        _ => return None,
    };
    let (hours, minutes) = (digits(&hours)?, digits(&minutes)?);
    let span = i64::from(hours * 3600 + minutes * 60) * SECOND;
    match sign {
        _ if hours > 23 || minutes > 59 => None,
        b'+' => Some(span),
        b'-' => Some(-span),
        _ => None,
    }
}

/// `Mar 27 16:16:42` or `Mar  7 …` at the start of a line, and how many bytes it takes. The year is the one that puts it
/// nearest before `received_at` and a day.
pub(super) fn yearless(text: &[u8], received_at: Timestamp) -> Option<(Timestamp, usize)> {
    let month = month(text.get(..3)?)?;
    let rest = text.get(4..)?;
    let (day, taken) = match rest {
        [b' ', d, b' ', ..] => (digits(&[*d])?, 7),
        [d, b' ', ..] => (digits(&[*d])?, 6),
        [d1, d2, b' ', ..] => (digits(&[*d1, *d2])?, 7),
        _ => return None,
    };
    if text[3] != b' ' {
        return None;
    }
    let time_of_day = clock(text.get(taken..taken + 8)?)?;
    let latest = received_at.as_micros().saturating_add(DAY);
    let year = 1970 + latest.div_euclid(DAY) * 400 / 146_097 + 1;
    // Nine years back there is a 29 February in any century.
    let time = (0..10)
        .filter_map(|back| moment(year - back, month, day, time_of_day))
        .find(|time| *time <= latest)?;
    Some((Timestamp::from_micros(time), taken + 8))
}

/// `2023-09-28T12:10:12.175599+02:00`, with `T` or a space, with or without fraction and zone.
pub(super) fn iso(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    let [
        y1,
        y2,
        y3,
        y4,
        b'-' | b'/',
        m1,
        m2,
        b'-' | b'/',
        d1,
        d2,
        b'T' | b't' | b' ',
        rest @ ..,
    ] = bytes
    else {
        return None;
    };
    let time_of_day = clock(rest.get(..8)?)?;
    let (fraction, zone) = fraction(&rest[8..]);
    let shift = if zone.is_empty() { 0 } else { offset(zone)? };
    let year = i64::from(digits(&[*y1, *y2, *y3, *y4])?);
    let day = moment(year, digits(&[*m1, *m2])?, digits(&[*d1, *d2])?, time_of_day)?;
    Some(Timestamp::from_micros(day + fraction - shift))
}

/// `.175599` at the start, in microseconds, and what follows it.
fn fraction(text: &[u8]) -> (i64, &[u8]) {
    let [b'.' | b',', rest @ ..] = text else {
        return (0, text);
    };
    let length = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let micros = (0..6).fold(0, |micros, at| {
        let digit = if at < length { rest[at] - b'0' } else { 0 };
        micros * 10 + i64::from(digit)
    });
    (micros, &rest[length..])
}

/// `07/Dec/2016:11:05:07 +0100`, as web servers write it.
pub(super) fn common_log(text: &[u8]) -> Option<Timestamp> {
    let [d1, d2, b'/', m1, m2, m3, b'/', y1, y2, y3, y4, b':', rest @ ..] = text else {
        return None;
    };
    let time_of_day = clock(rest.get(..8)?)?;
    let shift = match &rest[8..] {
        [] => 0,
        [b' ', zone @ ..] => offset(zone)?,
        _ => return None,
    };
    let year = i64::from(digits(&[*y1, *y2, *y3, *y4])?);
    let time = moment(year, month(&[*m1, *m2, *m3])?, digits(&[*d1, *d2])?, time_of_day)?;
    Some(Timestamp::from_micros(time - shift))
}

/// `Sun Dec 04 04:47:44 2005` or `Fri Dec 16 01:46:23.123456 2016`, as Apache's error log writes it.
pub(super) fn asctime(text: &str) -> Option<Timestamp> {
    let mut parts = text.split_ascii_whitespace();
    let (_, name, day, time, year) = (
        parts.next()?,
        parts.next()?,
        parts.next()?,
        parts.next()?,
        parts.next()?,
    );
    if parts.next().is_some() || year.len() != 4 {
        return None;
    }
    let time_of_day = clock(time.as_bytes().get(..8)?)?;
    let (fraction, []) = fraction(&time.as_bytes()[8..]) else {
        return None;
    };
    let year = i64::from(digits(year.as_bytes())?);
    let time = moment(year, month(name.as_bytes())?, digits(day.as_bytes())?, time_of_day)?;
    Some(Timestamp::from_micros(time + fraction))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn the_year_is_the_nearest_before_tomorrow() {
        let year = |line: &str, now: &str| yearless(line.as_bytes(), at(now)).unwrap().0.to_string()[..4].to_owned();
        assert_eq!(year("Mar 27 16:16:42 host", "2026-11-22T00:00:00Z"), "2026");
        assert_eq!(year("Dec 31 23:59:59 host", "2027-01-01T00:00:30Z"), "2026");
        assert_eq!(year("Jan  1 00:00:01 host", "2026-12-31T23:59:00Z"), "2027");
        assert_eq!(year("Feb 29 10:00:00 host", "2027-06-01T00:00:00Z"), "2024");
        assert_eq!(year("Feb 29 10:00:00 host", "2103-06-01T00:00:00Z"), "2096");
    }

    #[test]
    fn every_vendors_way_of_writing_a_time_is_read() {
        assert_eq!(
            iso("2023-09-28T12:10:12.175599+02:00").unwrap(),
            at("2023-09-28T10:10:12.175599Z")
        );
        assert_eq!(iso("2016/10/25 14:49:34").unwrap(), at("2016-10-25T14:49:34Z"));
        assert_eq!(
            common_log(b"10/Oct/2000:13:55:36 -0700").unwrap(),
            at("2000-10-10T20:55:36Z")
        );
        assert_eq!(
            asctime("Fri Dec 16 01:46:23.5 2016").unwrap(),
            at("2016-12-16T01:46:23.5Z")
        );
        assert_eq!(days_since_epoch(1970, 1, 1), 0);
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "2023-02-30T00:00:00Z",
            "2023-01-01T24:00:00Z",
            "2023-01-01T00:00:00+99:00",
            "0000-01-01T00:00:00Z",
        ] {
            assert_eq!(iso(text), None, "{text}");
        }
        for text in [
            "",
            "Mär 27",
            "Mar",
            "Mar 2",
            "Mar 99 00:00:00 x",
            "Mar 27 1:2:3 x",
            "Mar 27 16:16:4",
        ] {
            assert_eq!(yearless(text.as_bytes(), at("2026-01-01T00:00:00Z")), None, "{text}");
        }
    }
}
