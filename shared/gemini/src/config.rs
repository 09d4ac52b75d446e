//! Which model, where, and as whom, from the environment.

use std::net::IpAddr;
use std::time::Duration;

use reqwest::Url;
use threatstream_runtime::{ConfigErrors, Environment, Reader, Secret};

/// The model that is asked unless `GEMINI_MODEL` names another.
pub const DEFAULT_MODEL: &str = "gemini-3.5-flash-lite";

/// Where AI Studio's interface is.
const AI_STUDIO: &str = "https://generativelanguage.googleapis.com/";
/// The location of Vertex AI that is asked unless `GCP_REGION` names another.
const DEFAULT_LOCATION: &str = "us-central1";
/// Where Google Cloud's machines find out about themselves.
const METADATA_HOST: &str = "metadata.google.internal";
/// The longest time for one request and its answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Which model, where, and as whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeminiConfig {
    /// The model's name, as `gemini-3.5-flash-lite`.
    pub model: String,
    /// `GEMINI_BASE_URL`, or where the model's interface is by [`Access`]; ends with a slash.
    pub base_url: Url,
    /// As whom it is asked.
    pub access: Access,
    /// How long one request may take, its answer included.
    pub timeout: Duration,
}

/// As whom a model is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// At AI Studio, with a key.
    Key(Secret<String>),
    /// At Vertex AI, as the service account that the process runs as.
    Vertex(VertexAccess),
}

/// Whose project, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VertexAccess {
    /// `GOOGLE_CLOUD_PROJECT`, which pays.
    pub project: String,
    /// `GCP_REGION`: a region, a multi-region (`us`, `eu`) or `global`.
    pub location: String,
    /// The metadata server, which gives out the service account's tokens.
    pub metadata: Url,
}

impl GeminiConfig {
    /// Reads `GEMINI_API_KEY`, `GEMINI_MODEL`, `GEMINI_BASE_URL` and `GEMINI_VERTEX`, and for Vertex AI `GOOGLE_CLOUD_PROJECT`, `GCP_REGION`
    /// and `GCE_METADATA_HOST`. `None` with neither a key nor Vertex AI: there is no model, and verdicts are the rules' alone.
    ///
    /// # Errors
    /// Every variable that is wrong, with what is allowed; the key is never repeated.
    pub fn from_env(environment: &dyn Environment) -> Result<Option<Self>, ConfigErrors> {
        let mut reader = Reader::new(environment);
        let key = key(&mut reader);
        let vertex = reader.boolean("GEMINI_VERTEX", false);
        let model = model(&mut reader);
        let base_url = base_url(&mut reader);
        let project = reader.text("GOOGLE_CLOUD_PROJECT");
        let location = reader.text_or("GCP_REGION", DEFAULT_LOCATION);
        let metadata = reader.text_or("GCE_METADATA_HOST", METADATA_HOST);
        let access = match (key, vertex) {
            (Some(_), true) => {
                let message = "is set together with the other; choose AI Studio's key or Vertex AI";
                reader.problem("GEMINI_API_KEY", format!("{message} (GEMINI_VERTEX)"));
                reader.problem("GEMINI_VERTEX", format!("{message} (GEMINI_API_KEY)"));
                None
            }
            (Some(key), false) => Some(Access::Key(key)),
            (None, true) => vertex_access(&mut reader, project, location, &metadata),
            (None, false) => None,
        };
        let config = access.and_then(|access| {
            Some(Self {
                base_url: base_url.or_else(|| default_base_url(&access))?,
                model,
                access,
                timeout: TIMEOUT,
            })
        });
        reader.finish(config)
    }

    /// Where the model is and as whom it is asked, for people: `AI Studio with a key`, `Vertex AI in project P, location L`.
    #[must_use]
    pub fn place(&self) -> String {
        let place = match &self.access {
            Access::Key(_) => "AI Studio with a key".to_owned(),
            Access::Vertex(vertex) => format!("Vertex AI in project {}, location {}", vertex.project, vertex.location),
        };
        if Some(&self.base_url) == default_base_url(&self.access).as_ref() {
            return place;
        }
        format!("{place}, at {}", self.base_url)
    }

