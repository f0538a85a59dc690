//! Idempotency keys: a repeated request gets the first one's answer and is not carried out again.
//!
//! A key is inserted as pending with the number of the group that the lake is about to commit, in the
//! registry first; once the lake has committed that number it is done. After a crash the lake's last
//! committed number tells which pending keys are done and which never happened ([`resolve`]).

use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, Row, SqliteConnection};

use super::{RegistryError, rows};
use crate::domain::day::DAY_MS;
use crate::domain::tenant::TenantKey;

/// How long a key is remembered, in ms: 7 days.
pub const KEY_LIFETIME_MS: i64 = 7 * DAY_MS;

/// Whether the request that brought the key has taken effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(rename_all = "lowercase")]
pub enum KeyState {
    /// The lake has not been seen to commit its group.
    Pending,
    /// It took effect and its answer holds.
    Done,
}

/// A key to be remembered with the answer that its request gets if its group commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKey {
    /// The caller's key.
    pub key: String,
    /// SHA-256 of the request's body.
    pub body_hash: [u8; 32],
    /// Status of the answer.
    pub answer_status: u16,
    /// Body of the answer.
    pub answer_body: Vec<u8>,
}

/// A remembered key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RememberedKey {
    /// SHA-256 of the first request's body; the same key with another body is a conflict.
    pub body_hash: [u8; 32],
    /// Number of the group that carries it.
    pub group: i64,
    /// Whether it took effect.
    pub state: KeyState,
    /// Status of the answer.
    pub answer_status: u16,
    /// Body of the answer.
    pub answer_body: Vec<u8>,
    /// ms since epoch.
    pub created_at_ms: i64,
}

impl FromRow<'_, SqliteRow> for RememberedKey {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            body_hash: rows::digest(row, "body_hash")?,
            group: row.try_get("group_number")?,
            state: row.try_get("state")?,
            answer_status: row.try_get("answer_status")?,
            answer_body: row.try_get("answer_body")?,
            created_at_ms: row.try_get("created_at_ms")?,
        })
    }
}

/// Why keys were not inserted; none of them was.
#[derive(Debug, thiserror::Error)]
pub enum InsertKeyError {
    /// The key is remembered already: give its answer, or refuse another body.
    #[error("idempotency key is in use")]
    Taken(String),
    /// The registry failed.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

impl From<sqlx::Error> for InsertKeyError {
    fn from(error: sqlx::Error) -> Self {
        Self::Registry(error.into())
    }
}

/// The key if it is remembered and not older than [`KEY_LIFETIME_MS`].
pub async fn find(
    conn: &mut SqliteConnection,
    tenant: TenantKey,
    route: &str,
    key: &str,
    now_ms: i64,
) -> Result<Option<RememberedKey>, RegistryError> {
    let found = sqlx::query_as(
        "SELECT * FROM idempotency
         WHERE tenant_id = ? AND incarnation = ? AND route = ? AND key = ? AND created_at_ms > ?",
    )
    .bind(tenant.id.get())
    .bind(tenant.incarnation)
    .bind(route)
    .bind(key)
    .bind(now_ms - KEY_LIFETIME_MS)
    .fetch_optional(conn)
    .await?;
    Ok(found)
}

/// Remembers the keys of a group that is about to be committed to the lake. Pending keys with this or a higher group
/// number belong to attempts that failed, and are deleted first: the lake will commit this number now,
/// and must not make them true.
///
/// # Errors
/// [`InsertKeyError::Taken`] when a key is remembered and not expired.
pub async fn insert_pending(
    conn: &mut SqliteConnection,
    tenant: TenantKey,
    route: &str,
    group: i64,
    keys: &[NewKey],
    now_ms: i64,
) -> Result<(), InsertKeyError> {
    sqlx::query(
        "DELETE FROM idempotency
         WHERE tenant_id = ? AND incarnation = ? AND route = ? AND state = 'pending' AND group_number >= ?",
    )
    .bind(tenant.id.get())
    .bind(tenant.incarnation)
    .bind(route)
    .bind(group)
    .execute(&mut *conn)
    .await?;
    for key in keys {
        let inserted = sqlx::query(
            "INSERT INTO idempotency (tenant_id, incarnation, route, key, body_hash, group_number, state, answer_status,
                 answer_body, created_at_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'pending', ?7, ?8, ?9)
             ON CONFLICT DO UPDATE SET body_hash = excluded.body_hash, group_number = excluded.group_number,
                 state = 'pending', answer_status = excluded.answer_status, answer_body = excluded.answer_body,
                 created_at_ms = excluded.created_at_ms
             WHERE created_at_ms <= ?10",
        )
        .bind(tenant.id.get())
        .bind(tenant.incarnation)
        .bind(route)
        .bind(&key.key)
        .bind(key.body_hash.as_slice())
        .bind(group)
        .bind(key.answer_status)
        .bind(key.answer_body.as_slice())
        .bind(now_ms)
        .bind(now_ms - KEY_LIFETIME_MS)
        .execute(&mut *conn)
        .await?;
        if inserted.rows_affected() == 0 {
            return Err(InsertKeyError::Taken(key.key.clone()));
        }
    }
    Ok(())
}

