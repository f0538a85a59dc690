//! `anomalake serve`.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::CommandError;
use super::owner::Owner;
use super::signal::Termination;
use crate::api::serve::serve_public;
use crate::domain::clock::SystemClock;
use crate::jobs;
use crate::services::settings::ServerSettings;

/// Arguments of the server.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  anomalake serve --data-dir ./lake
  anomalake serve --data-dir ./lake --listen 127.0.0.1:0 --config anomalake.toml")]
pub struct ServeArgs {
    /// Address and port to listen on; port 0 picks a free one. Only loopback addresses are allowed.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// Settings file.
    #[arg(long, value_name = "FILE.toml")]
    pub config: Option<PathBuf>,
}

/// Longest time for requests under way when the server stops.
const GRACE: Duration = Duration::from_mins(1);

/// Runs the server until a signal.
///
/// # Errors
/// [`CommandError`] when it cannot start or its listener fails.
pub async fn run(data_dir: &Path, args: &ServeArgs) -> Result<(), CommandError> {
    check_loopback(args.listen)?;
    let termination = Termination::listen();
    let settings = match &args.config {
        Some(file) => ServerSettings::load(file).map_err(CommandError::failed)?,
        None => ServerSettings::default(),
    };
    let owner = Owner::take(data_dir, settings, Arc::new(SystemClock)).await?;
    let listener = match bind(args.listen).await {
        Ok(listener) => listener,
        Err(error) => {
            owner.release().await;
            return Err(error);
        }
    };
    serve(owner, listener, termination).await
}

/// Refuses addresses that other machines could reach.
///
/// # Errors
/// A usage error with what to do instead.
pub fn check_loopback(address: SocketAddr) -> Result<(), CommandError> {
    if address.ip().is_loopback() {
        return Ok(());
    }
    let message = format!("{address} is reachable from other machines, but this version serves plain HTTP");
    Err(CommandError::usage(message).with_hint("listen on a loopback address and put a TLS proxy in front of it"))
}

/// Binds the address to listen on.
///
/// # Errors
/// When it cannot be bound, with what to do about a taken port.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, CommandError> {
    TcpListener::bind(address).await.map_err(|error| {
        let taken = error.kind() == std::io::ErrorKind::AddrInUse;
        let failed = CommandError::io(format_args!("cannot listen on {address}"), error);
        if taken { failed.with_hint("--listen 127.0.0.1:0 picks a free port") } else { failed }
    })
}

/// Serves on a bound listener until a signal, then gives the directory back.
///
/// # Errors
/// As [`run`].
pub async fn serve(owner: Owner, listener: TcpListener, mut termination: Termination) -> Result<(), CommandError> {
    let stop = CancellationToken::new();
    let address = listener.local_addr().map_err(CommandError::failed)?;
    let jobs = jobs::start(&owner.services, &stop);
    let services = Arc::clone(&owner.services);
    let public = tokio::spawn({
        let (services, stop) = (Arc::clone(&services), stop.clone());
        async move { serve_public(listener, &services, stop).await }
    });
    {
        // Only this line goes to stdout, so that a script can wait for it.
        let mut out = std::io::stdout().lock();
        writeln!(out, "listening on http://{address}").and_then(|()| out.flush()).map_err(CommandError::failed)?;
    }
    let mut public = std::pin::pin!(public);
    let ended = tokio::select! {
        ended = &mut public => Some(ended),
        () = termination.received() => None,
    };
    stop.cancel();
    let ended = match ended {
        Some(ended) => ended,
        None => {
            if let Ok(ended) = tokio::time::timeout(GRACE, &mut public).await {
                ended
            } else {
                tracing::warn!(grace_seconds = GRACE.as_secs(), "requests under way did not end in time");
                public.abort();
                Ok(Ok(()))
            }
        }
    };
    jobs.wait().await;
    owner.release().await;
    ended.map_err(CommandError::failed)?.map_err(CommandError::failed)
}
