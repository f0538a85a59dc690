//! `anomalake serve`.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::CommandError;
use super::args::ConfigArgs;
use super::owner::Owner;
use super::signal::Termination;
use crate::api::serve::{Endpoint, Tls, serve_public};
use crate::domain::clock::SystemClock;
use crate::jobs;

/// Arguments of the server.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  anomalake serve --data-dir ./lake
  anomalake serve --data-dir ./lake --listen 127.0.0.1:0 --config anomalake.toml
  anomalake serve --data-dir ./lake --listen 0.0.0.0:8443 \\
    --tls-cert chain.pem --tls-key key.pem")]
pub struct ServeArgs {
    /// Address and port to listen on; port 0 picks a free one. Beyond loopback it takes a certificate.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// Its settings.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Certificate chain in PEM, leaf first; taken over again when the file changes.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// Private key of the certificate in PEM.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Allow plain HTTP beyond loopback: passwords, tokens and data can be read on the way.
    #[arg(long, conflicts_with = "tls_cert")]
    pub allow_plain_http: bool,
}

/// Runs the server until a signal.
///
/// # Errors
/// [`CommandError`] when it cannot start or its listener fails.
pub async fn run(data_dir: &Path, args: &ServeArgs) -> Result<(), CommandError> {
    let tls = match (&args.tls_cert, &args.tls_key) {
        (Some(chain), Some(key)) => Some(Tls::load(chain, key).map_err(CommandError::failed)?),
        _ => None,
    };
    if !args.listen.ip().is_loopback() && tls.is_none() && !args.allow_plain_http {
        let message = format!("{} is reachable from other machines, which takes TLS", args.listen);
        let hint = "add --tls-cert FILE --tls-key FILE, or listen on a loopback address; behind a proxy that encrypts, --allow-plain-http";
        return Err(CommandError::usage(message).with_hint(hint));
    }
    let termination = Termination::listen();
    let settings = args.config.settings()?;
    let owner = Owner::take(data_dir, settings, Arc::new(SystemClock)).await?;
    let listener = match bind(args.listen).await {
        Ok(listener) => listener,
        Err(error) => {
            owner.release().await;
            return Err(error);
        }
    };
    serve(owner, Endpoint::new(listener, tls), termination).await
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
pub async fn serve(
    owner: Owner,
    endpoint: impl Into<Endpoint>,
    mut termination: Termination,
) -> Result<(), CommandError> {
    let endpoint = endpoint.into();
    let stop = CancellationToken::new();
    let url = endpoint.url().map_err(CommandError::failed)?;
    let jobs = jobs::start(&owner.services, &stop);
    let services = Arc::clone(&owner.services);
    let mut public = tokio::spawn({
        let stop = stop.clone();
        async move { serve_public(endpoint, &services, stop).await }
    });
    {
        // Only this line goes to stdout, so that a script can wait for it.
        let mut out = std::io::stdout().lock();
        writeln!(out, "listening on {url}").and_then(|()| out.flush()).map_err(CommandError::failed)?;
    }
    let ended = tokio::select! {
        ended = &mut public => ended,
        () = termination.received() => {
            tracing::info!("stopping: requests under way are finished first");
            stop.cancel();
            public.await
        }
    };
    stop.cancel();
    jobs.wait().await;
    owner.release().await;
    ended.map_err(CommandError::failed)?.map_err(CommandError::failed)
}
