//! Rules that change while the process stays: noticed, loaded beside the old ones, and swapped between two batches.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use threatstream_detection::Detector;
use threatstream_detection::enrich::Networks;
use threatstream_detection::sigma::RuleSet;
use threatstream_domain::{MarkKey, fingerprint, hex};
use threatstream_runtime::CancellationToken;
use tokio::signal::unix::{SignalKind, signal};

use super::folder::{self, Stamp};
use super::{RuleFile, RulesConfig, UnreadableRules, builtin_files, tell};

/// Files that still change are looked at again after this long.
const SETTLE: Duration = Duration::from_millis(200);
/// So often at most: what is written to without end is loaded as it is.
const SETTLE_TRIES: usize = 25;

/// Where a batch's detector comes from. A batch is matched with one set of rules, whatever is loaded meanwhile.
pub trait DetectorSource: Send + Sync {
    /// The detector for the next batch.
    fn current(&self) -> Arc<Detector>;
}

/// Rules that stay as they are.
impl DetectorSource for Detector {
    fn current(&self) -> Arc<Detector> {
        Arc::new(self.clone())
    }
}

/// What came of looking at the rules again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reload {
    /// They are what they were.
    Unchanged,
    /// The next batch is matched with another set.
    Replaced,
    /// What is there now does not load; the old set stays.
    Refused(String),
}

/// A detector whose rules follow their files.
pub struct LiveDetector {
    config: RulesConfig,
    networks: Networks,
    mark_key: MarkKey,
    current: RwLock<Arc<Detector>>,
    /// Held while rules are loaded, so that two never load at once.
    files: Mutex<Files>,
    failure: RwLock<Option<String>>,
}

/// What is known of the files that were last loaded or refused.
#[derive(Default)]
struct Files {
    stamp: Option<Stamp>,
    /// What was in them, in 128 bits.
    content: [u8; 16],
    /// How many of them gave a rule, a correlation or a filter.
    fruitful: usize,
}

impl Files {
    fn unreadable(&mut self, error: &UnreadableRules) -> Reload {
        // Once they can be read again they are, even if they are what they were.
        self.stamp = None;
        Reload::Refused(format!("{error}: {}", error.source))
    }
}

impl LiveDetector {
    /// Loads the rules for the first time.
    ///
    /// # Errors
    /// A folder or file that cannot be read.
    pub fn load(config: RulesConfig, networks: Networks, mark_key: MarkKey) -> Result<Self, UnreadableRules> {
        let stamp = config.folder.as_deref().map(folder::stamp).transpose()?;
        let read = config
            .folder
            .as_deref()
            .map(folder::read)
            .transpose()?
            .unwrap_or_default();
        let rules = compile(config.builtin, &read);
        tell(&rules);
        let files = Files {
            fruitful: fruitful(&read, &rules),
            content: digest(&read),
            stamp,
        };
        let detector = Detector::new(Arc::new(rules), networks.clone(), mark_key.clone());
        Ok(Self {
            config,
            networks,
            mark_key,
            current: RwLock::new(Arc::new(detector)),
            files: Mutex::new(files),
            failure: RwLock::new(None),
        })
    }

