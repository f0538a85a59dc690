//! What a connection is doing, and until when it may go on with it.
//!
//! The transport reports bytes, the service reports requests, and the connection's task asks for the
//! next deadline whenever it runs. Nobody sets timers but that task.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use http_body::{Frame, SizeHint};
use tokio::time::Instant;

use super::connection::Rules;

/// Time for the last words of a connection that is to close: a goodbye of HTTP/2, of TLS.
const FAREWELL: Duration = Duration::from_secs(5);

/// Why a connection may not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Overdue {
    /// A request's head did not arrive in time.
    Head,
    /// No request came for a while.
    Idle,
    /// The client takes nothing of an answer.
    Stalled,
    /// An answer takes longer than any may.
    Answer,
    /// It was asked to close and has not.
    Farewell,
}

/// State of one connection, shared by its task, its transport and its requests.
#[derive(Debug)]
pub(super) struct Activity(Mutex<State>);

#[derive(Debug)]
struct State {
    /// Requests under way by number; those that are answered with the time of their answer's head.
    requests: BTreeMap<u64, Option<Instant>>,
    next: u64,
    /// When the connection was opened or its last request ended.
    quiet_since: Instant,
    /// Since when a head is arriving.
    head_since: Option<Instant>,
    /// Since when the client takes nothing of what is to be written.
    blocked_since: Option<Instant>,
    /// HTTP/2: bytes that arrive between requests need not be a head.
    framed: bool,
    closing_since: Option<Instant>,
}

impl Activity {
    /// A connection that was opened now.
    pub(super) fn new() -> Arc<Self> {
        let now = Instant::now();
        Arc::new(Self(Mutex::new(State {
            requests: BTreeMap::new(),
            next: 0,
            quiet_since: now,
            // A client that has just connected wants something.
            head_since: Some(now),
            blocked_since: None,
            framed: false,
            closing_since: None,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes arrived.
    pub(super) fn received(&self) {
        let mut state = self.state();
        if state.requests.is_empty() && !state.framed {
            state.head_since.get_or_insert_with(Instant::now);
        }
    }

    /// The transport took bytes, or would not.
    pub(super) fn wrote(&self, taken: bool) {
        let mut state = self.state();
        if taken {
            state.blocked_since = None;
        } else {
            state.blocked_since.get_or_insert_with(Instant::now);
        }
    }

    /// The connection is to close once its requests have ended.
    pub(super) fn close(&self) {
        self.state().closing_since.get_or_insert_with(Instant::now);
    }

    /// A request begins; it ends when the guard is dropped.
    pub(super) fn begin(self: &Arc<Self>, framed: bool) -> Request {
        let mut state = self.state();
        let number = state.next;
        state.next += 1;
        state.framed = framed;
        state.head_since = None;
        state.requests.insert(number, None);
        drop(state);
        Request { activity: Arc::clone(self), number }
    }

    /// When the connection's time is over as things stand, and why; none while only requests are under
    /// way that have time limits of their own.
    pub(super) fn due(&self, rules: &Rules) -> Option<(Instant, Overdue)> {
        let state = self.state();
        let after = |since: Instant, span: Option<Duration>, why| Some((since.checked_add(span?)?, why));
        let stalled = state.blocked_since.and_then(|since| after(since, rules.download_stall, Overdue::Stalled));
        let other = if !state.requests.is_empty() {
            let first = state.requests.values().flatten().min();
            first.and_then(|since| after(*since, rules.answer, Overdue::Answer))
        } else if let Some(since) = state.closing_since {
            after(since.max(state.quiet_since), Some(FAREWELL), Overdue::Farewell)
        } else if let Some(since) = state.head_since {
            after(since, rules.head, Overdue::Head)
        } else {
            after(state.quiet_since, rules.idle, Overdue::Idle)
        };
        [stalled, other].into_iter().flatten().min_by_key(|(at, _)| *at)
    }
}

/// A request under way.
#[derive(Debug)]
pub(super) struct Request {
    activity: Arc<Activity>,
    number: u64,
}

impl Request {
    /// The request has its answer's head; the body keeps the request under way until it is dropped.
    pub(super) fn answered(self, body: Body) -> Answer {
        if let Some(since) = self.activity.state().requests.get_mut(&self.number) {
            *since = Some(Instant::now());
        }
        Answer { body, _request: self }
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        let mut state = self.activity.state();
        state.requests.remove(&self.number);
        state.quiet_since = Instant::now();
    }
}

/// The body of an answer.
#[derive(Debug)]
pub(super) struct Answer {
    body: Body,
    _request: Request,
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules = Rules {
        head: Some(Duration::from_secs(10)),
        idle: Some(Duration::from_secs(75)),
        download_stall: Some(Duration::from_mins(5)),
        answer: Some(Duration::from_hours(1)),
    };

    /// Seconds from now to the deadline, rounded, and its reason.
    fn due(activity: &Activity, rules: &Rules) -> Option<(u64, Overdue)> {
        let (at, why) = activity.due(rules)?;
        Some(((at - Instant::now()).as_millis().div_ceil(1000).try_into().unwrap(), why))
    }

    #[tokio::test]
    async fn a_new_connection_has_the_time_of_a_head_and_a_quiet_one_that_of_idling() {
        let activity = Activity::new();
        assert_eq!(due(&activity, &RULES), Some((10, Overdue::Head)));
        let request = activity.begin(false);
        assert_eq!(due(&activity, &RULES), None, "a handler has limits of its own");
        drop(request);
        assert_eq!(due(&activity, &RULES), Some((75, Overdue::Idle)));
        activity.received();
        assert_eq!(due(&activity, &RULES), Some((10, Overdue::Head)));
        assert_eq!(due(&activity, &Rules::UNLIMITED), None);
    }

    #[tokio::test]
    async fn frames_between_requests_are_no_head() {
        let activity = Activity::new();
        drop(activity.begin(true));
        activity.received();
        assert_eq!(due(&activity, &RULES), Some((75, Overdue::Idle)));
    }

    #[tokio::test]
    async fn an_answer_ends_with_its_body_and_has_a_deadline() {
        let activity = Activity::new();
        let answer = activity.begin(false).answered(Body::from("x"));
        activity.received();
        assert_eq!(due(&activity, &RULES), Some((3600, Overdue::Answer)));
        drop(answer);
        assert_eq!(due(&activity, &RULES), Some((75, Overdue::Idle)));
    }

    #[tokio::test]
    async fn the_nearest_deadline_counts() {
        let activity = Activity::new();
        let answer = activity.begin(false).answered(Body::from("x"));
        activity.wrote(false);
        assert_eq!(due(&activity, &RULES), Some((300, Overdue::Stalled)));
        activity.wrote(true);
        assert_eq!(due(&activity, &RULES), Some((3600, Overdue::Answer)));
        activity.close();
        assert_eq!(due(&activity, &RULES), Some((3600, Overdue::Answer)), "what is under way is finished");
        drop(answer);
        assert_eq!(due(&activity, &RULES), Some((5, Overdue::Farewell)));
    }
}
