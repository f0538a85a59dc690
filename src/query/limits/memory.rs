//! The memory pool of one statement, nested in those of its tenant and of the server.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::common::{DataFusionError, resources_datafusion_err};
use datafusion::execution::memory_pool::{FairSpillPool, MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation};
use prometheus_client::metrics::gauge::Gauge;

use super::budget::Share;
use super::{Limit, LimitsMet};

/// What is held of the shared budgets beyond what is used is given back once it exceeds this, in bytes.
const SLACK_BYTES: usize = 16 << 20;

/// Memory taken from the budgets of the tenant and of the server.
#[derive(Debug)]
pub struct Shares {
    /// Of the tenant.
    pub tenant: Share,
    /// Of the server.
    pub server: Share,
}

/// A fair pool for the operators of one statement, which also charges what the statement shares with others.
pub struct StatementPool {
    inner: FairSpillPool,
    floor: usize,
    shares: Mutex<Shares>,
    met: Arc<LimitsMet>,
    reserved: Gauge,
    pools: Gauge,
}

impl fmt::Debug for StatementPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StatementPool")
            .field("inner", &self.inner)
            .field("shares", &self.shares)
            .finish_non_exhaustive()
    }
}

/// The engine shows a pool in its texts, which reach the caller.
impl fmt::Display for StatementPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("statement")
    }
}

fn count(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

impl StatementPool {
    /// A pool of `bytes`, of which what `shares` hold now is never given back. `reserved` shows the bytes of all pools,
    /// `pools` how many there are.
    #[must_use]
    pub fn new(bytes: usize, shares: Shares, met: Arc<LimitsMet>, reserved: &Gauge, pools: &Gauge) -> Self {
        pools.inc();
        let floor = shares.tenant.bytes().min(shares.server.bytes());
        let (reserved, pools) = (reserved.clone(), pools.clone());
        Self { inner: FairSpillPool::new(bytes), floor, shares: Mutex::new(shares), met, reserved, pools }
    }

    fn refused(&self, limit: Limit, reservation: &MemoryReservation, additional: usize) -> DataFusionError {
        self.met.note(limit);
        resources_datafusion_err!("no {additional} bytes more for {}", reservation.consumer().name())
    }

    /// Brings the shares in line with what is used.
    fn settle(&self) {
        let used = self.inner.reserved();
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        let keep = used.max(self.floor);
        let Shares { tenant, server } = &mut *shares;
        for share in [tenant, server] {
            if share.bytes() > keep + SLACK_BYTES {
                share.lower_to(keep);
            }
        }
    }
}

impl Drop for StatementPool {
    fn drop(&mut self) {
        // Reservations hold the pool, so that nothing is reserved any more.
        self.pools.dec();
    }
}

impl MemoryPool for StatementPool {
    fn name(&self) -> &'static str {
        "statement"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.inner.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.inner.unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.inner.grow(reservation, additional);
        self.reserved.inc_by(count(additional));
        let used = self.inner.reserved();
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        // Growth that cannot be refused is charged as far as there is room.
        let _ = shares.tenant.raise_to(used) && shares.server.raise_to(used);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.inner.shrink(reservation, shrink);
        self.reserved.dec_by(count(shrink));
        self.settle();
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<(), DataFusionError> {
        if self.inner.try_grow(reservation, additional).is_err() {
            return Err(self.refused(Limit::Memory, reservation, additional));
        }
        let used = self.inner.reserved();
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        let lacking = if !shares.tenant.raise_to(used) {
            Some(Limit::TenantMemory)
        } else if !shares.server.raise_to(used) {
            Some(Limit::ServerMemory)
        } else {
            None
        };
        drop(shares);
        if let Some(limit) = lacking {
            self.inner.shrink(reservation, additional);
            self.settle();
            return Err(self.refused(limit, reservation, additional));
        }
        self.reserved.inc_by(count(additional));
        Ok(())
    }

    fn reserved(&self) -> usize {
        self.inner.reserved()
    }

    fn memory_limit(&self) -> MemoryLimit {
        self.inner.memory_limit()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::budget::Budget;
    use super::*;

    const MIB: usize = 1 << 20;

    struct Bench {
        tenant: Budget,
        server: Budget,
        reserved: Gauge,
        pools: Gauge,
    }

    impl Bench {
        fn new(tenant_mib: usize, server_mib: usize) -> Self {
            let (tenant, server) = (Budget::new(tenant_mib * MIB), Budget::new(server_mib * MIB));
            Self { tenant, server, reserved: Gauge::default(), pools: Gauge::default() }
        }

        async fn pool(&self, mib: usize) -> (Arc<dyn MemoryPool>, Arc<LimitsMet>) {
            let tenant = self.tenant.admit(MIB, Duration::ZERO).await.unwrap();
            let server = self.server.admit(MIB, Duration::ZERO).await.unwrap();
            let met = Arc::<LimitsMet>::default();
            let shares = Shares { tenant, server };
            let pool = StatementPool::new(mib * MIB, shares, Arc::clone(&met), &self.reserved, &self.pools);
            (Arc::new(pool), met)
        }
    }

    #[tokio::test]
    async fn each_limit_is_told_apart_and_everything_comes_back() {
        let bench = Bench::new(20, 30);
        let (first, met) = bench.pool(10).await;
        let a = MemoryConsumer::new("a").register(&first);
        a.try_grow(9 * MIB).unwrap();
        assert!(a.try_grow(2 * MIB).is_err());
        assert_eq!(met.last(), Some(Limit::Memory));
        let (second, met) = bench.pool(100).await;
        let b = MemoryConsumer::new("b").register(&second);
        b.try_grow(11 * MIB).unwrap();
        assert!(b.try_grow(MIB).is_err());
        assert_eq!(met.last(), Some(Limit::TenantMemory));
        assert_eq!(bench.reserved.get(), 20 * 1024 * 1024);
        // What was refused is not charged.
        a.shrink(9 * MIB);
        drop((a, first));
        b.try_grow(9 * MIB).unwrap();
        drop((b, second));
        assert_eq!((bench.reserved.get(), bench.pools.get()), (0, 0));
        assert!(bench.tenant.admit(20 * MIB, Duration::ZERO).await.is_some());
        assert!(bench.server.admit(30 * MIB, Duration::ZERO).await.is_some());
    }

    #[tokio::test]
    async fn the_server_s_limit_binds_several_tenants() {
        let bench = Bench::new(20, 10);
        let (pool, met) = bench.pool(20).await;
        let a = MemoryConsumer::new("a").register(&pool);
        assert!(a.try_grow(11 * MIB).is_err());
        assert_eq!(met.last(), Some(Limit::ServerMemory));
        a.try_grow(10 * MIB).unwrap();
        // Growth without a choice is not refused, and shrinking it keeps the counts right.
        a.grow(5 * MIB);
        a.shrink(15 * MIB);
        assert_eq!(bench.reserved.get(), 0);
    }
}
