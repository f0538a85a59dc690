//! TLS under the connections: rustls with aws-lc-rs, HTTP/2 and HTTP/1.1 by ALPN.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::certificate::{Certificate, CertificateError};

/// How often the certificate's files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// First byte of every TLS connection: a record that holds a handshake.
const HANDSHAKE: u8 = 0x16;

/// Said to a client that speaks plain HTTP to this port.
const SPEAK_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-type: text/plain\r\n\
content-length: 40\r\n\r\nthis port speaks TLS; use https:// here\n";

/// What a TLS listener needs; cheap to clone.
#[derive(Clone)]
pub struct Tls {
    acceptor: TlsAcceptor,
    certificate: Arc<Certificate>,
    look_every: Duration,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

impl Tls {
    /// Reads a certificate chain, leaf first, and its private key, both PEM. Blocks for two small files.
    ///
    /// # Errors
    /// [`CertificateError`], naming the file at fault.
    pub fn load(chain: &Path, key: &Path) -> Result<Self, CertificateError> {
        // Two providers are in the tree, so none is the process's default; this is ours.
        let provider: Arc<CryptoProvider> = Arc::new(aws_lc_rs::default_provider());
        let certificate = Arc::new(Certificate::load(chain, key, Arc::clone(&provider))?);
        let builder = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(CertificateError::Provider)?;
        let mut config = builder.with_no_client_auth().with_cert_resolver(Arc::<Certificate>::clone(&certificate));
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), certificate, look_every: LOOK_EVERY })
    }

    /// The same, looking for new files at another interval than the 5 seconds of the default.
    #[must_use]
    pub fn looking_every(self, look_every: Duration) -> Self {
        Self { look_every, ..self }
    }

    /// Takes over new files as they come, until it is aborted.
    pub(super) fn watch(&self) -> JoinHandle<()> {
        tokio::spawn(Arc::clone(&self.certificate).follow(self.look_every))
    }

    /// The handshake of one connection, in at most `patience`.
    ///
    /// # Errors
    /// When the client speaks no TLS, disagrees, or is too slow.
    pub(super) async fn handshake(
        &self,
        mut stream: TcpStream,
        patience: Option<Duration>,
    ) -> io::Result<TlsStream<TcpStream>> {
        let shake = async {
            let mut first = [0];
            if stream.peek(&mut first).await? == 1 && first[0] != HANDSHAKE {
                stream.write_all(SPEAK_TLS).await?;
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the client speaks no TLS"));
            }
            self.acceptor.accept(stream).await
        };
        match patience {
            Some(patience) => tokio::time::timeout(patience, shake).await?,
            None => shake.await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refusal_states_its_length() {
        let text = std::str::from_utf8(SPEAK_TLS).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}", body.len())), "{text}");
    }
}
