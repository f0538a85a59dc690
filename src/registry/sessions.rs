//! Sessions of users: a refresh token, the access token beside it, and all that are refreshed from them are one
//! family, named by the number of its first refresh token.

use sqlx::SqliteConnection;

use super::RegistryError;
use crate::domain::tenant::TenantKey;

/// Makes a refresh token the first of its session.
pub async fn begin_family(conn: &mut SqliteConnection, id: i64) -> Result<(), RegistryError> {
    sqlx::query("UPDATE tokens SET family = id WHERE id = ?").bind(id).execute(conn).await?;
    Ok(())
}

/// Notes that a refresh token was exchanged.
pub async fn mark_used(conn: &mut SqliteConnection, id: i64, now_ms: i64) -> Result<(), RegistryError> {
    sqlx::query("UPDATE tokens SET used_at_ms = ? WHERE id = ?").bind(now_ms).bind(id).execute(conn).await?;
    Ok(())
}

/// Ends every token of a session and returns how many were not ended before.
pub async fn revoke_family(conn: &mut SqliteConnection, family: i64, now_ms: i64) -> Result<u64, RegistryError> {
    let revoked = sqlx::query("UPDATE tokens SET revoked_at_ms = ? WHERE family = ? AND revoked_at_ms IS NULL");
    Ok(revoked.bind(now_ms).bind(family).execute(conn).await?.rows_affected())
}

