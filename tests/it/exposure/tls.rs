//! TLS: handshakes, both versions of HTTP, a certificate that changes, clients that speak something else.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use anomalake::api::serve::{Endpoint, Tls, serve_public};

use super::{MS, Raw, statuses};
use crate::support::process::ProcessDir;
use crate::support::wait::until;
use crate::support::{NOW_MS, TestServer};

/// Keys and certificates that protect nothing but these tests.
fn test_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tls").join(format!("test-only-{name}"))
}

/// A TLS listener over the services of a test server.
struct Encrypted {
    address: SocketAddr,
    files: TempDir,
    stop: CancellationToken,
    serving: AbortOnDropHandle<std::io::Result<()>>,
}

impl Encrypted {
    async fn over(server: &TestServer) -> Self {
        let files = tempfile::tempdir().unwrap();
        put(&files, "first");
        let tls =
            Tls::load(&files.path().join("chain.pem"), &files.path().join("key.pem")).unwrap().looking_every(MS(50));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let endpoint = Endpoint::new(listener, Some(tls));
        assert_eq!(endpoint.url().unwrap(), format!("https://{address}"));
        let (stop, services) = (CancellationToken::new(), Arc::clone(&server.owner.services));
        let until = stop.clone();
        let serving = tokio::spawn(async move { serve_public(endpoint, &services, until).await });
        Self { address, files, stop, serving: AbortOnDropHandle::new(serving) }
    }

    async fn connect(&self, protocols: &[&str]) -> TlsStream<TcpStream> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        connect_over(stream, protocols).await.unwrap()
    }

    /// The certificate that a new connection is shown.
    async fn shown(&self) -> CertificateDer<'static> {
        let stream = self.connect(&["http/1.1"]).await;
        stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
    }
}

/// Puts a pair in place the way that renewals do: by renaming.
fn put(files: &TempDir, name: &str) {
    for (from, to) in [(format!("{name}.pem"), "chain.pem"), (format!("{name}.key.pem"), "key.pem")] {
        let next = files.path().join("next");
        std::fs::copy(test_file(&from), &next).unwrap();
        std::fs::rename(next, files.path().join(to)).unwrap();
    }
}

fn certificate(name: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(test_file(name)).unwrap()
}

async fn connect_over(stream: TcpStream, protocols: &[&str]) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate("ca.pem")).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("localhost").unwrap(), stream).await
}

fn get(path: &str) -> Request<Full<Bytes>> {
    Request::get(format!("https://localhost{path}")).header("host", "localhost").body(Full::default()).unwrap()
}

#[tokio::test]
async fn both_versions_of_http_are_served() {
    let server = TestServer::start().await;
    let encrypted = Encrypted::over(&server).await;

    let stream = encrypted.connect(&["http/1.1"]).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    let _connection = AbortOnDropHandle::new(tokio::spawn(connection));
    for _ in 0..2 {
        let answer = sender.send_request(get("/healthz")).await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.into_body().collect().await.unwrap();
    }

    let stream = encrypted.connect(&["h2", "http/1.1"]).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let io = TokioIo::new(stream);
    let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    let connection = tokio::spawn(connection);
    let requests = (0..20).map(|_| {
        let mut sender = sender.clone();
        async move { sender.send_request(get("/healthz")).await.unwrap().status() }
    });
    assert!(futures::future::join_all(requests).await.iter().all(|status| *status == 200));

    // A stop says goodbye on a connection that is open and idle.
    encrypted.stop.cancel();
    tokio::time::timeout(Duration::from_secs(10), connection).await.unwrap().unwrap().unwrap();
    encrypted.serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_new_certificate_is_taken_over_and_a_broken_one_is_not() {
    let server = TestServer::start().await;
    let encrypted = Encrypted::over(&server).await;
    assert_eq!(encrypted.shown().await, certificate("first.pem"));
    let kept = encrypted.connect(&["http/1.1"]).await;
    put(&encrypted.files, "second");
    until("the new certificate", async || encrypted.shown().await == certificate("second.pem")).await;

    // No certificate at all, half of one, and a key of another: the last good pair stays.
    let whole = std::fs::read(test_file("first.pem")).unwrap();
    for broken in [&b""[..], &whole[..whole.len() / 2], &whole[..]] {
        std::fs::write(encrypted.files.path().join("chain.pem"), broken).unwrap();
        tokio::time::sleep(MS(250)).await;
        assert_eq!(encrypted.shown().await, certificate("second.pem"));
    }
    std::fs::remove_file(encrypted.files.path().join("key.pem")).unwrap();
    tokio::time::sleep(MS(250)).await;
    assert_eq!(encrypted.shown().await, certificate("second.pem"));
    // Once the pair is whole again it counts; connections from before live on.
    put(&encrypted.files, "first");
    until("the first certificate again", async || encrypted.shown().await == certificate("first.pem")).await;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(kept)).await.unwrap();
    let _connection = AbortOnDropHandle::new(tokio::spawn(connection));
    assert_eq!(sender.send_request(get("/healthz")).await.unwrap().status(), 200);
}

