//! One connection: HTTP/1 or HTTP/2 over any transport, under rules of time.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::{Request, Response, Version};
use futures::future::BoxFuture;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tower::Service;

use super::MAX_HEAD_BYTES;
use super::activity::{Activity, Answer, Overdue};
use crate::services::settings::ServerSettings;

/// HTTP/2 requests of one connection at the same time.
const MAX_STREAMS: u32 = 100;

/// An answer may take this much longer than the longest export or statement: the making of its evidence is not in it.
const ANSWER_EXTRA: Duration = Duration::from_mins(1);

/// How long a connection may do what; none for as long as it wants.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    /// A request's head, from its first byte to its last; for the first one from the connection on.
    pub(super) head: Option<Duration>,
    /// No request under way.
    pub(super) idle: Option<Duration>,
    /// The client takes no byte of an answer.
    pub(super) download_stall: Option<Duration>,
    /// An answer, from its head to its last byte.
    pub(super) answer: Option<Duration>,
}

impl Rules {
    /// For callers who own the data directory.
    pub(super) const UNLIMITED: Self = Self { head: None, idle: None, download_stall: None, answer: None };

    /// For the network.
    pub(super) fn of(settings: &ServerSettings) -> Self {
        Self {
            head: Some(settings.header_timeout),
            idle: Some(settings.idle_timeout),
            download_stall: Some(settings.download_stall_timeout),
            answer: Some(settings.export_timeout.max(settings.sql.timeout).saturating_add(ANSWER_EXTRA)),
        }
    }
}

/// Serves a connection until it ends, breaks a rule, or `stop` has come and its requests are done.
pub(super) async fn serve_connection<I>(
    io: I,
    router: Router,
    peer: Option<SocketAddr>,
    rules: Rules,
    stop: CancellationToken,
) where
    I: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let activity = Activity::new();
    let mut builder = Builder::new(TokioExecutor::new());
    // Hyper's read buffer bounds the head, and its write buffer what a slow reader holds here beside
    // the chunk under way. Its own timer for heads would also run while a connection idles.
    builder.http1().max_buf_size(MAX_HEAD_BYTES);
    let head_bytes = u32::try_from(MAX_HEAD_BYTES).unwrap_or(u32::MAX);
    builder
        .http2()
        .max_header_list_size(head_bytes)
        .max_send_buf_size(MAX_HEAD_BYTES)
        .max_concurrent_streams(MAX_STREAMS);
    let io = TokioIo::new(Watched { io, activity: Arc::clone(&activity) });
    let requests = Requests { router, peer, activity: Arc::clone(&activity) };
    let mut connection = pin!(builder.serve_connection(io, requests));
    let mut alarm = pin!(tokio::time::sleep(Duration::ZERO));
    let mut closing = false;
    loop {
        let overdue = poll_fn(|context| poll_overdue(&activity, &rules, alarm.as_mut(), context));
        tokio::select! {
            // In this order, so that a deadline is judged by what the connection has just done.
            biased;
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(error = crate::services::evidence::chain(error.as_ref()), "a connection ended early");
                }
                return;
            }
            () = stop.cancelled(), if !closing => {}
            why = overdue => {
                if why != Overdue::Idle {
                    tracing::debug!(?why, "closing a connection");
                    return;
                }
            }
        }
        closing = true;
        activity.close();
        connection.as_mut().graceful_shutdown();
    }
}

/// Ready when the connection's time is over. The alarm is only ever set to an earlier time, or anew
/// after it rang: most deadlines move away before they come.
fn poll_overdue(
    activity: &Activity,
    rules: &Rules,
    mut alarm: Pin<&mut tokio::time::Sleep>,
    context: &mut Context<'_>,
) -> Poll<Overdue> {
    loop {
        let now = Instant::now();
        let due = activity.due(rules);
        if let Some((_, why)) = due.filter(|(at, _)| *at <= now) {
            return Poll::Ready(why);
        }
        let Some(wake) = due.map(|(at, _)| at).or_else(|| now.checked_add(rules.idle?)) else { return Poll::Pending };
        if alarm.is_elapsed() || alarm.deadline() > wake {
            alarm.as_mut().reset(wake);
        }
        if alarm.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
    }
}

/// The routes, as one connection's requests reach them.
#[derive(Debug)]
struct Requests {
    router: Router,
    peer: Option<SocketAddr>,
    activity: Arc<Activity>,
}

impl hyper::service::Service<Request<Incoming>> for Requests {
    type Response = Response<Answer>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let under_way = self.activity.begin(request.version() == Version::HTTP_2);
        if let Some(peer) = self.peer {
            request.extensions_mut().insert(ConnectInfo(peer));
        }
        // A router is always ready.
        let answer = self.router.clone().call(request);
        Box::pin(async move { Ok(answer.await?.map(|body| under_way.answered(body))) })
    }
}

/// A transport that reports what passes.
#[derive(Debug)]
struct Watched<I> {
    io: I,
    activity: Arc<Activity>,
}

impl<I> Watched<I> {
    fn report<T>(&self, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        self.activity.wrote(outcome.is_ready());
        outcome
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Watched<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.io).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.activity.received();
        }
        read
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Watched<I> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(context, bytes);
        self.report(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(context, parts);
        self.report(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(context);
        self.report(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_the_time_of_the_longest_that_there_is() {
        let answer = |export: u64, sql: u64| {
            let mut settings =
                ServerSettings { export_timeout: Duration::from_secs(export), ..ServerSettings::default() };
            settings.sql.timeout = Duration::from_secs(sql);
            Rules::of(&settings).answer
        };
        assert_eq!(answer(90, 7_200), Some(Duration::from_mins(121)));
        assert_eq!(answer(7_200, 90), Some(Duration::from_mins(121)));
    }
}
