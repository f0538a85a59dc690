//! The server's certificate: read from two PEM files, and read again when they change.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use std::{fmt, io};

use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::services::evidence::chain as causes;

/// A certificate that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file holds no certificate, or not only PEM.
    #[error("{path} holds no certificate chain in PEM")]
    Chain {
        /// The file.
        path: PathBuf,
        /// What its reader said.
        source: rustls_pki_types::pem::Error,
    },
    /// The file holds no private key.
    #[error("{path} holds no private key in PEM")]
    Key {
        /// The file.
        path: PathBuf,
        /// What its reader said.
        source: rustls_pki_types::pem::Error,
    },
    /// Certificate and key do not belong together, or are of a kind that is not known.
    #[error("the certificate in {chain} and the key in {key} cannot be used together")]
    Pair {
        /// File of the certificate chain.
        chain: PathBuf,
        /// File of the key.
        key: PathBuf,
        /// What the library said.
        source: rustls::Error,
    },
    /// The cryptography does not work on this machine.
    #[error("TLS cannot be set up")]
    Provider(#[source] rustls::Error),
}

/// What a file looks like from outside; another look means that it may hold something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Look {
    inode: u64,
    bytes: u64,
    changed: (i64, i64),
}

impl Look {
    fn at(path: &Path) -> Option<Self> {
        // A file that is missing for a moment, because it is being replaced, looks like nothing.
        let data = std::fs::metadata(path).ok()?;
        Some(Self { inode: data.ino(), bytes: data.len(), changed: (data.mtime(), data.mtime_nsec()) })
    }
}

type Looks = [Option<Look>; 2];

/// The certificate in force. A file that cannot be used leaves the one before in force.
pub(super) struct Certificate {
    chain: PathBuf,
    key: PathBuf,
    provider: Arc<CryptoProvider>,
    current: RwLock<Arc<CertifiedKey>>,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("chain", &self.chain).field("key", &self.key).finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl Certificate {
    /// Reads both files.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub(super) fn load(chain: &Path, key: &Path, provider: Arc<CryptoProvider>) -> Result<Self, CertificateError> {
        let current = RwLock::new(Arc::new(read(chain, key, &provider)?));
        Ok(Self { chain: chain.to_owned(), key: key.to_owned(), provider, current })
    }

    /// Looks at the files again and again, and takes over what is new and whole. Polling and no
    /// notification: it also sees the swapped links of mounted secrets and changes on network disks.
    pub(super) async fn follow(self: Arc<Self>, every: Duration) {
        let mut in_force = self.looks().await;
        let mut before = in_force;
        loop {
            tokio::time::sleep(every).await;
            let now = self.looks().await;
            // The same twice: the files are not being written.
            if now != in_force && now == before {
                in_force = now;
                self.reload().await;
            }
            before = now;
        }
    }

    async fn looks(self: &Arc<Self>) -> Looks {
        let this = Arc::clone(self);
        let looks = tokio::task::spawn_blocking(move || [&this.chain, &this.key].map(|path| Look::at(path)));
        // Only a runtime that is shutting down does not run it; then nobody looks any more.
        looks.await.unwrap_or_default()
    }

    async fn reload(self: &Arc<Self>) {
        let this = Arc::clone(self);
        let read = tokio::task::spawn_blocking(move || read(&this.chain, &this.key, &this.provider));
        match read.await {
            Ok(Ok(new)) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(new);
                tracing::info!(file = %self.chain.display(), "took over a new certificate");
            }
            Ok(Err(error)) => {
                tracing::error!(
                    error = causes(&error),
                    "the new certificate cannot be used; the old one stays in force"
                );
            }
            Err(error) => tracing::error!(%error, "could not look at the new certificate"),
        }
    }
}

fn read(chain: &Path, key: &Path, provider: &CryptoProvider) -> Result<CertifiedKey, CertificateError> {
    let text =
        |path: &Path| std::fs::read(path).map_err(|source| CertificateError::Read { path: path.to_owned(), source });
    let wrong_chain = |source| CertificateError::Chain { path: chain.to_owned(), source };
    let certificates =
        CertificateDer::pem_slice_iter(&text(chain)?).collect::<Result<Vec<_>, _>>().map_err(wrong_chain)?;
    if certificates.is_empty() {
        return Err(wrong_chain(rustls_pki_types::pem::Error::NoItemsFound));
    }
    let private = PrivateKeyDer::from_pem_slice(&text(key)?)
        .map_err(|source| CertificateError::Key { path: key.to_owned(), source })?;
    CertifiedKey::from_der(certificates, private, provider).map_err(|source| CertificateError::Pair {
        chain: chain.to_owned(),
        key: key.to_owned(),
        source,
    })
}
