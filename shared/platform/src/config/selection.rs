//! Choosing a backend of each kind.

use threatstream_runtime::Reader;

use super::Needs;

/// Who asks.
#[derive(Clone, Copy)]
pub(super) enum Process {
    /// All functions in one: what is not named is the embedded file.
    Whole,
    /// One of several, which meet in the backends: what is not named is missing.
    Function(Needs),
}

/// A kind of backend: its variable, and the engine beside the embedded one.
pub(super) struct Kind {
    variable: &'static str,
    engine: &'static str,
    /// What to set to have that engine.
    named_by: &'static str,
}

pub(super) const EVENT_LOG: Kind = Kind {
    variable: "EVENT_LOG",
    engine: "kafka",
    named_by: "CONFLUENT_BOOTSTRAP_SERVERS",
};
pub(super) const STORE: Kind = Kind {
    variable: "STORE",
    engine: "firestore",
    named_by: "GOOGLE_CLOUD_PROJECT",
};
pub(super) const TASK_QUEUE: Kind = Kind {
    variable: "TASK_QUEUE",
    engine: "pubsub",
    named_by: "GOOGLE_CLOUD_PROJECT",
};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Chosen {
    Embedded,
    Cloud,
}

pub(super) struct Selection<'r, 'e> {
    pub(super) reader: &'r mut Reader<'e>,
    pub(super) process: Process,
    pub(super) on_cloud_run: bool,
    pub(super) cloud_is_built: bool,
}

impl Selection<'_, '_> {
    /// `None`: nothing is named, and nothing is needed.
    pub(super) fn choose(&mut self, kind: &Kind, implied_by: &str, needed: bool) -> Option<Chosen> {
        let Kind { variable, engine, .. } = *kind;
        let choices = [("embedded", Chosen::Embedded), (engine, Chosen::Cloud)];
        let named = self.reader.text(variable).is_some();
        let implied = !implied_by.is_empty() && self.reader.text(implied_by).is_some();
        let chosen = match (self.reader.one_of(variable, &choices), implied) {
            (Some(chosen), _) => chosen,
            // Wrong, and the reader has said so.
            (None, _) if named => return None,
            (None, true) => Chosen::Cloud,
            (None, false) if !needed => return None,
            (None, false) => Chosen::Embedded,
        };
        match chosen {
            Chosen::Cloud if !self.cloud_is_built => {
                let (at, message) = if named {
                    (
                        variable,
                        format!(
                            "{engine} is not in this build, which has the embedded backends only; build with --features cloud"
                        ),
                    )
                } else {
                    (
                        implied_by,
                        format!(
                            "asks for {engine}, which is not in this build; build with --features cloud, or set {variable}=embedded to keep to one machine"
                        ),
                    )
                };
                self.reader.problem(at, message);
            }
            Chosen::Embedded if self.on_cloud_run && named => self.reader.problem(
                variable,
                format!("embedded is refused on Cloud Run, where a container's disk does not last; set {engine}"),
            ),
            Chosen::Embedded if self.on_cloud_run => {
                self.missing(kind, "on Cloud Run a container's disk does not last");
            }
            Chosen::Embedded if !named && matches!(self.process, Process::Function(_)) => {
                self.missing(kind, "functions in processes of their own meet there");
            }
            _ => {}
        }
        Some(chosen)
    }

    fn missing(&mut self, kind: &Kind, why: &str) {
        let Kind {
            variable,
            engine,
            named_by,
        } = kind;
        if self.reader.text(named_by).is_some() {
            self.reader.problem(
                variable,
                format!("is not set, and embedded as STORE is; set {engine}: {why}"),
            );
        } else {
            self.reader
                .problem(named_by, format!("is not set, and {variable} must be {engine}: {why}"));
        }
    }
}
