//! The audit trail: who did what, when, from where, and how much of it. Rows are only ever added.

use serde_json::Value;
use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, Row, SqliteConnection};

use super::{RegistryError, rows};
use crate::domain::tenant::TenantKey;

/// One entry of the trail.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEntry {
    /// When, ms since epoch.
    pub at_ms: i64,
    /// The tenant concerned; none for acts on the server.
    pub tenant: Option<TenantKey>,
    /// Who, for example an e-mail address or `token 7`.
    pub principal: String,
    /// From where; none for the machine itself.
    pub address: Option<String>,
    /// What, for example `token.create`.
    pub action: String,
    /// On what.
    pub target: Option<String>,
    /// More, as JSON; never a secret.
    pub detail: Value,
    /// Rows given or stored.
    pub rows: Option<i64>,
}

impl FromRow<'_, SqliteRow> for AuditEntry {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        let has_tenant = row.try_get::<Option<i64>, _>("tenant_id")?.is_some();
        Ok(Self {
            at_ms: row.try_get("at_ms")?,
            tenant: if has_tenant { Some(TenantKey::from_row(row)?) } else { None },
            principal: row.try_get("principal")?,
            address: row.try_get("address")?,
            action: row.try_get("action")?,
            target: row.try_get("target")?,
            detail: rows::parsed(row, "detail")?,
            rows: row.try_get("rows")?,
        })
    }
}

/// Adds an entry; in the transaction of the act it tells of, so that neither is without the other.
pub async fn append(conn: &mut SqliteConnection, entry: &AuditEntry) -> Result<(), RegistryError> {
    sqlx::query(
        "INSERT INTO audit (at_ms, tenant_id, incarnation, principal, address, action, target, detail, rows)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(entry.at_ms)
    .bind(entry.tenant.map(|t| t.id.get()))
    .bind(entry.tenant.map(|t| t.incarnation))
    .bind(&entry.principal)
    .bind(entry.address.as_deref())
    .bind(&entry.action)
    .bind(entry.target.as_deref())
    .bind(entry.detail.to_string())
    .bind(entry.rows)
    .execute(conn)
    .await?;
    Ok(())
}

/// Entries of one life of a tenant from this time on, in the order in which they were added.
pub async fn list(
    conn: &mut SqliteConnection,
    tenant: TenantKey,
    since_ms: i64,
    limit: u32,
) -> Result<Vec<AuditEntry>, RegistryError> {
    let entries = sqlx::query_as(
        "SELECT * FROM audit WHERE tenant_id = ? AND incarnation = ? AND at_ms >= ? ORDER BY id LIMIT ?",
    );
    Ok(entries.bind(tenant.id.get()).bind(tenant.incarnation).bind(since_ms).bind(limit).fetch_all(conn).await?)
}

/// Entries of acts on the server itself from this time on, in the order in which they were added.
pub async fn list_server(
    conn: &mut SqliteConnection,
    since_ms: i64,
    limit: u32,
) -> Result<Vec<AuditEntry>, RegistryError> {
    let entries = sqlx::query_as("SELECT * FROM audit WHERE tenant_id IS NULL AND at_ms >= ? ORDER BY id LIMIT ?");
    Ok(entries.bind(since_ms).bind(limit).fetch_all(conn).await?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::registry::testing::TestRegistry;

    #[tokio::test]
    async fn entries_read_back_in_order_for_their_tenant() {
        let t = TestRegistry::new().await;
        let (a, b) = (t.tenant(1).await, t.tenant(2).await);
        let entry = |at_ms, tenant| AuditEntry {
            at_ms,
            tenant,
            principal: "a@b.example".to_owned(),
            address: Some("192.0.2.1".to_owned()),
            action: "export".to_owned(),
            target: Some("anomaly 4".to_owned()),
            detail: json!({"format": "csv"}),
            rows: Some(11),
        };
        let server = AuditEntry { address: None, target: None, rows: None, detail: json!({}), ..entry(1, None) };
        let entries = [entry(1, Some(a)), entry(2, Some(b)), server.clone(), entry(3, Some(a)), entry(2, Some(a))];
        let stored = entries.clone();
        let write = t.registry.write(move |conn| {
            Box::pin(async move {
                for entry in &stored {
                    append(conn, entry).await?;
                }
                Ok(())
            })
        });
        write.await.unwrap();
        let mut conn = t.registry.read().await.unwrap();
        assert_eq!(list(&mut conn, a, 2, 10).await.unwrap(), entries[3..]);
        assert_eq!(list(&mut conn, a, 0, 1).await.unwrap(), entries[..1]);
        assert_eq!(list_server(&mut conn, 0, 10).await.unwrap(), [server]);
    }
}
