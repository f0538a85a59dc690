//! The control socket: the command line's way to the process that owns the data directory.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::UnixListener;
use tokio_util::sync::CancellationToken;

use super::connection::Rules;
use super::connections::{Connections, serve};
use crate::api::control_router;
use crate::services::Services;

/// A bound control socket; its file is removed when it is dropped.
#[derive(Debug)]
pub struct ControlSocket {
    listener: UnixListener,
    file: SocketFile,
}

#[derive(Debug)]
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0) {
            tracing::debug!(%error, "could not remove the control socket");
        }
    }
}

impl ControlSocket {
    /// Binds the socket with mode 0600, in place of what an earlier process left. Call it only as the
    /// owner of the data directory.
    ///
    /// # Errors
    /// Any I/O error.
    pub fn bind(path: &Path) -> io::Result<Self> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // The folder has mode 0700, so nobody else can open the socket before its mode is set.
        let listener = UnixListener::bind(short_path(path)?.path())?;
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
        Ok(Self { listener, file: SocketFile(path.to_owned()) })
    }

    /// Serves the command line until `stop`, then finishes the requests under way, for at most the
    /// grace of the settings. Whoever may open the socket owns the data directory, so that a
    /// connection has no other limits: an `ingest -` may wait for its input for as long as it wants.
    ///
    /// # Errors
    /// None: a failed accept is tried again.
    pub async fn serve(self, services: &Arc<Services>, stop: CancellationToken) -> io::Result<()> {
        let router = control_router(services);
        let connections = Connections::new(stop, services.settings.shutdown_grace);
        let accepted = connections.clone();
        serve(self.listener, connections, move |stream, _| {
            accepted.spawn(stream, router.clone(), None, Rules::UNLIMITED);
        })
        .await;
        drop(self.file);
        Ok(())
    }
}

/// A path to a socket that fits into the operating system's limit, about 100 bytes.
#[derive(Debug)]
pub enum ShortPath {
    /// The path itself.
    Direct(PathBuf),
    /// A path through a handle on the folder, which is kept open.
    ThroughFolder(std::fs::File, PathBuf),
}

impl ShortPath {
    /// The path to use.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Direct(path) | Self::ThroughFolder(_, path) => path,
        }
    }
}

/// Shortens a path that is too long for a socket address.
///
/// # Errors
/// When the folder cannot be opened.
pub fn short_path(path: &Path) -> io::Result<ShortPath> {
    const LONGEST: usize = 100;
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Ok(ShortPath::Direct(path.to_owned()));
    };
    if path.as_os_str().len() <= LONGEST {
        return Ok(ShortPath::Direct(path.to_owned()));
    }
    let folder = std::fs::File::open(folder)?;
    let descriptor = std::os::fd::AsRawFd::as_raw_fd(&folder);
    let through = PathBuf::from(format!("/proc/self/fd/{descriptor}")).join(name);
    Ok(ShortPath::ThroughFolder(folder, through))
}
