//! Long work as an answer of lines: how far it is, and at last its result or why there is none.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::Stream;
use serde::{Deserialize, Serialize};
use tokio_util::task::AbortOnDropHandle;

use crate::api::error::ApiError;
use crate::services::meter::{Meter, Reading};

/// How often a line tells how far the work is.
const EVERY: Duration = Duration::from_millis(250);

/// One line of the answer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Line<T> {
    /// How far the work is.
    Progress(Reading),
    /// Its result; the last line.
    Done(T),
    /// Why there is none; the last line.
    Failed(Failure),
}

/// An error after the head of the answer was sent; fields as in the body of an error.
#[derive(Debug, Serialize, Deserialize)]
pub struct Failure {
    /// Status that the answer would have had.
    pub status: u16,
    /// Stable code.
    pub code: String,
    /// What happened and what to do.
    pub message: String,
    /// The thing at fault.
    pub target: Option<String>,
    /// More, for programs.
    pub details: Option<serde_json::Value>,
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        if error.status.is_server_error() {
            tracing::error!(code = error.code, cause = error.internal, "long work failed");
        }
        // The line goes to whoever owns the data directory, who may know the cause.
        let message = match error.internal {
            Some(cause) => format!("{}: {cause}", error.message),
            None => error.message,
        };
        let (target, details) = (error.target, error.details);
        Self { status: error.status.as_u16(), code: error.code.to_owned(), message, target, details }
    }
}

/// Tells the work to stop when the answer is dropped.
struct StopOnDrop(Arc<Meter>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// Answers with the work's lines. A client that goes away stops the work at its next look at the meter.
pub fn watched<T, F>(meter: Arc<Meter>, work: F) -> Response
where
    T: Serialize + Send + 'static,
    F: Future<Output = Result<T, ApiError>> + Send + 'static,
{
    let body = Body::from_stream(lines(meter, AbortOnDropHandle::new(tokio::spawn(work))));
    (StatusCode::OK, [(CONTENT_TYPE, "application/x-ndjson")], body).into_response()
}

type Work<T> = AbortOnDropHandle<Result<T, ApiError>>;

fn lines<T>(meter: Arc<Meter>, work: Work<T>) -> impl Stream<Item = Result<Bytes, Infallible>> + Send
where
    T: Serialize + Send + 'static,
{
    let ticks = tokio::time::interval(EVERY);
    futures::stream::unfold(Some((work, ticks, StopOnDrop(meter))), async |state| {
        let (mut work, mut ticks, guard) = state?;
        tokio::select! {
            done = &mut work => {
                let last = match done {
                    Ok(Ok(result)) => Line::Done(result),
                    Ok(Err(error)) => Line::Failed(error.into()),
                    Err(error) => Line::Failed(ApiError::internal(&error).into()),
                };
                Some((Ok(line(&last)), None))
            }
            _ = ticks.tick() => {
                let progress = Line::<T>::Progress(guard.0.read());
                Some((Ok(line(&progress)), Some((work, ticks, guard))))
            }
        }
    })
}

fn line<T: Serialize>(value: &Line<T>) -> Bytes {
    let mut text = serde_json::to_vec(value).unwrap_or_else(|error| {
        // Only a fault of ours can cause it; the reader takes a line that it does not know for a failure.
        tracing::error!(%error, "a line of an answer could not be written");
        Vec::new()
    });
    text.push(b'\n');
    text.into()
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;

    use super::*;
    use crate::lake::watch::Watch;

    async fn last<T: Serialize + Send + 'static>(work: Result<T, ApiError>) -> Line<String> {
        let work = AbortOnDropHandle::new(tokio::spawn(async move { work }));
        let lines: Vec<_> = lines(Arc::default(), work).collect().await;
        serde_json::from_slice(lines.last().unwrap().as_ref().unwrap()).unwrap()
    }

    #[tokio::test]
    async fn the_last_line_is_the_result_or_the_failure() {
        assert!(matches!(last(Ok("yes")).await, Line::Done(text) if text == "yes"));
        let refused = ApiError::not_found("no such thing").with_target("tenant");
        let Line::Failed(failure) = last::<()>(Err(refused)).await else { panic!("no failure") };
        assert_eq!((failure.status, &*failure.code, failure.target.as_deref()), (404, "not_found", Some("tenant")));
    }

    #[tokio::test]
    async fn a_dropped_answer_stops_the_work() {
        let meter = Arc::<Meter>::default();
        let never = AbortOnDropHandle::new(tokio::spawn(std::future::pending::<Result<(), ApiError>>()));
        let mut lines = Box::pin(lines(Arc::clone(&meter), never));
        assert_eq!(lines.next().await.unwrap().unwrap(), "{\"progress\":{\"planned\":0,\"done\":0}}\n");
        drop(lines);
        assert!(meter.is_stopped());
    }
}
