//! The network.

use std::sync::Arc;

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::connection::{Rules, serve_connection};
use super::connections::{Connections, serve};
use super::limits::{connections_that_fit, turn_away};
use super::tls::Tls;
use crate::api::public_router;
use crate::services::Services;
use crate::services::metrics::Running;

/// Where callers come in.
#[derive(Debug)]
pub struct Endpoint {
    listener: TcpListener,
    tls: Option<Tls>,
}

impl From<TcpListener> for Endpoint {
    /// Plain HTTP.
    fn from(listener: TcpListener) -> Self {
        Self { listener, tls: None }
    }
}

impl Endpoint {
    /// HTTPS when there is a certificate, else plain HTTP.
    #[must_use]
    pub fn new(listener: TcpListener, tls: Option<Tls>) -> Self {
        Self { listener, tls }
    }

    /// Address under which it is reached, as a URL.
    ///
    /// # Errors
    /// When the listener does not know its address.
    pub fn url(&self) -> std::io::Result<String> {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        Ok(format!("{scheme}://{}", self.listener.local_addr()?))
    }
}

/// Serves callers until `stop`. Then no connection is accepted, idle ones are closed, and requests under
/// way have the grace of the settings to finish; what outlasts it is cut off.
///
/// # Errors
/// None: a failed accept is tried again.
pub async fn serve_public(
    endpoint: impl Into<Endpoint>,
    services: &Arc<Services>,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let Endpoint { listener, tls } = endpoint.into();
    let watching = tls.as_ref().map(|tls| tokio_util::task::AbortOnDropHandle::new(tls.watch()));
    let connections = Connections::new(stop, services.settings.shutdown_grace);
    let room = Arc::new(Semaphore::new(connections_that_fit(services.settings.max_connections)));
    let router = public_router(services);
    let rules = Rules::of(&services.settings);
    let accepted = connections.clone();
    serve(listener, connections, |stream, peer| {
        let Ok(room) = Arc::clone(&room).try_acquire_owned() else {
            services.metrics.connections_refused.inc();
            // Telling a client over TLS would take a handshake; it sees a closed connection.
            if tls.is_none() {
                turn_away(stream);
            }
            return;
        };
        let open = Running::on(&services.metrics.connections_open);
        let (router, tls, stop) = (router.clone(), tls.clone(), accepted.stop().clone());
        accepted.run(async move {
            let _held = (room, open);
            // Small answers must not wait for an acknowledgement of the one before.
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "could not set TCP_NODELAY");
            }
            match tls {
                None => serve_connection(stream, router, Some(peer), rules, stop).await,
                Some(tls) => serve_encrypted(&tls, stream, router, peer, rules, stop).await,
            }
        });
    })
    .await;
    drop(watching);
    Ok(())
}

async fn serve_encrypted(
    tls: &Tls,
    stream: TcpStream,
    router: Router,
    peer: std::net::SocketAddr,
    rules: Rules,
    stop: CancellationToken,
) {
    let shaken = tokio::select! {
        shaken = tls.handshake(stream, rules.head) => shaken,
        () = stop.cancelled() => return,
    };
    match shaken {
        Ok(stream) => serve_connection(stream, router, Some(peer), rules, stop).await,
        // Port scanners and health checks do this all day.
        Err(error) => tracing::debug!(%peer, %error, "no TLS connection"),
    }
}
