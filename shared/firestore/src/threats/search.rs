//! Text search in threats, made by reading them: the database knows no such thing.

use threatstream_domain::Threat;

/// A text that is looked for, whatever the case of its letters.
pub(crate) struct Search {
    folded: String,
}

impl Search {
    pub(crate) fn new(text: &str) -> Self {
        Self {
            folded: text.to_lowercase(),
        }
    }

    /// True when the text is in one of the searched fields. No character of it is a wildcard.
    pub(crate) fn finds(&self, threat: &Threat) -> bool {
        [
            Some(&threat.description),
            Some(&threat.id),
            threat.source_ip.as_ref(),
            threat.destination_ip.as_ref(),
            threat.user.as_ref(),
            threat.host.as_ref(),
        ]
        .into_iter()
        .flatten()
        .any(|text| text.to_lowercase().contains(&self.folded))
    }
}
