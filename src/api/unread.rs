//! What a refused request still sends is read for a moment.
//!
//! A handler that refuses does not read the body. Closing the connection on a client that is still sending
//! makes its system throw the answer away unread, and all that the client learns is "connection reset".
//! So the rest is read and dropped in the background for a while: most clients then get their answer, and
//! the others had their chance.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::Version;
use axum::http::header::EXPECT;
use axum::middleware::Next;
use axum::response::Response;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt;

/// Longest time that is spent on the rest of a body.
const TIME: Duration = Duration::from_secs(5);

/// Most bytes that are read of it.
const BYTES: usize = 64 << 20;

/// Wraps the bodies that may need it: HTTP/2 has a way to say "enough", and a client that expects a `100`
/// has not sent anything yet.
pub(super) async fn read_the_rest(request: Request, next: Next) -> Response {
    let waits = request.headers().contains_key(EXPECT);
    if request.version() == Version::HTTP_2 || waits || request.body().is_end_stream() {
        return next.run(request).await;
    }
    next.run(request.map(|body| Body::new(Incoming { body: Some(body) }))).await
}

/// A request's body; none once it has ended.
struct Incoming {
    body: Option<Body>,
}

impl http_body::Body for Incoming {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let next = Pin::new(body).poll_frame(context);
        if matches!(next, Poll::Ready(None | Some(Err(_)))) {
            self.body = None;
        }
        next
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(http_body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), http_body::Body::size_hint)
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        let Some(body) = self.body.take().filter(|body| !body.is_end_stream()) else { return };
        // Without a runtime there is no connection either.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(tokio::time::timeout(TIME, drain(body)));
    }
}

async fn drain(mut body: Body) {
    let mut bytes = 0;
    while bytes < BYTES {
        let Some(Ok(frame)) = body.frame().await else { return };
        bytes += frame.data_ref().map_or(0, Bytes::len);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn an_unread_body_is_read_and_a_read_one_is_let_go() {
        let read = Arc::new(AtomicUsize::new(0));
        let ended = Arc::new(tokio::sync::Notify::new());
        let counted = |chunks: usize| {
            let (read, ended) = (Arc::clone(&read), Arc::clone(&ended));
            Body::from_stream(futures::stream::unfold(chunks, move |left| {
                let (read, ended) = (Arc::clone(&read), Arc::clone(&ended));
                async move {
                    if left == 0 {
                        ended.notify_one();
                        return None;
                    }
                    read.fetch_add(1, Ordering::SeqCst);
                    Some((Ok::<_, std::io::Error>(Bytes::from_static(b"x")), left - 1))
                }
            }))
        };
        drop(Incoming { body: Some(counted(3)) });
        ended.notified().await;
        assert_eq!(read.load(Ordering::SeqCst), 3);

        let whole = Body::new(Incoming { body: Some(counted(2)) }).collect().await.unwrap();
        assert_eq!(whole.to_bytes(), "xx");
        assert_eq!(read.load(Ordering::SeqCst), 5);
    }
}
