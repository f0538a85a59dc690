//! `anomalake demo`: the main job on a lake of its own.

mod fill;
mod guide;

use std::fs::Permissions;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;

use super::client::Client;
use super::owner::Owner;
use super::serve::{bind, check_loopback, serve};
use super::signal::Termination;
use super::{CommandError, output};
use crate::domain::clock::SystemClock;
use crate::services::settings::ServerSettings;
use fill::Made;

/// Arguments of the demo.
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
    // Before the folder: from then on there is something to remove.
    let mut termination = Termination::listen();
    // Bound first: a taken port is found out before the work.
    let listener = bind(args.listen).await?;
    let address = listener.local_addr().map_err(CommandError::failed)?;
    let folder = if let Some(path) = data_dir {
        Folder::Given(path.to_owned())
    } else {
        let private = Permissions::from_mode(0o700);
        let made = tempfile::Builder::new().prefix("anomalake-demo-").permissions(private).tempdir();
        Folder::Temporary(made.map_err(|error| CommandError::io("cannot make a temporary folder", error))?)
    };
    let owner = Owner::take(folder.path(), ServerSettings::default(), Arc::new(SystemClock)).await?;
    let filled = tokio::select! {
        filled = fill(folder.path()) => filled.map(Some),
        () = termination.received() => Ok(None),
    };
    let made = match filled {
        Ok(Some(made)) => made,
        Ok(None) => {
            owner.release().await;
            return remove(folder);
        }
        Err(error) => {
            owner.release().await;
            return Err(error);
        }
    };
    let temporary = matches!(folder, Folder::Temporary(_));
    output::print(&guide::guide(&made, address, folder.path(), temporary))?;
    serve(owner, listener, termination).await?;
    remove(folder)
}

/// Through the control socket, like every command beside a running server.
async fn fill(folder: &Path) -> Result<Made, CommandError> {
    fill::fill(&Client::connect(folder).await?).await
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
