//! The rate limit of `/api/v2`: requests a second, per credential and route template.
//!
//! Source of the rule: wire contract of the user confidence index, section 3. The limit of the caller's tenant is
//! known only when the caller is, so it is checked where the caller is found ([`RatedCaller`]), and the layer
//! [`tell`] writes what is left into the answer, whatever it is.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::HeaderValue;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use governor::clock::Clock as RateClock;
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};

use super::caller::{Caller, Operator};
use super::error::{ApiError, RATE_LIMITED};
use crate::domain::api_rate::ApiRate;
use crate::domain::clock::Clock;
use crate::domain::tenant::TenantKey;
use crate::services::Services;

/// Requests that the limit allows at once.
pub const LIMIT: &str = "ratelimit-limit";

/// Requests of these that are left.
pub const REMAINING: &str = "ratelimit-remaining";

/// Seconds until all are left again.
pub const RESET: &str = "ratelimit-reset";

/// Keys of one limit that are kept without looking which are whole again.
const KEYS_KEPT: usize = 1024;

/// What is counted apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct RateKey {
    tenant: TenantKey,
    principal: String,
    route: String,
}

type Limiter = RateLimiter<RateKey, DashMapStateStore<RateKey>, SteadyClock, StateInformationMiddleware>;

/// Everybody who may make the same number of requests.
#[derive(Debug)]
struct Limit {
    limiter: Limiter,
    /// Number of keys at which those that are whole again are forgotten; twice of what was left the last time, so
    /// that looking costs a request nothing on average.
    sweep_at: AtomicUsize,
}

impl Limit {
    fn sweep(&self) {
        self.limiter.retain_recent();
        self.sweep_at.store((2 * self.limiter.len()).max(KEYS_KEPT), Ordering::Relaxed);
    }
}

/// The server's clock as a rate limiter needs it: what it says never goes back. A clock that is set back stands
/// still for a moment here; else callers would be refused until it has caught up.
#[derive(Debug, Clone)]
struct SteadyClock {
    clock: Arc<dyn Clock>,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    last_ms: Option<i64>,
    elapsed: Duration,
}

impl RateClock for SteadyClock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let now_ms = self.clock.now_ms();
        let passed_ms = seen.last_ms.map_or(0, |last_ms| now_ms.saturating_sub(last_ms));
        seen.last_ms = Some(now_ms);
        seen.elapsed += Duration::from_millis(u64::try_from(passed_ms).unwrap_or(0));
        seen.elapsed
    }
}

/// What a limit says to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Decision {
    limit: u32,
    remaining: u32,
    /// None when the request is allowed.
    retry_after: Option<Duration>,
}

impl Decision {
    /// Time until the whole limit is left again, in whole seconds.
    fn reset_seconds(&self) -> u32 {
        (self.limit - self.remaining).div_ceil(self.limit)
    }
}

/// The limits of all callers. What a caller has used up is forgotten as soon as it is whole again, so memory is
/// bounded by the requests of about a second.
#[derive(Debug)]
pub struct RateLimits {
    clock: SteadyClock,
    /// By requests a second: most tenants share one.
    limits: Mutex<HashMap<NonZeroU32, Arc<Limit>>>,
}

impl RateLimits {
    /// Limits that count by this clock.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock: SteadyClock { clock, seen: Arc::default() }, limits: Mutex::default() }
    }

    fn check(&self, key: &RateKey, per_second: NonZeroU32) -> Decision {
        let limit = self.limit(per_second);
        if limit.limiter.len() > limit.sweep_at.load(Ordering::Relaxed) {
            limit.sweep();
        }
        match limit.limiter.check_key(key) {
            Ok(state) => {
                let remaining = state.remaining_burst_capacity();
                Decision { limit: per_second.get(), remaining, retry_after: None }
            }
            Err(until) => {
                let wait = until.wait_time_from(self.clock.now());
                Decision { limit: per_second.get(), remaining: 0, retry_after: Some(wait) }
            }
        }
    }

    fn limit(&self, per_second: NonZeroU32) -> Arc<Limit> {
        let mut limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(limit) = limits.get(&per_second) {
            return Arc::clone(limit);
        }
        // A rate that no tenant has any more goes once nobody is counted by it.
        limits.retain(|_, limit| {
            limit.sweep();
            !limit.limiter.is_empty()
        });
        let limiter = RateLimiter::dashmap_with_clock(Quota::per_second(per_second), self.clock.clone());
        let limit = Arc::new(Limit { limiter: limiter.with_middleware(), sweep_at: AtomicUsize::new(KEYS_KEPT) });
        limits.insert(per_second, Arc::clone(&limit));
        limit
    }
}