#[tokio::test]
async fn silent_handshakes_hold_up_nobody_and_end() {
    let server = TestServer::start_with(|settings| settings.header_timeout = MS(2_000)).await;
    let encrypted = Encrypted::over(&server).await;
    let mut silent = Vec::new();
    for begun in [&b""[..], b"\x16", b"\x16\x03\x01\x02\x00\x01"] {
        for _ in 0..10 {
            silent.push(Raw::say_to(encrypted.address, begun).await);
        }
    }
    assert_eq!(encrypted.shown().await, certificate("first.pem"));
    for mut raw in silent {
        raw.hear_all().await;
    }
    // A handshake without a request has no more time either.
    let mut idle = encrypted.connect(&["http/1.1"]).await;
    let mut byte = [0];
    let read = tokio::io::AsyncReadExt::read(&mut idle, &mut byte);
    let ended = tokio::time::timeout(Duration::from_secs(10), read).await.expect("it is closed");
    assert!(!ended.is_ok_and(|bytes| bytes > 0));
}

#[tokio::test]
async fn plain_http_is_told_to_speak_tls() {
    let server = TestServer::start().await;
    let encrypted = Encrypted::over(&server).await;
    let answer =
        Raw::say_to(encrypted.address, "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.hear_until("here\n").await;
    assert_eq!(statuses(&answer), ["400"]);
    assert!(answer.contains("https://"), "{answer}");
    // Other noise is no reason to fall over.
    for noise in [&b"\x16\x03\x01\xff\xff"[..], &[0x16; 4_000], b"\x80\x2e\x01\x03\x01", b"\0\0\0\0"] {
        Raw::say_to(encrypted.address, noise).await;
    }
    assert_eq!(encrypted.shown().await, certificate("first.pem"));
}

#[tokio::test]
async fn an_ingest_and_an_export_pass_through() {
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    let encrypted = Encrypted::over(&server).await;
    let records: Vec<_> =
        (0..3_000).map(|n| crate::support::records::activity(NOW_MS + n, "ann", &format!("f{n}"))).collect();
    let stream = encrypted.connect(&["h2"]).await;
    let io = TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    let _connection = AbortOnDropHandle::new(tokio::spawn(connection));
    let request = |method: &str, path: &str, body: String| {
        Request::builder()
            .method(method)
            .uri(format!("https://localhost{path}"))
            .header("authorization", format!("Bearer {}", tenant.token))
            .body(Full::new(Bytes::from(body)))
            .unwrap()
    };
    let body = crate::support::records::ndjson(&records);
    let stored = sender.send_request(request("POST", "/api/v1/activities", body)).await.unwrap();
    assert_eq!(stored.status(), 200);
    let id = tenant.of_user("ann").await;
    let path = format!("/api/v1/anomalies/{id}/activities");
    let answer = sender.send_request(request("GET", &path, String::new())).await.unwrap();
    let csv = answer.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(csv, tenant.api.get(&path).await.expect(200).body);
}

#[tokio::test]
async fn the_program_serves_https_and_refuses_plain_http_beyond_loopback() {
    let dir = ProcessDir::new();
    let (chain, key) = (test_file("first.pem"), test_file("first.key.pem"));
    let ended = async |listen: &str, args: &[&OsStr]| {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_anomalake"));
        command.arg("serve").arg("--data-dir").arg(dir.data()).args(["--listen", listen]).args(args);
        let output = command.output().await.unwrap();
        assert_eq!(output.stdout, b"");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, error) = ended("0.0.0.0:0", &[]).await;
    assert_eq!(code, Some(2), "{error}");
    assert!(error.contains("--tls-cert") && error.contains("--allow-plain-http"), "{error}");
    let (code, error) = ended("127.0.0.1:0", &["--tls-cert".as_ref(), chain.as_ref()]).await;
    assert_eq!(code, Some(2), "{error}");
    assert!(error.contains("--tls-key"), "{error}");
    let swapped = ["--tls-cert".as_ref(), key.as_os_str(), "--tls-key".as_ref(), chain.as_os_str()];
    let (code, error) = ended("127.0.0.1:0", &swapped).await;
    assert_eq!(code, Some(1), "{error}");
    assert!(error.contains("holds no certificate chain in PEM"), "{error}");

    let process =
        dir.serve_with(&["--tls-cert".as_ref(), chain.as_ref(), "--tls-key".as_ref(), key.as_ref()], "https").await;
    let stream = connect_over(TcpStream::connect(process.address).await.unwrap(), &["http/1.1"]).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    let _connection = AbortOnDropHandle::new(tokio::spawn(connection));
    assert_eq!(sender.send_request(get("/healthz")).await.unwrap().status(), 200);
    process.terminate().await;
    assert!(process.ended().await.success());
}