/// Ends every token that stands for a user, in one tenant or in all. For good: being let in again later revives
/// none of them.
pub async fn revoke_of_user(
    conn: &mut SqliteConnection,
    user_id: i64,
    tenant: Option<TenantKey>,
    now_ms: i64,
) -> Result<(), RegistryError> {
    sqlx::query(
        "UPDATE tokens SET revoked_at_ms = ?1 WHERE user_id = ?2 AND revoked_at_ms IS NULL
             AND (?3 IS NULL OR (tenant_id = ?3 AND incarnation = ?4))",
    )
    .bind(now_ms)
    .bind(user_id)
    .bind(tenant.map(|t| t.id.get()))
    .bind(tenant.map(|t| t.incarnation))
    .execute(conn)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::principal::Role;
    use crate::domain::token_kind::TokenKind;
    use crate::registry::testing::TestRegistry;
    use crate::registry::tokens::{FoundToken, NewToken, TokenHash, by_hash, insert, list, purge_expired, revoke};
    use crate::registry::{roles, users};

    struct World {
        t: TestRegistry,
        user: i64,
        one: TenantKey,
        two: TenantKey,
    }

    impl World {
        /// A manager of two tenants with a family of two tokens (hashes 1, 2) and a lone token (3) in tenant 1,
        /// and a lone token (4) in tenant 2. Token `n` expires at `10 * n`.
        async fn new() -> Self {
            let t = TestRegistry::new().await;
            let (one, two) = (t.tenant(1).await, t.tenant(2).await);
            let write = t.registry.write(move |conn| {
                Box::pin(async move {
                    let user = users::insert(conn, "a@b.example", "hash", 0).await?.unwrap_or_default();
                    for key in [one, two] {
                        roles::grant(conn, user, key, Role::Manager, 0).await?;
                    }
                    let new =
                        |key, kind, n: u8| NewToken::of_user(key, user, kind, TokenHash([n; 32]), 10 * i64::from(n));
                    let first = insert(conn, &new(one, TokenKind::Refresh, 1), 0).await?;
                    begin_family(conn, first).await?;
                    let access = NewToken { family: Some(first), ..new(one, TokenKind::Access, 2) };
                    insert(conn, &access, 0).await?;
                    insert(conn, &new(one, TokenKind::Iam, 3), 0).await?;
                    insert(conn, &new(two, TokenKind::Iam, 4), 0).await?;
                    Ok(user)
                })
            });
            let user = write.await.unwrap();
            Self { t, user, one, two }
        }

        async fn find(&self, n: u8) -> Option<FoundToken> {
            by_hash(&mut self.t.registry.read().await.unwrap(), TokenHash([n; 32])).await.unwrap()
        }

        /// Numbers of the tokens that are not revoked.
        async fn live(&self) -> Vec<u8> {
            let mut live = Vec::new();
            for n in 1..=4 {
                if self.find(n).await.is_some_and(|found| found.token.revoked_at_ms.is_none()) {
                    live.push(n);
                }
            }
            live
        }
    }

    #[tokio::test]
    async fn a_users_token_allows_what_the_role_does_now() {
        let w = World::new().await;
        let (user, one) = (w.user, w.one);
        let found = w.find(2).await.unwrap();
        assert_eq!((found.scopes(), found.tenant_name.as_str()), (Role::Manager.scopes(), "a tenant"));
        assert_eq!(found.holder.unwrap().email, "a@b.example");
        let grant = |role| w.t.registry.write(move |conn| Box::pin(roles::grant(conn, user, one, role, 1)));
        grant(Role::Reader).await.unwrap();
        assert_eq!(w.find(2).await.unwrap().scopes(), Role::Reader.scopes());
        let revoked = w.t.registry.write(move |conn| Box::pin(roles::revoke(conn, user, one)));
        assert!(revoked.await.unwrap());
        assert!(w.find(2).await.is_none() && w.find(4).await.is_some());
        w.t.registry.write(move |conn| Box::pin(users::set_enabled(conn, user, false))).await.unwrap();
        assert!(w.find(4).await.is_none());
        assert_eq!(list(&mut w.t.registry.read().await.unwrap(), w.two).await.unwrap(), []);
    }

    #[tokio::test]
    async fn a_family_ends_as_a_whole_and_alone() {
        let w = World::new().await;
        let first = w.find(1).await.unwrap().token;
        assert_eq!(first.family, Some(first.id));
        let id = first.id;
        let end = || w.t.registry.write(move |conn| Box::pin(revoke_family(conn, id, 5)));
        assert_eq!((end().await.unwrap(), end().await.unwrap()), (2, 0));
        assert_eq!(w.live().await, [3, 4]);
    }

    #[tokio::test]
    async fn revoking_one_of_a_family_by_its_number_ends_the_family() {
        let w = World::new().await;
        let (access, lone) = (w.find(2).await.unwrap().token.id, w.find(3).await.unwrap().token.id);
        let (one, two) = (w.one, w.two);
        let end = |key, id| w.t.registry.write(move |conn| Box::pin(revoke(conn, key, id, 5)));
        assert!(!end(two, access).await.unwrap());
        assert_eq!(w.live().await, [1, 2, 3, 4]);
        assert!(end(one, access).await.unwrap());
        assert_eq!(w.live().await, [3, 4]);
        assert!(end(one, lone).await.unwrap());
        assert_eq!(w.live().await, [4]);
    }

    #[tokio::test]
    async fn a_users_tokens_end_in_one_tenant_or_in_all() {
        for (tenant, live) in [(true, vec![4]), (false, vec![])] {
            let w = World::new().await;
            let (user, tenant) = (w.user, tenant.then_some(w.one));
            w.t.registry.write(move |conn| Box::pin(revoke_of_user(conn, user, tenant, 5))).await.unwrap();
            assert_eq!(w.live().await, live);
        }
    }

    #[tokio::test]
    async fn expired_tokens_go_and_those_of_their_own_later() {
        let w = World::new().await;
        let one = w.one;
        let api = NewToken::api(one, None, TokenHash([9; 32]), "sql:read".parse().unwrap(), Some(10));
        w.t.registry.write(move |conn| Box::pin(async move { insert(conn, &api, 0).await })).await.unwrap();
        let purge = |now, own, limit| w.t.registry.write(move |conn| Box::pin(purge_expired(conn, now, own, limit)));
        assert_eq!(purge(9, 9, 100).await.unwrap(), 0);
        assert_eq!(purge(30, 9, 2).await.unwrap(), 2);
        assert_eq!(purge(30, 9, 2).await.unwrap(), 1);
        assert_eq!(w.live().await, [4]);
        assert!(w.find(9).await.is_some());
        assert_eq!(purge(30, 10, 2).await.unwrap(), 1);
        assert!(w.find(9).await.is_none());
    }
}
