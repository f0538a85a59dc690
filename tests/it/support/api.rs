//! A plain HTTP/1.1 client: one connection a request, so that a test decides when it ends.

use std::net::SocketAddr;
use std::path::PathBuf;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, UnixStream};

use super::contract;

/// Receive buffer of every connection, in bytes: small, so that a client that does not read holds the server up.
const RECEIVE_BUFFER: u32 = 64 * 1024;

/// Where a server listens.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// A server as one caller sees it.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    target: Target,
    headers: Vec<(String, String)>,
}

/// A whole answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) trailers: HeaderMap,
}

/// An answer whose body is still to be read. Dropping it closes the connection.
#[derive(Debug)]
pub(crate) struct Streaming {
    pub(crate) response: Response<Incoming>,
    connection: tokio::task::JoinHandle<()>,
}

impl Drop for Streaming {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl Streaming {
    /// The next piece of the body; none at its end.
    pub(crate) async fn chunk(&mut self) -> Option<Bytes> {
        self.try_chunk().await.expect("the body breaks off")
    }

    /// The same; an error when the body breaks off.
    pub(crate) async fn try_chunk(&mut self) -> hyper::Result<Option<Bytes>> {
        while let Some(frame) = self.response.body_mut().frame().await {
            if let Ok(data) = frame?.into_data() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }

    /// The rest of the body; an error when it breaks off.
    pub(crate) async fn rest(mut self) -> hyper::Result<Answer> {
        let (head, body) = self.take().into_parts();
        let collected = body.collect().await?;
        let trailers = collected.trailers().cloned().unwrap_or_default();
        Ok(Answer { status: head.status.as_u16(), headers: head.headers, body: collected.to_bytes(), trailers })
    }

    fn take(&mut self) -> Response<&mut Incoming> {
        let mut head = Response::new(());
        *head.status_mut() = self.response.status();
        *head.headers_mut() = self.response.headers().clone();
        head.map(|()| self.response.body_mut())
    }
}

impl Api {
    pub(crate) fn new(target: Target) -> Self {
        Self { target, headers: Vec::new() }
    }

    /// The same caller at another server.
    pub(crate) fn at(&self, target: Target) -> Self {
        Self { target, ..self.clone() }
    }

    /// Sends this header with every request, in place of an earlier one of the name.
    pub(crate) fn with(&self, name: &str, value: impl Into<String>) -> Self {
        let mut api = self.clone();
        api.headers.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
        api.headers.push((name.to_owned(), value.into()));
        api
    }

    pub(crate) fn bearer(&self, token: &str) -> Self {
        self.with(AUTHORIZATION.as_str(), format!("Bearer {token}"))
    }

    pub(crate) fn basic(&self, email: &str, password: &str) -> Self {
        use base64::Engine as _;
        let encoded = base64::prelude::BASE64_STANDARD.encode(format!("{email}:{password}"));
        self.with(AUTHORIZATION.as_str(), format!("Basic {encoded}"))
    }

    /// Sends a request and waits for the head of the answer.
    ///
    /// # Errors
    /// When the connection fails.
    pub(crate) async fn open(&self, method: &str, path: &str, body: impl Into<Bytes>) -> std::io::Result<Streaming> {
        match &self.target {
            Target::Tcp(address) => {
                let socket = TcpSocket::new_v4()?;
                socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
                let stream = socket.connect(*address).await?;
                stream.set_nodelay(true)?;
                self.over(stream, method, path, body.into()).await
            }
            Target::Unix(path_of_socket) => {
                let stream = UnixStream::connect(path_of_socket).await?;
                self.over(stream, method, path, body.into()).await
            }
        }
    }

    async fn over<S>(&self, stream: S, method: &str, path: &str, body: Bytes) -> std::io::Result<Streaming>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut request = Request::builder().method(method.parse::<Method>().unwrap()).uri(path);
        if !self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            request = request.header(HOST, "localhost");
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(body)).unwrap();
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(std::io::Error::other)?;
        // Its failure shows in the answer's body.
        let connection = tokio::spawn(async move { drop(connection.await) });
        let response = sender.send_request(request).await.map_err(std::io::Error::other)?;
        Ok(Streaming { response, connection })
    }

    /// Sends a request and reads the whole answer, or tells how the connection failed.
    pub(crate) async fn try_send(&self, method: &str, path: &str, body: impl Into<Bytes>) -> std::io::Result<Answer> {
        let answer = self.open(method, path, body).await?.rest().await.map_err(std::io::Error::other)?;
        if let Target::Tcp(_) = self.target {
            contract::check(method, path, &answer);
        }
        Ok(answer)
    }

    /// Sends a request and reads the whole answer, which must keep to the documented contract.
    pub(crate) async fn send(&self, method: &str, path: &str, body: impl Into<Bytes>) -> Answer {
        self.try_send(method, path, body).await.unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, Bytes::new()).await
    }

    pub(crate) async fn post_json(&self, path: &str, body: &Value) -> Answer {
        self.with(CONTENT_TYPE.as_str(), "application/json").send("POST", path, body.to_string()).await
    }

    /// `POST /api/v1/activities` with NDJSON.
    pub(crate) async fn ingest(&self, body: impl Into<Bytes>) -> Answer {
        self.with(CONTENT_TYPE.as_str(), "application/x-ndjson").send("POST", "/api/v1/activities", body).await
    }

    /// `POST …/queryActivities` for one anomaly.
    pub(crate) async fn query(&self, incident: impl Into<Value>) -> Answer {
        self.post_json(QUERY, &serde_json::json!({ "incident_id": incident.into() })).await
    }
}

/// The route of the wire contract.
pub(crate) const QUERY: &str = "/shnapi/rest/external/api/v1/queryActivities";

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is UTF-8")
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The objects of a body that is one a line, or of one that is an object.
    pub(crate) fn json_lines(&self) -> Vec<Value> {
        self.text().lines().map(|line| serde_json::from_str(line).unwrap_or(Value::Null)).collect()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("a header is text"))
    }

    /// The answer, which must have this status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        self
    }

    /// Status, type and JSON body for a snapshot; the id of the request is left out.
    pub(crate) fn shown(&self) -> String {
        let mut body = self.json();
        if let Some(id) = body.get_mut("requestId") {
            *id = "[id]".into();
        }
        let content_type = self.header("content-type").unwrap_or_default();
        format!("{} {content_type}\n{}", self.status, serde_json::to_string_pretty(&body).unwrap())
    }

    /// Records of a CSV body after its header line, as their cells.
    pub(crate) fn rows(&self) -> Vec<Vec<String>> {
        let mut rows = super::records::csv(self.text());
        if !rows.is_empty() {
            let header = rows.remove(0);
            assert_eq!(header, super::records::header(), "the header line");
        }
        rows
    }

    /// The cells of one column of a CSV body.
    pub(crate) fn column(&self, name: &str) -> Vec<String> {
        let index = super::records::header().iter().position(|c| *c == name).expect("a column");
        self.rows().into_iter().map(|mut row| row.swap_remove(index)).collect()
    }
}
