//! How a command reaches the services: through the owner of the data directory when there is one,
//! else in this process. Either way it speaks the same routes.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HOST};
use axum::http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tower::ServiceExt;

use super::owner::{OwnError, Owner};
use crate::api::caller::OPERATOR_TENANT;
use crate::api::control_router;
use crate::api::serve::short_path;
use crate::domain::clock::SystemClock;
use crate::domain::tenant::TenantId;
use crate::lake::layout::DataDir;
use crate::services::settings::ServerSettings;

/// How long a command waits for an owner that is starting or stopping.
const PATIENCE: Duration = Duration::from_secs(15);

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The data directory cannot be used.
    #[error(transparent)]
    Own(#[from] OwnError),
    /// The owner does not answer.
    #[error("process {pid} owns the data directory but does not answer on its control socket: {source}")]
    Unreachable {
        /// The owner.
        pid: String,
        /// What happened.
        source: io::Error,
    },
    /// The request could not be sent or its answer not be read.
    #[error("the request failed: {0}")]
    Transport(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The request was refused.
    #[error("{message}")]
    Refused {
        /// Status.
        status: StatusCode,
        /// Stable code.
        code: String,
        /// What happened and what to do.
        message: String,
        /// The field or thing at fault.
        target: Option<String>,
        /// More, as JSON.
        details: Option<serde_json::Value>,
    },
}

/// The way to the services.
#[derive(Debug)]
pub enum Client {
    /// This process owns the directory.
    InProcess(Box<Owner>),
    /// Another process owns it.
    Socket(PathBuf),
}

/// Body of an error.
#[derive(serde::Deserialize)]
struct Refusal {
    // The wire family /api/v2 has none.
    #[serde(default)]
    code: String,
    message: String,
    target: Option<String>,
    details: Option<serde_json::Value>,
}

impl Client {
    /// Finds the owner of the directory, or becomes it for the time of this command.
    ///
    /// # Errors
    /// [`ClientError::Own`], [`ClientError::Unreachable`].
    pub async fn connect(data_dir: &Path) -> Result<Self, ClientError> {
        Self::connect_with(data_dir, &ServerSettings::default()).await
    }

    /// The same, with settings for the case that it becomes the owner.
    ///
    /// # Errors
    /// As [`Client::connect`].
    pub async fn connect_with(data_dir: &Path, settings: &ServerSettings) -> Result<Self, ClientError> {
        let socket = DataDir::create(data_dir)
            .map_err(|source| OwnError::Io { dir: data_dir.display().to_string(), source })?
            .control_socket();
        let begun = Instant::now();
        loop {
            let pid = match Owner::take(data_dir, settings.clone(), Arc::new(SystemClock)).await {
                Ok(owner) => return Ok(Self::InProcess(Box::new(owner))),
                Err(OwnError::InUse { pid, .. }) => pid,
                Err(error) => return Err(error.into()),
            };
            match open(&socket).await {
                Ok(_) => return Ok(Self::Socket(socket)),
                Err(source) if begun.elapsed() > PATIENCE => return Err(ClientError::Unreachable { pid, source }),
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    /// Sends a request and returns the answer's head and body, whatever its status.
    ///
    /// # Errors
    /// [`ClientError::Transport`].
    pub async fn send(&self, mut request: Request<Body>) -> Result<Response<Body>, ClientError> {
        match self {
            Self::InProcess(owner) => {
                let answer = control_router(&owner.services).oneshot(request).await;
                answer.map_err(|never| match never {})
            }
            Self::Socket(path) => {
                request.headers_mut().insert(HOST, axum::http::HeaderValue::from_static("localhost"));
                let stream = open(path).await.map_err(transport)?;
                let (mut sender, connection) =
                    hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(transport)?;
                // It ends with the answer's body, which tells of its failures.
                tokio::spawn(connection);
                Ok(sender.send_request(request).await.map_err(transport)?.map(Body::new))
            }
        }
    }

    /// Sends a request and refuses every answer that is no success.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with the server's own words, [`ClientError::Transport`].
    pub async fn call(&self, request: Request<Body>) -> Result<Response<Body>, ClientError> {
        let response = self.send(request).await?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let bytes = response.into_body().collect().await.map_err(transport)?.to_bytes();
        let refusal = serde_json::from_slice(&bytes).unwrap_or_else(|_| Refusal {
            code: "unknown".to_owned(),
            message: format!("the server answered {status}"),
            target: None,
            details: None,
        });
        let Refusal { code, message, target, details } = refusal;
        Err(ClientError::Refused { status, code, message, target, details })
    }

    /// Sends JSON, or nothing, and reads a JSON answer.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn json<B: Serialize, T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        tenant: Option<TenantId>,
        body: Option<&B>,
    ) -> Result<T, ClientError> {
        let bytes = self.bytes(method, path, tenant, body).await?;
        serde_json::from_slice(&bytes).map_err(transport)
    }

    /// As [`Client::json`], for answers without a body.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn no_content<B: Serialize>(
        &self,
        method: Method,
        path: &str,
        body: Option<&B>,
    ) -> Result<(), ClientError> {
        self.bytes(method, path, None, body).await.map(drop)
    }

    async fn bytes<B: Serialize>(
        &self,
        method: Method,
        path: &str,
        tenant: Option<TenantId>,
        body: Option<&B>,
    ) -> Result<bytes::Bytes, ClientError> {
        let body = match body {
            Some(body) => Body::from(serde_json::to_vec(body).map_err(transport)?),
            None => Body::empty(),
        };
        let mut request = Self::request(method, path, tenant).header(CONTENT_TYPE, "application/json");
        request = request.header(axum::http::header::ACCEPT, "*/*");
        let response = self.call(request.body(body).map_err(transport)?).await?;
        Ok(response.into_body().collect().await.map_err(transport)?.to_bytes())
    }

    /// Starts a request to a route, in the name of a tenant's operator.
    #[must_use]
    pub fn request(method: Method, path: &str, tenant: Option<TenantId>) -> axum::http::request::Builder {
        let request = Request::builder().method(method).uri(path);
        match tenant {
            Some(tenant) => request.header(OPERATOR_TENANT, tenant.to_string()),
            None => request,
        }
    }

    /// Ends the command: what this process owns it writes down and gives back.
    pub async fn close(self) {
        if let Self::InProcess(owner) = self {
            owner.release().await;
        }
    }
}

async fn open(socket: &Path) -> io::Result<UnixStream> {
    let short = short_path(socket)?;
    UnixStream::connect(short.path()).await
}

/// A failure on the way.
pub fn transport(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ClientError {
    ClientError::Transport(error.into())
}
