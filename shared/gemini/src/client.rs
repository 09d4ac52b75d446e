//! Asking the model.

use std::fmt;
use std::sync::Arc;

use reqwest::{Client, RequestBuilder};
use threatstream_runtime::Secret;
use tokio::sync::OnceCell;

use crate::config::{Access, GeminiConfig};
use crate::error::{GeminiError, Peer};
use crate::model::ModelInfo;
use crate::token::Tokens;
use crate::transport::{self, Exchange, header};

/// A model, and how it is reached. Clones share connections and the token.
#[derive(Clone)]
pub struct Gemini(Arc<Inner>);

struct Inner {
    config: GeminiConfig,
    credentials: Credentials,
    /// Made when something is first asked: it reads the system's certificates, and starting up must not wait for that.
    client: OnceCell<Client>,
}

enum Credentials {
    Key(Secret<String>),
    ServiceAccount(Tokens),
}

impl Gemini {
    /// Sends nothing yet.
    #[must_use]
    pub fn new(config: GeminiConfig) -> Self {
        let credentials = match &config.access {
            Access::Key(key) => Credentials::Key(key.clone()),
            Access::Vertex(vertex) => Credentials::ServiceAccount(Tokens::new(&vertex.metadata, config.timeout)),
        };
        Self(Arc::new(Inner {
            config,
            credentials,
            client: OnceCell::new(),
        }))
    }

    /// Which model, where, and as whom.
    #[must_use]
    pub fn config(&self) -> &GeminiConfig {
        &self.0.config
    }

    /// Asks what the model is, which costs nothing and generates nothing. One request, with Vertex AI at times one more for the token; each
    /// takes at most [`GeminiConfig::timeout`], and none is repeated.
    ///
    /// # Errors
    /// The model is not reached, the credentials do not serve, there is no such model, or it cannot generate content.
    pub async fn probe(&self) -> Result<ModelInfo, GeminiError> {
        let Inner { config, client, .. } = &*self.0;
        let client = client.get_or_try_init(transport::client).await?;
        let request = client.get(config.model_url());
        let (request, secret) = self.0.credentials.attach(client, request).await?;
        let exchange = Exchange {
            peer: Peer::Gemini,
            request,
            what: &format!("the model {}", config.model),
            secret: Some(&secret),
            limit: config.timeout,
        };
        let answer = exchange.run().await;
        if let Err(GeminiError::Denied { status: 401, .. }) = &answer {
            self.0.credentials.refused(&secret).await;
        }
        ModelInfo::parse(&answer?, secret.expose())
    }
}

impl Credentials {
    /// The request with what it proves itself with, and that alone, so that it can be kept out of every message.
    async fn attach(
        &self,
        client: &Client,
        request: RequestBuilder,
    ) -> Result<(RequestBuilder, Secret<String>), GeminiError> {
        match self {
            Self::Key(key) => {
                let value = header(Peer::Gemini, key.expose())?;
                Ok((request.header("x-goog-api-key", value), key.clone()))
            }
            Self::ServiceAccount(tokens) => {
                let token = tokens.get(client).await?;
                let value = header(Peer::Metadata, &format!("Bearer {}", token.expose()))?;
                Ok((request.header(http::header::AUTHORIZATION, value), token))
            }
        }
    }

    async fn refused(&self, secret: &Secret<String>) {
        if let Self::ServiceAccount(tokens) = self {
            tokens.forget(secret).await;
        }
    }
}

impl fmt::Debug for Gemini {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Gemini").field(&self.0.config).finish()
    }
}
