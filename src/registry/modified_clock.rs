//! The one place that gives anomalies their `modified_at_ms`.
//!
//! All functions must run inside a write transaction: it is the single writer that makes a time, once
//! closed, gain no incident.

use sqlx::SqliteConnection;

use super::RegistryError;
use super::writes::Writes;
use crate::domain::modified_clock::ModifiedClock;
use crate::domain::tenant::TenantKey;

async fn load(conn: &mut SqliteConnection, tenant: TenantKey) -> Result<Option<ModifiedClock>, RegistryError> {
    let row = sqlx::query_as("SELECT last_ms, used FROM modified_clock WHERE tenant_id = ? AND incarnation = ?");
    let row: Option<(i64, u32)> = row.bind(tenant.id.get()).bind(tenant.incarnation).fetch_optional(conn).await?;
    Ok(row.map(|(last_ms, used)| ModifiedClock { last_ms, used }))
}

/// Stores the clock after [`ModifiedClock::stamp`] was called on it as it was read in this transaction.
pub(super) fn put(writes: &mut Writes, tenant: TenantKey, clock: ModifiedClock) {
    writes
        .row("INSERT INTO modified_clock (tenant_id, incarnation, last_ms, used)")
        .value(tenant.id.get())
        .value(tenant.incarnation)
        .value(clock.last_ms)
        .value(clock.used)
        .end("ON CONFLICT (tenant_id, incarnation) DO UPDATE SET last_ms = excluded.last_ms, used = excluded.used");
}

async fn store(conn: &mut SqliteConnection, tenant: TenantKey, clock: ModifiedClock) -> Result<(), RegistryError> {
    let mut writes = Writes::default();
    put(&mut writes, tenant, clock);
    writes.run(conn).await?;
    Ok(())
}

/// The time of a modification that this transaction makes at `now_ms`, by [`ModifiedClock::stamp`].
pub(super) async fn stamp(conn: &mut SqliteConnection, tenant: TenantKey, now_ms: i64) -> Result<i64, RegistryError> {
    let mut clock = load(conn, tenant).await?.unwrap_or_default();
    let at_ms = clock.stamp(now_ms);
    store(conn, tenant, clock).await?;
    Ok(at_ms)
}

/// The latest time that the tenant's clock has given, ms since epoch.
pub(super) async fn last_ms(conn: &mut SqliteConnection, tenant: TenantKey) -> Result<Option<i64>, RegistryError> {
    Ok(load(conn, tenant).await?.map(|clock| clock.last_ms))
}

/// Closes the tenant's clock at `now_ms` for a page, by [`ModifiedClock::close`], and returns the first ms that
/// the page may not include. Reads that begin after this transaction see everything before that ms, and
/// nothing will ever be added there.
///
/// Cost: nothing is written, and so nothing synced, unless something was modified since the last call.
pub async fn close(conn: &mut SqliteConnection, tenant: TenantKey, now_ms: i64) -> Result<i64, RegistryError> {
    let Some(before) = load(conn, tenant).await? else { return Ok(0) };
    let mut clock = before;
    let end_ms = clock.close(now_ms);
    if clock != before {
        store(conn, tenant, clock).await?;
    }
    Ok(end_ms)
}
