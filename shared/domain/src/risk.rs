//! The risk index: one number for how bad the last hour was.

use serde::{Deserialize, Serialize};

use crate::closed_set::closed_set;
use crate::{Severity, Timestamp};

closed_set! {
    /// The band that a risk value lies in.
    RiskLevel, "level" {
        /// 0 to 30.
        Normal = "NORMAL",
        /// 31 to 60.
        Elevated = "ELEVATED",
        /// 61 to 85.
        Suspicious = "SUSPICIOUS",
        /// 86 to 100.
        Critical = "CRITICAL",
    }
}

closed_set! {
    /// Where the risk is going, against five minutes ago.
    RiskTrend, "trend" {
        /// Up by more than two.
        Rising = "RISING",
        /// Down by more than two.
        Falling = "FALLING",
        /// Neither.
        Stable = "STABLE",
    }
}

/// The risk now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RiskIndex {
    /// 0 to 100.
    pub value: u8,
    /// Its band.
    pub level: RiskLevel,
    /// Where it is going.
    pub trend: RiskTrend,
    /// When it was worked out.
    pub last_updated: Timestamp,
}

/// What one minute held, by the time of analysis. Counts of different partitions add up.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MinuteStats {
    /// Minutes since 1970.
    pub minute: i64,
    /// Events matched against the rules.
    pub processed: u64,
    /// Threats stored, from INFO to CRITICAL, without those of drills.
    pub threats: [u64; 5],
    /// Threats of drills.
    pub simulated_threats: u64,
    /// Alerts opened.
    pub alerts: u64,
    /// Milliseconds from arrival to verdict, added up.
    pub detect_ms: f64,
    /// How many threats that sum is over.
    pub detected: u64,
}

impl MinuteStats {
    /// Adds what another partition counted in the same minute.
    pub fn add(&mut self, other: &Self) {
        self.processed += other.processed;
        for (mine, theirs) in self.threats.iter_mut().zip(other.threats) {
            *mine += theirs;
        }
        self.simulated_threats += other.simulated_threats;
        self.alerts += other.alerts;
        self.detect_ms += other.detect_ms;
        self.detected += other.detected;
    }

    /// Threats of this minute, without those of drills.
    #[must_use]
    pub fn threat_count(&self) -> u64 {
        self.threats.iter().sum()
    }
}

/// How many minutes back the index looks.
pub const RISK_WINDOW_MINUTES: i64 = 60;

/// What a threat of a severity weighs when it is fresh.
#[must_use]
pub fn severity_weight(severity: Severity) -> f64 {
    match severity {
        Severity::Info => 0.2,
        Severity::Low => 1.0,
        Severity::Medium => 4.0,
        Severity::High => 12.0,
        Severity::Critical => 30.0,
    }
}

/// The risk at the end of a minute, 0 to 100: threats of the last hour by severity, halved every ten minutes,
/// on a scale that saturates, so that one critical threat shows and a flood does not leave the scale.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the value lies in 0 to 100"
)]
pub fn risk_at(minute: i64, minutes: &[MinuteStats]) -> u8 {
    let load: f64 = minutes
        .iter()
        .filter(|stats| stats.minute <= minute && minute - stats.minute < RISK_WINDOW_MINUTES)
        .map(|stats| {
            #[expect(
                clippy::cast_precision_loss,
                reason = "ages are below an hour, counts far below 2^52"
            )]
            let weight: f64 = Severity::ALL
                .iter()
                .zip(stats.threats)
                .map(|(severity, count)| severity_weight(*severity) * count as f64)
                .sum();
            #[expect(clippy::cast_precision_loss, reason = "ages are below an hour")]
            let age = (minute - stats.minute) as f64;
            weight * 0.5f64.powf(age / 10.0)
        })
        .sum();
    (100.0 * (1.0 - (-load / 60.0).exp())).round() as u8
}

/// The index at a moment, from the minutes of the last hour and a quarter.
#[must_use]
pub fn risk_index(now: Timestamp, minutes: &[MinuteStats]) -> RiskIndex {
    let value = risk_at(now.minute(), minutes);
    let before = risk_at(now.minute() - 5, minutes);
    let level = match value {
        0..=30 => RiskLevel::Normal,
        31..=60 => RiskLevel::Elevated,
        61..=85 => RiskLevel::Suspicious,
        _ => RiskLevel::Critical,
    };
    let trend = match i16::from(value) - i16::from(before) {
        ..=-3 => RiskTrend::Falling,
        3.. => RiskTrend::Rising,
        _ => RiskTrend::Stable,
    };
    RiskIndex {
        value,
        level,
        trend,
        last_updated: now,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(minute: i64, threats: [u64; 5]) -> MinuteStats {
        MinuteStats {
            minute,
            threats,
            ..MinuteStats::default()
        }
    }

    #[test]
    fn quiet_is_zero_and_a_flood_stays_on_the_scale() {
        let now = Timestamp::from_secs(600_000);
        assert_eq!(risk_index(now, &[]).value, 0);
        let flood = risk_index(now, &[minute(now.minute(), [0, 0, 0, 0, 1_000_000])]);
        assert_eq!(
            (flood.value, flood.level, flood.trend),
            (100, RiskLevel::Critical, RiskTrend::Rising)
        );
    }

    #[test]
    fn one_critical_threat_shows_and_fades() {
        let now = Timestamp::from_secs(600_000);
        let stats = [minute(now.minute(), [0, 0, 0, 0, 1])];
        assert_eq!(risk_index(now, &stats).level, RiskLevel::Elevated);
        let later = risk_index(now.plus(std::time::Duration::from_secs(20 * 60)), &stats);
        assert!(later.value < 15 && later.trend == RiskTrend::Falling, "{later:?}");
        assert_eq!(risk_at(now.minute() + 60, &stats), 0);
        assert_eq!(risk_at(now.minute() - 1, &stats), 0, "the future weighs nothing");
    }
}