    /// Why the files as they are now are not what is matched with; `None` when they are.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        self.failure.read().clone()
    }

    /// Looks at the files, and loads them when they have changed. With `look_inside` they are read even where nothing but their
    /// content tells them apart. Blocks while rules compile: for thousands, a second.
    pub fn reload(&self, look_inside: bool) -> Reload {
        let outcome = self.try_reload(look_inside);
        let failure = match &outcome {
            Reload::Refused(reason) => Some(reason.clone()),
            Reload::Replaced | Reload::Unchanged => None,
        };
        let before = std::mem::replace(&mut *self.failure.write(), failure.clone());
        match failure {
            Some(reason) if before.as_ref() != Some(&reason) => {
                tracing::error!(reason, "the rules do not load; the old ones stay");
            }
            None if before.is_some() && outcome == Reload::Unchanged => {
                tracing::info!("the rules are again what is loaded");
            }
            _ => {}
        }
        outcome
    }

    fn try_reload(&self, look_inside: bool) -> Reload {
        let Some(folder) = self.config.folder.as_deref() else {
            return Reload::Unchanged;
        };
        let mut files = self.files.lock();
        let stamp = match folder::stamp(folder) {
            Ok(stamp) => stamp,
            Err(error) => return files.unreadable(&error),
        };
        if !look_inside && files.stamp.as_ref() == Some(&stamp) {
            return self.failure().map_or(Reload::Unchanged, Reload::Refused);
        }
        let read = match folder::read(folder) {
            Ok(read) => read,
            Err(error) => return files.unreadable(&error),
        };
        let content = digest(&read);
        if content == files.content {
            files.stamp = Some(stamp);
            return Reload::Unchanged;
        }
        let rules = compile(self.config.builtin, &read);
        let now = fruitful(&read, &rules);
        // Seen: it is not compiled again before it changes.
        files.stamp = Some(stamp);
        if rules.rules().is_empty() || (now == 0 && files.fruitful > 0) {
            let first = rules.set_aside().first().map_or_else(
                || format!("there is no rule in {}", folder.display()),
                |first| format!("no rule loads; the first: {}: {}", first.file, first.reason),
            );
            return Reload::Refused(first);
        }
        tell(&rules);
        let detector = Detector::new(Arc::new(rules), self.networks.clone(), self.mark_key.clone());
        *self.current.write() = Arc::new(detector);
        (files.content, files.fruitful) = (content, now);
        Reload::Replaced
    }

    /// Follows the files until the token is cancelled: looks at them at the configured interval, and reads them at once on
    /// SIGHUP.
    ///
    /// # Errors
    /// The handler of the signal cannot be installed.
    pub async fn follow(self: Arc<Self>, stop: CancellationToken) -> anyhow::Result<()> {
        let mut hangup = signal(SignalKind::hangup())?;
        let interval = self.config.reload_interval;
        let polls = !interval.is_zero() && self.config.folder.is_some();
        loop {
            let asked = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                _ = hangup.recv() => true,
                () = tokio::time::sleep(interval), if polls => false,
            };
            if asked {
                tracing::info!("SIGHUP: the rules are read again");
            }
            let live = self.clone();
            let settled = !asked && polls;
            // A process that ends does not wait for what is loaded for nothing.
            let work = async {
                if settled {
                    self.settle().await;
                }
                tokio::task::spawn_blocking(move || live.reload(asked)).await
            };
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                outcome = work => {
                    outcome?;
                }
            }
        }
    }

    /// Waits until nobody writes to the files: a half-written rule is no rule.
    async fn settle(&self) {
        let mut before = self.files.lock().stamp.clone();
        for _ in 0..SETTLE_TRIES {
            let Some(folder) = self.config.folder.clone() else {
                return;
            };
            let Ok(Ok(now)) = tokio::task::spawn_blocking(move || folder::stamp(&folder)).await else {
                return;
            };
            if before.as_ref() == Some(&now) {
                return;
            }
            before = Some(now);
            tokio::time::sleep(SETTLE).await;
        }
    }
}

impl DetectorSource for LiveDetector {
    fn current(&self) -> Arc<Detector> {
        self.current.read().clone()
    }
}

fn compile(builtin: bool, files: &[RuleFile]) -> RuleSet {
    let own = builtin.then(builtin_files).into_iter().flatten();
    RuleSet::load(own.chain(files.iter().cloned()))
}

/// Tells one content of the files from another, their names included: what is set aside is told by file.
fn digest(files: &[RuleFile]) -> [u8; 16] {
    let one = |(name, text): &RuleFile| hex(&fingerprint(name, text));
    fingerprint("rules", &files.iter().map(one).collect::<String>())
}

/// How many of these files gave something to the set.
fn fruitful(files: &[RuleFile], rules: &RuleSet) -> usize {
    let of_rules = rules.rules().iter().map(|rule| rule.file.as_str());
    let gave: HashSet<&str> = of_rules
        .chain(rules.correlations().iter().map(|own| own.file.as_str()))
        .collect();
    let aside: HashSet<&str> = rules.set_aside().iter().map(|own| own.file.as_str()).collect();
    let fruitful = |name: &str| gave.contains(name) || !aside.contains(name);
    files.iter().filter(|(name, _)| fruitful(name)).count()
}

#[cfg(test)]
mod tests;