    /// The address of the model's description.
    pub(crate) fn model_url(&self) -> Url {
        let folder: &[&str] = match self.access {
            Access::Key(_) => &["v1beta", "models"],
            Access::Vertex(_) => &["v1", "publishers", "google", "models"],
        };
        let mut url = self.base_url.clone();
        // Only addresses with a host are taken, and those have segments.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(folder).push(&self.model);
        }
        url
    }
}

fn key(reader: &mut Reader<'_>) -> Option<Secret<String>> {
    let key = reader.secret("GEMINI_API_KEY")?;
    if key.expose().bytes().all(|byte| byte.is_ascii_graphic()) {
        return Some(key);
    }
    reader.problem("GEMINI_API_KEY", "is no key; expected printable ASCII without blanks");
    None
}

/// A name is one segment of an address, so nothing in it may lead elsewhere.
fn model(reader: &mut Reader<'_>) -> String {
    let name = reader.text_or("GEMINI_MODEL", DEFAULT_MODEL);
    let begins = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    let rest = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '@');
    if !begins || !name.chars().all(rest) || name.len() > 100 {
        let message = format!(
            "'{}' is no model's name; expected one such as {DEFAULT_MODEL}",
            shown(&name)
        );
        reader.problem("GEMINI_MODEL", message);
    }
    name
}

/// A key that travels in the clear is anybody's: only the machine itself is asked without TLS.
fn base_url(reader: &mut Reader<'_>) -> Option<Url> {
    let text = reader.text("GEMINI_BASE_URL")?;
    match text.parse::<Url>() {
        Ok(mut url) if is_bare(&url) && (url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url))) => {
            if !url.path().ends_with('/') {
                url.set_path(&format!("{}/", url.path()));
            }
            Some(url)
        }
        // It is not repeated, because people put passwords into addresses.
        _ => {
            let expected = "an https address such as https://gemini.example.com, without user, query and fragment; http on loopback alone";
            reader.problem("GEMINI_BASE_URL", format!("is not allowed; expected {expected}"));
            None
        }
    }
}

fn vertex_access(reader: &mut Reader<'_>, project: Option<String>, location: String, metadata: &str) -> Option<Access> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
    match &project {
        None => reader.problem(
            "GOOGLE_CLOUD_PROJECT",
            "is not set; GEMINI_VERTEX=true needs the project that pays",
        ),
        Some(project) if project.len() > 100 || !project.chars().all(plain) => {
            reader.problem("GOOGLE_CLOUD_PROJECT", "expected a project's id such as my-project-123");
        }
        Some(_) => {}
    }
    let is_location = location.starts_with(|c: char| c.is_ascii_lowercase())
        && location.len() <= 40
        && location
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if !is_location {
        let message = format!(
            "'{}' is no location; expected a region such as {DEFAULT_LOCATION}, us, eu or global",
            shown(&location)
        );
        reader.problem("GCP_REGION", message);
    }
    let metadata = match format!("http://{metadata}/").parse::<Url>() {
        Ok(url) if is_bare(&url) && url.path() == "/" => Some(url),
        _ => {
            reader.problem(
                "GCE_METADATA_HOST",
                format!("expected host or host:port, such as {METADATA_HOST}"),
            );
            None
        }
    };
    Some(Access::Vertex(VertexAccess {
        project: project?,
        location: is_location.then_some(location)?,
        metadata: metadata?,
    }))
}

/// Where Google has the interface: one name for all of the world, names of their own for multi-regions and for regions.
fn default_base_url(access: &Access) -> Option<Url> {
    let text = match access {
        Access::Key(_) => AI_STUDIO.to_owned(),
        Access::Vertex(vertex) => match vertex.location.as_str() {
            "global" => "https://aiplatform.googleapis.com/".to_owned(),
            multi @ ("us" | "eu") => format!("https://aiplatform.{multi}.rep.googleapis.com/"),
            region => format!("https://{region}-aiplatform.googleapis.com/"),
        },
    };
    text.parse().ok()
}

fn is_bare(url: &Url) -> bool {
    url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none()
}

fn is_loopback(url: &Url) -> bool {
    url.host_str().is_some_and(|host| {
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    })
}

fn shown(text: &str) -> String {
    text.chars().take(60).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests;
