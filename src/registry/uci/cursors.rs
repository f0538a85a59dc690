//! Cursors of those who follow alerts: one per tenant and name, durable before its page is given.

use sqlx::{FromRow, SqliteConnection};

use super::alerts::Alert;
use crate::domain::tenant::TenantKey;
use crate::registry::RegistryError;

/// A place between alerts: behind alert `id`, and not before `made_at_ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// No alert made earlier lies behind it, ms since epoch.
    pub made_at_ms: i64,
    /// Number of the last alert before it; 0 for none.
    pub id: i64,
}

impl Place {
    /// Before every alert.
    pub const HEAD: Self = Self { made_at_ms: i64::MIN, id: 0 };

    /// Before the first alert made at this time or later.
    #[must_use]
    pub const fn at(made_at_ms: i64) -> Self {
        Self { made_at_ms, id: 0 }
    }
}

/// Where a reader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// Where the last page began.
    pub page: Place,
    /// Where it ended and the next one begins.
    pub next: Place,
}

#[derive(FromRow)]
struct Stored {
    page_ms: i64,
    page_id: i64,
    next_ms: i64,
    next_id: i64,
}

/// The cursor of this name, when it was ever moved.
pub async fn get(conn: &mut SqliteConnection, tenant: TenantKey, name: &str) -> Result<Option<Cursor>, RegistryError> {
    let found = sqlx::query_as("SELECT * FROM alert_cursors WHERE tenant_id = ? AND incarnation = ? AND name = ?");
    let found: Option<Stored> =
        found.bind(tenant.id.get()).bind(tenant.incarnation).bind(name).fetch_optional(conn).await?;
    Ok(found.map(|stored| Cursor {
        page: Place { made_at_ms: stored.page_ms, id: stored.page_id },
        next: Place { made_at_ms: stored.next_ms, id: stored.next_id },
    }))
}

/// Moves a cursor.
pub async fn put(
    conn: &mut SqliteConnection,
    tenant: TenantKey,
    name: &str,
    cursor: Cursor,
    now_ms: i64,
) -> Result<(), RegistryError> {
    sqlx::query(
        "INSERT INTO alert_cursors (tenant_id, incarnation, name, page_ms, page_id, next_ms, next_id, moved_at_ms)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET page_ms = excluded.page_ms, page_id = excluded.page_id, next_ms = excluded.next_ms,
             next_id = excluded.next_id, moved_at_ms = excluded.moved_at_ms",
    )
    .bind(tenant.id.get())
    .bind(tenant.incarnation)
    .bind(name)
    .bind(cursor.page.made_at_ms)
    .bind(cursor.page.id)
    .bind(cursor.next.made_at_ms)
    .bind(cursor.next.id)
    .bind(now_ms)
    .execute(conn)
    .await?;
    Ok(())
}

/// The next alerts behind a place, of them those up to the alert of number `up_to`.
pub async fn read(
    conn: &mut SqliteConnection,
    tenant: TenantKey,
    behind: Place,
    up_to: i64,
    limit: i64,
) -> Result<Vec<Alert>, RegistryError> {
    let alerts = sqlx::query_as(
        "SELECT * FROM alerts WHERE tenant_id = ? AND incarnation = ? AND made_at_ms >= ? AND id > ? AND id <= ?
         ORDER BY made_at_ms, id LIMIT ?",
    );
    let alerts = alerts.bind(tenant.id.get()).bind(tenant.incarnation).bind(behind.made_at_ms).bind(behind.id);
    Ok(alerts.bind(up_to).bind(limit).fetch_all(conn).await?)
}

/// The place behind the newest alert; [`Place::HEAD`] without any.
pub async fn tail(conn: &mut SqliteConnection, tenant: TenantKey) -> Result<Place, RegistryError> {
    let newest = sqlx::query_as(
        "SELECT made_at_ms, id FROM alerts WHERE tenant_id = ? AND incarnation = ? ORDER BY made_at_ms DESC, id DESC LIMIT 1",
    );
    let newest: Option<(i64, i64)> = newest.bind(tenant.id.get()).bind(tenant.incarnation).fetch_optional(conn).await?;
    Ok(newest.map_or(Place::HEAD, |(made_at_ms, id)| Place { made_at_ms, id }))
}