/// Marks the keys of all groups up to this one as done: the lake has committed them.
pub async fn mark_done(
    conn: &mut SqliteConnection,
    tenant: TenantKey,
    route: &str,
    up_to_group: i64,
) -> Result<(), RegistryError> {
    sqlx::query(
        "UPDATE idempotency SET state = 'done'
         WHERE tenant_id = ? AND incarnation = ? AND route = ? AND state = 'pending' AND group_number <= ?",
    )
    .bind(tenant.id.get())
    .bind(tenant.incarnation)
    .bind(route)
    .bind(up_to_group)
    .execute(conn)
    .await?;
    Ok(())
}

/// Settles all pending keys when the lake's table is opened: groups up to the last one committed there happened, later
/// ones did not and are forgotten.
pub async fn resolve(
    conn: &mut SqliteConnection,
    tenant: TenantKey,
    route: &str,
    last_committed_group: i64,
) -> Result<(), RegistryError> {
    mark_done(conn, tenant, route, last_committed_group).await?;
    sqlx::query("DELETE FROM idempotency WHERE tenant_id = ? AND incarnation = ? AND route = ? AND state = 'pending'")
        .bind(tenant.id.get())
        .bind(tenant.incarnation)
        .bind(route)
        .execute(conn)
        .await?;
    Ok(())
}

