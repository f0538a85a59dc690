//! One process owns a data directory: it holds the lock, runs the services, and answers the others
//! through the control socket.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::api::serve::ControlSocket;
use crate::domain::clock::Clock;
use crate::lake::layout::DataDir;
use crate::services::backup::RESTORING;
use crate::services::settings::ServerSettings;
use crate::services::{Services, StartError};

/// Why this process cannot own the directory.
#[derive(Debug, thiserror::Error)]
pub enum OwnError {
    /// Another process owns it.
    #[error("the data directory {dir} is in use by process {pid}")]
    InUse {
        /// The directory.
        dir: String,
        /// The owner, as far as known.
        pid: String,
    },
    /// The directory or its lock cannot be used.
    #[error("cannot use the data directory {dir}: {source}")]
    Io {
        /// The directory.
        dir: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// A restore into it was not finished.
    #[error("the data directory {dir} holds a backup that was restored only in part")]
    Unfinished {
        /// The directory.
        dir: String,
    },
    /// The services cannot start.
    #[error(transparent)]
    Start(#[from] StartError),
}

/// Longest time for other commands' requests when the owner stops.
const CONTROL_GRACE: Duration = Duration::from_mins(1);

/// How often the databases of addresses are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// The owner of a data directory.
#[derive(Debug)]
pub struct Owner {
    /// The running services.
    pub services: Arc<Services>,
    stop: CancellationToken,
    following: JoinHandle<()>,
    control: JoinHandle<io::Result<()>>,
    // Released last, by the operating system too when the process is killed.
    _lock: File,
}

impl Owner {
    /// Takes the directory and starts the services and the control socket.
    ///
    /// # Errors
    /// [`OwnError`].
    pub async fn take(path: &Path, settings: ServerSettings, clock: Arc<dyn Clock>) -> Result<Self, OwnError> {
        let io_error = |source| OwnError::Io { dir: path.display().to_string(), source };
        let dir = DataDir::create(path).map_err(io_error)?;
        let lock = lock(&dir)?;
        if dir.path().join(RESTORING).try_exists().map_err(io_error)? {
            return Err(OwnError::Unfinished { dir: path.display().to_string() });
        }
        let services = Services::open(&dir, settings, clock).await?;
        let socket = ControlSocket::bind(&dir.control_socket()).map_err(io_error)?;
        let stop = CancellationToken::new();
        let (databases, until) = (Arc::clone(&services.databases), stop.clone());
        let following = tokio::spawn(async move {
            let _ = until.run_until_cancelled(databases.follow(LOOK_EVERY)).await;
        });
        let (serving, until) = (Arc::clone(&services), stop.clone());
        let control = tokio::spawn(async move { socket.serve(&serving, until).await });
        Ok(Self { services, stop, following, control, _lock: lock })
    }

    /// Finishes the requests under way, writes what is queued, and gives the directory back.
    pub async fn release(self) {
        self.stop.cancel();
        if let Err(error) = self.following.await {
            tracing::warn!(%error, "following the databases of addresses failed");
        }
        let mut control = self.control;
        match tokio::time::timeout(CONTROL_GRACE, &mut control).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => tracing::warn!(%error, "the control socket failed"),
            Ok(Err(error)) => tracing::warn!(%error, "the control socket's task failed"),
            Err(_) => {
                tracing::warn!(grace_seconds = CONTROL_GRACE.as_secs(), "commands under way did not end in time");
                control.abort();
            }
        }
        self.services.close().await;
    }
}

/// Takes the directory for as long as the file is kept open.
///
/// # Errors
/// [`OwnError::InUse`], [`OwnError::Io`].
pub(super) fn lock(dir: &DataDir) -> Result<File, OwnError> {
    let io_error = |source| OwnError::Io { dir: dir.path().display().to_string(), source };
    let mut options = OpenOptions::new();
    let mut file =
        options.read(true).write(true).create(true).truncate(false).mode(0o600).open(dir.lock()).map_err(io_error)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            // The owner may not have written its number yet.
            let _ = file.read_to_string(&mut pid);
            let pid = if pid.trim().is_empty() { "unknown".to_owned() } else { pid.trim().to_owned() };
            return Err(OwnError::InUse { dir: dir.path().display().to_string(), pid });
        }
        Err(TryLockError::Error(error)) => return Err(io_error(error)),
    }
    let write = |file: &mut File| {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())
    };
    write(&mut file).map_err(io_error)?;
    Ok(file)
}
