//! Roles: what a user may do in a tenant; at most one for each pair.

use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, Row, SqliteConnection};

use super::{RegistryError, rows};
use crate::domain::principal::Role;
use crate::domain::tenant::TenantKey;

/// A user's role in one tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// Row number of the user.
    pub user_id: i64,
    /// The tenant.
    pub tenant: TenantKey,
    /// The role there.
    pub role: Role,
}

impl FromRow<'_, SqliteRow> for Grant {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            user_id: row.try_get("user_id")?,
            tenant: TenantKey::from_row(row)?,
            role: rows::parsed(row, "role")?,
        })
    }
}

/// Gives a user a role in a tenant in place of the one held there.
pub async fn grant(
    conn: &mut SqliteConnection,
    user_id: i64,
    tenant: TenantKey,
    role: Role,
    now_ms: i64,
) -> Result<(), RegistryError> {
    sqlx::query(
        "INSERT INTO user_roles (user_id, tenant_id, incarnation, role, granted_at_ms) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET role = excluded.role, granted_at_ms = excluded.granted_at_ms",
    )
    .bind(user_id)
    .bind(tenant.id.get())
    .bind(tenant.incarnation)
    .bind(role.as_str())
    .bind(now_ms)
    .execute(conn)
    .await?;
    Ok(())
}

/// Takes the role away and tells whether there was one.
pub async fn revoke(conn: &mut SqliteConnection, user_id: i64, tenant: TenantKey) -> Result<bool, RegistryError> {
    let gone = sqlx::query("DELETE FROM user_roles WHERE user_id = ? AND tenant_id = ? AND incarnation = ?")
        .bind(user_id)
        .bind(tenant.id.get())
        .bind(tenant.incarnation)
        .execute(conn)
        .await?;
    Ok(gone.rows_affected() > 0)
}

/// Roles of a user in tenants that serve requests, by tenant id.
pub async fn of_user(conn: &mut SqliteConnection, user_id: i64) -> Result<Vec<Grant>, RegistryError> {
    let grants = sqlx::query_as(
        "SELECT r.* FROM user_roles r JOIN tenants t USING (tenant_id, incarnation)
         WHERE r.user_id = ? AND t.state = 'active' ORDER BY r.tenant_id",
    );
    Ok(grants.bind(user_id).fetch_all(conn).await?)
}

/// Every role in tenants that serve requests, by user and tenant id.
pub async fn list(conn: &mut SqliteConnection) -> Result<Vec<Grant>, RegistryError> {
    let grants = sqlx::query_as(
        "SELECT r.* FROM user_roles r JOIN tenants t USING (tenant_id, incarnation)
         WHERE t.state = 'active' ORDER BY r.user_id, r.tenant_id",
    );
    Ok(grants.fetch_all(conn).await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::testing::TestRegistry;
    use crate::registry::{tenants, users};

    #[tokio::test]
    async fn one_role_for_each_tenant_and_none_where_a_drop_began() {
        let t = TestRegistry::new().await;
        let (a, b) = (t.tenant(1).await, t.tenant(2).await);
        let write = t.registry.write(move |conn| {
            Box::pin(async move {
                let user = users::insert(conn, "a@b.example", "hash", 0).await?.unwrap_or_default();
                grant(conn, user, a, Role::Reader, 0).await?;
                grant(conn, user, a, Role::Admin, 1).await?;
                grant(conn, user, b, Role::Manager, 1).await?;
                Ok(user)
            })
        });
        let user = write.await.unwrap();
        let held = || async {
            let mut conn = t.registry.read().await.unwrap();
            let grants = of_user(&mut conn, user).await.unwrap();
            assert_eq!(list(&mut conn).await.unwrap(), grants);
            grants.iter().map(|g| (g.tenant.id.get(), g.role)).collect::<Vec<_>>()
        };
        assert_eq!(held().await, [(1, Role::Admin), (2, Role::Manager)]);
        t.registry.try_write(move |conn| Box::pin(async move { tenants::begin_drop(conn, b.id).await })).await.unwrap();
        assert_eq!(held().await, [(1, Role::Admin)]);
        let take = || t.registry.write(move |conn| Box::pin(async move { revoke(conn, user, a).await }));
        assert!(take().await.unwrap());
        assert!(!take().await.unwrap());
        assert!(held().await.is_empty());
    }
}