/// Forgets keys created before this time that are done, and tells how many. Pending ones wait for [`resolve`].
pub async fn purge(conn: &mut SqliteConnection, before_ms: i64) -> Result<u64, RegistryError> {
    let gone = sqlx::query("DELETE FROM idempotency WHERE created_at_ms < ? AND state = 'done'").bind(before_ms);
    Ok(gone.execute(conn).await?.rows_affected())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::testing::TestRegistry;

    const ROUTE: &str = "activities";

    fn key(name: &str) -> NewKey {
        NewKey { key: name.to_owned(), body_hash: [1; 32], answer_status: 200, answer_body: b"{}".to_vec() }
    }

    async fn insert(
        t: &TestRegistry,
        tenant: TenantKey,
        group: i64,
        names: &[&str],
        now_ms: i64,
    ) -> Result<(), InsertKeyError> {
        let keys: Vec<_> = names.iter().map(|n| key(n)).collect();
        let write = t.registry.try_write(move |conn| {
            Box::pin(async move { insert_pending(conn, tenant, ROUTE, group, &keys, now_ms).await })
        });
        write.await
    }

    async fn states(t: &TestRegistry, tenant: TenantKey, names: &[&str], now_ms: i64) -> Vec<Option<(i64, KeyState)>> {
        let mut conn = t.registry.read().await.unwrap();
        let mut states = Vec::new();
        for name in names {
            let found = find(&mut conn, tenant, ROUTE, name, now_ms).await.unwrap();
            states.push(found.map(|k| (k.group, k.state)));
        }
        states
    }

    #[tokio::test]
    async fn a_crash_is_settled_by_the_lakes_last_group() {
        let t = TestRegistry::new().await;
        let (a, b) = (t.tenant(1).await, t.tenant(2).await);
        insert(&t, a, 1, &["k1"], 0).await.unwrap();
        insert(&t, a, 2, &["k2a", "k2b"], 0).await.unwrap();
        insert(&t, a, 3, &["k3"], 0).await.unwrap();
        insert(&t, b, 3, &["k3"], 0).await.unwrap();
        let settle = t.registry.write(move |conn| Box::pin(async move { resolve(conn, a, ROUTE, 2).await }));
        settle.await.unwrap();
        assert_eq!(
            states(&t, a, &["k1", "k2a", "k2b", "k3"], 1).await,
            [Some((1, KeyState::Done)), Some((2, KeyState::Done)), Some((2, KeyState::Done)), None]
        );
        assert_eq!(states(&t, b, &["k3"], 1).await, [Some((3, KeyState::Pending))]);
    }

    #[tokio::test]
    async fn a_reused_group_number_cannot_make_a_failed_attempt_true() {
        let t = TestRegistry::new().await;
        let a = t.tenant(1).await;
        insert(&t, a, 4, &["done"], 0).await.unwrap();
        t.registry.write(move |conn| Box::pin(async move { mark_done(conn, a, ROUTE, 4).await })).await.unwrap();
        insert(&t, a, 5, &["failed"], 0).await.unwrap();
        insert(&t, a, 5, &["next"], 0).await.unwrap();
        assert_eq!(
            states(&t, a, &["done", "failed", "next"], 1).await,
            [Some((4, KeyState::Done)), None, Some((5, KeyState::Pending))]
        );
        // The same key may be tried again under the same number.
        insert(&t, a, 5, &["next"], 0).await.unwrap();
    }

    #[tokio::test]
    async fn a_taken_key_stops_its_whole_group_until_it_expires() {
        let t = TestRegistry::new().await;
        let a = t.tenant(1).await;
        insert(&t, a, 1, &["k"], 0).await.unwrap();
        t.registry.write(move |conn| Box::pin(async move { mark_done(conn, a, ROUTE, 1).await })).await.unwrap();
        let refused = insert(&t, a, 2, &["other", "k"], KEY_LIFETIME_MS - 1).await;
        assert!(matches!(refused, Err(InsertKeyError::Taken(k)) if k == "k"));
        assert_eq!(states(&t, a, &["other"], 1).await, [None]);
        assert_eq!(states(&t, a, &["k"], KEY_LIFETIME_MS).await, [None]);
        insert(&t, a, 2, &["other", "k"], KEY_LIFETIME_MS).await.unwrap();
        let mut conn = t.registry.read().await.unwrap();
        let found = find(&mut conn, a, ROUTE, "k", KEY_LIFETIME_MS).await.unwrap().unwrap();
        assert_eq!((found.group, found.body_hash, found.answer_body), (2, [1; 32], b"{}".to_vec()));
    }

    #[tokio::test]
    async fn purge_keeps_the_young_and_the_undecided() {
        let t = TestRegistry::new().await;
        let a = t.tenant(1).await;
        insert(&t, a, 1, &["old"], 0).await.unwrap();
        insert(&t, a, 2, &["young"], 10).await.unwrap();
        t.registry.write(move |conn| Box::pin(async move { mark_done(conn, a, ROUTE, 2).await })).await.unwrap();
        insert(&t, a, 3, &["undecided"], 0).await.unwrap();
        let purged = t.registry.write(|conn| Box::pin(async move { purge(conn, 10).await })).await.unwrap();
        assert_eq!(purged, 1);
        let left = states(&t, a, &["old", "young", "undecided"], 10).await;
        assert_eq!(left, [None, Some((2, KeyState::Done)), Some((3, KeyState::Pending))]);
    }
}
