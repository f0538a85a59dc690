//! `anomalake demo`: the main job on a lake of its own.

mod fill;
mod guide;

use std::fs::Permissions;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::client::Client;
use super::serve::{bind, check_loopback, serve};
use super::signal::terminated;
use super::{CommandError, output};

/// Try it out.
///
/// Generates a small company's activities, loads them into a lake in a fresh temporary folder, creates
/// anomalies in them, serves the HTTP API, and prints requests to paste with credentials that work.
/// The folder is removed at the end unless --data-dir names one; `ANOMALAKE_DATA_DIR` is ignored.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  anomalake demo
  anomalake demo --listen 127.0.0.1:0 --data-dir ./demo")]
pub struct DemoArgs {
    /// Address and port to listen on; port 0 picks a free one. Only loopback addresses are allowed.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
}

/// Where the demo's lake is.
#[derive(Debug)]
enum Folder {
    Temporary(TempDir),
    Given(PathBuf),
}

impl Folder {
    fn path(&self) -> &Path {
        match self {
            Self::Temporary(folder) => folder.path(),
            Self::Given(path) => path,
        }
    }
}

/// Runs the demo until a signal.
///
/// # Errors
/// [`CommandError`] when it cannot be made or served.
pub async fn run(data_dir: Option<&Path>, args: &DemoArgs) -> Result<(), CommandError> {
    check_loopback(args.listen)?;
    // Bound first: a taken port is found out before the work.
    let listener = bind(args.listen).await?;
    let address = listener.local_addr().map_err(CommandError::failed)?;
    let folder = match data_dir {
        Some(path) => Folder::Given(path.to_owned()),
        None => {
            let made =
                tempfile::Builder::new().prefix("anomalake-demo-").permissions(Permissions::from_mode(0o700)).tempdir();
            Folder::Temporary(made.map_err(|error| CommandError::io("cannot make a temporary folder", error))?)
        }
    };
    let client = Client::connect(folder.path()).await?;
    let filled = tokio::select! {
        filled = fill::fill(&client) => filled,
        () = terminated() => {
            client.close().await;
            return remove(folder);
        }
    };
    let (owner, made) = match (client, filled) {
        (Client::InProcess(owner), Ok(made)) => (owner, made),
        (client, filled) => {
            client.close().await;
            let in_use = || CommandError::failed_text("another process serves this data directory");
            return Err(filled.err().unwrap_or_else(|| in_use().with_hint("leave --data-dir out")));
        }
    };
    let temporary = matches!(folder, Folder::Temporary(_));
    output::print(&guide::guide(&made, address, folder.path(), temporary))?;
    serve(*owner, listener).await?;
    remove(folder)
}

fn remove(folder: Folder) -> Result<(), CommandError> {
    match folder {
        Folder::Temporary(folder) => {
            let path = folder.path().display().to_string();
            folder.close().map_err(|error| CommandError::io(format_args!("cannot remove {path}"), error))
        }
        Folder::Given(_) => Ok(()),
    }
}
