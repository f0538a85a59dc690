//! A client over loopback that reads and throws away.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_util::io::ReaderStream;

/// Bytes of a file that are read at once.
const READ_BYTES: usize = 256 << 10;

/// A connection with credentials.
pub struct Client {
    sender: SendRequest<Body>,
    token: String,
}

/// What came, and when.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// From the request to the first whole row behind the header line; only of plain text.
    pub first_row: Duration,
    /// From the request to the last byte.
    pub whole: Duration,
    pub bytes: u64,
}

impl Client {
    pub async fn connect(address: SocketAddr, token: &str) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self { sender, token: token.to_owned() }
    }

    fn request(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Body) -> Request<Body> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost")
            .header("authorization", format!("Bearer {}", self.token));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(body).unwrap()
    }

    /// Reads an answer to its end. Anything but success ends the run.
    async fn read(&mut self, request: Request<Body>, mut chunk: impl FnMut(&Bytes)) -> Seen {
        let begun = Instant::now();
        self.sender.ready().await.unwrap();
        let response = self.sender.send_request(request).await.unwrap();
        let status = response.status();
        let mut body = response.into_body();
        let (mut first_row, mut bytes, mut lines) = (None, 0, 0_usize);
        let mut told = Vec::new();
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.unwrap().into_data() else { continue };
            bytes += data.len() as u64;
            if first_row.is_none() {
                lines += memchr::memchr_iter(b'\n', &data).count();
                if lines >= 2 {
                    first_row = Some(begun.elapsed());
                }
            }
            if !status.is_success() {
                told.extend_from_slice(&data);
            }
            chunk(&data);
        }
        let whole = begun.elapsed();
        assert!(status.is_success(), "{status}: {}", String::from_utf8_lossy(&told));
        Seen { first_row: first_row.unwrap_or(whole), whole, bytes }
    }

    /// An anomaly's activities by `queryActivities`.
    pub async fn query_activities(&mut self, anomaly: i64, coding: &str) -> Seen {
        let body = Body::from(format!("{{\"incident_id\":{anomaly}}}"));
        let path = "/shnapi/rest/external/api/v1/queryActivities";
        let request = self.request(Method::POST, path, &[("accept-encoding", coding)], body);
        self.read(request, |_| ()).await
    }

    /// Rows of an anomaly, counted once.
    pub async fn rows_of(&mut self, anomaly: i64) -> u64 {
        let body = Body::from(format!("{{\"incident_id\":{anomaly}}}"));
        let request = self.request(Method::POST, "/shnapi/rest/external/api/v1/queryActivities", &[], body);
        let mut lines = 0;
        self.read(request, |data| lines += memchr::memchr_iter(b'\n', data).count() as u64).await;
        lines.saturating_sub(1)
    }

    pub async fn get(&mut self, path: &str) -> Seen {
        let request = self.request(Method::GET, path, &[], Body::empty());
        self.read(request, |_| ()).await
    }

    pub async fn json(&mut self, method: Method, path: &str, body: Option<&Value>) -> Value {
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let headers = [("accept", "application/json"), ("content-type", "application/json")];
        let request = self.request(method, path, &headers, body);
        let mut text = Vec::new();
        self.read(request, |data| text.extend_from_slice(data)).await;
        serde_json::from_slice(&text).unwrap()
    }

    /// A statement, its rows read as Arrow and thrown away.
    pub async fn sql(&mut self, statement: &Value) -> Seen {
        let headers = [("accept", "application/vnd.apache.arrow.stream"), ("content-type", "application/json")];
        let request = self.request(Method::POST, "/api/v1/sql", &headers, Body::from(statement.to_string()));
        self.read(request, |_| ()).await
    }

    /// Sends files as one body; the answer tells how many rows were accepted.
    pub async fn ingest(&mut self, files: Vec<PathBuf>, media_type: &str) -> u64 {
        let chunks = futures::stream::iter(files);
        let chunks = futures::StreamExt::then(chunks, |file| async move {
            ReaderStream::with_capacity(tokio::fs::File::open(file).await.unwrap(), READ_BYTES)
        });
        let body = Body::from_stream(futures::StreamExt::flatten(chunks));
        let request = self.request(Method::POST, "/api/v1/activities", &[("content-type", media_type)], body);
        self.sender.ready().await.unwrap();
        let response = self.sender.send_request(request).await.unwrap();
        let status = response.status();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(status, StatusCode::OK, "{}", String::from_utf8_lossy(&bytes));
        serde_json::from_slice::<Value>(&bytes).unwrap()["accepted"].as_u64().unwrap()
    }
}