/// A request's way to the limits, and where the decision is left for its answer.
#[derive(Debug, Clone)]
struct Gate {
    limits: Arc<RateLimits>,
    decision: Arc<OnceLock<Decision>>,
}

/// Lets the callers of `/api/v2` be counted, and tells them in every answer what is left.
pub async fn tell(State(limits): State<Arc<RateLimits>>, mut request: Request, next: Next) -> Response {
    if !super::error::is_v2(request.uri().path()) {
        return next.run(request).await;
    }
    let decision = Arc::default();
    request.extensions_mut().insert(Gate { limits, decision: Arc::clone(&decision) });
    let mut response = next.run(request).await;
    if let Some(decision) = decision.get() {
        let headers = response.headers_mut();
        headers.insert(LIMIT, HeaderValue::from(decision.limit));
        headers.insert(REMAINING, HeaderValue::from(decision.remaining));
        headers.insert(RESET, HeaderValue::from(decision.reset_seconds()));
    }
    response
}

/// A caller within the limit of requests. The owner of the machine, on the control socket, has none.
#[derive(Debug, Clone)]
pub struct RatedCaller(pub Caller);

impl Deref for RatedCaller {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.0
    }
}

impl FromRequestParts<Arc<Services>> for RatedCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, services: &Arc<Services>) -> Result<Self, ApiError> {
        let caller = Caller::from_request_parts(parts, services).await?;
        if parts.extensions.get::<Operator>().is_some() {
            return Ok(Self(caller));
        }
        let Some(gate) = parts.extensions.get::<Gate>() else { return Ok(Self(caller)) };
        let ApiRate::PerSecond(per_second) = services.uci_settings(&caller.tenant).api_rate else {
            return Ok(Self(caller));
        };
        let route = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str).to_owned();
        let key = RateKey { tenant: caller.tenant.key, principal: caller.actor.principal.clone(), route };
        let decision = *gate.decision.get_or_init(|| gate.limits.check(&key, per_second));
        match decision.retry_after {
            None => Ok(Self(caller)),
            Some(wait) => {
                Err(ApiError::too_many(RATE_LIMITED, "API rate limit exceeded", wait.max(Duration::from_millis(1))))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::clock::ManualClock;
    use crate::domain::tenant::TenantId;

    fn key(principal: usize, route: &str) -> RateKey {
        let tenant = TenantKey { id: TenantId::try_from(7).unwrap(), incarnation: 1 };
        RateKey { tenant, principal: format!("token {principal}"), route: route.to_owned() }
    }

    fn limits() -> (RateLimits, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::new(1_000_000));
        (RateLimits::new(Arc::<ManualClock>::clone(&clock)), clock)
    }

    const FOUR: NonZeroU32 = NonZeroU32::new(4).unwrap();

    #[test]
    fn a_burst_then_one_every_250_ms_each_credential_and_route_apart() {
        let (limits, clock) = limits();
        let at = |principal, route| limits.check(&key(principal, route), FOUR);
        for remaining in [3, 2, 1, 0] {
            assert_eq!(at(1, "/a"), Decision { limit: 4, remaining, retry_after: None });
        }
        assert_eq!(at(1, "/a").retry_after, Some(Duration::from_millis(250)));
        assert_eq!((at(1, "/b").remaining, at(2, "/a").remaining), (3, 3));
        clock.advance(249);
        assert_eq!(at(1, "/a").retry_after, Some(Duration::from_millis(1)));
        clock.advance(1);
        assert_eq!(at(1, "/a"), Decision { limit: 4, remaining: 0, retry_after: None });
        assert_eq!(at(1, "/a").reset_seconds(), 1);
        clock.advance(1_000);
        assert_eq!(at(1, "/a").remaining, 3);
    }

    #[test]
    fn a_clock_that_is_set_back_locks_nobody_out() {
        let (limits, clock) = limits();
        while limits.check(&key(1, "/a"), FOUR).retry_after.is_none() {}
        clock.advance(-86_400_000);
        assert!(limits.check(&key(1, "/a"), FOUR).retry_after.is_some());
        clock.advance(250);
        assert_eq!(limits.check(&key(1, "/a"), FOUR).retry_after, None);
    }

    #[test]
    fn what_is_whole_again_is_forgotten() {
        let (limits, clock) = limits();
        let most = || limits.limits.lock().unwrap().values().map(|l| l.limiter.len()).max().unwrap_or(0);
        for n in 0..20 * KEYS_KEPT {
            limits.check(&key(n, "/a"), FOUR);
            clock.advance(1);
            assert!(most() <= KEYS_KEPT + 1, "{}", most());
        }
        for rate in 1..100 {
            clock.advance(2_000);
            limits.check(&key(1, "/a"), NonZeroU32::new(rate).unwrap());
            assert!(limits.limits.lock().unwrap().len() <= 2);
        }
    }
}
