//! Tokens: one tenant, stored as the SHA-256 of their text. What a token of its own allows is in its row; one
//! that stands for a user allows what the user's role does at the moment of use.

use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, Row, SqliteConnection};

use super::{RegistryError, rows};
use crate::domain::principal::{Role, Scopes};
use crate::domain::tenant::TenantKey;
use crate::domain::token_kind::TokenKind;

/// SHA-256 of a token's text. Not printed: what is stored need not be in logs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TokenHash(pub [u8; 32]);

impl std::fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenHash(..)")
    }
}

/// A token to be stored.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// The one tenant that it opens.
    pub tenant: TenantKey,
    /// Row number of the user that it stands for; none for a token of its own.
    pub user_id: Option<i64>,
    /// Name for people.
    pub name: Option<String>,
    /// Kind; a token is valid only where its kind is expected.
    pub kind: TokenKind,
    /// SHA-256 of the token's text.
    pub hash: TokenHash,
    /// What it allows by itself; empty for one that stands for a user.
    pub scopes: Scopes,
    /// First moment at which it is no longer valid, ms since epoch; none for never.
    pub expires_at_ms: Option<i64>,
    /// Number of the session's first refresh token; none outside a session.
    pub family: Option<i64>,
}

impl NewToken {
    /// A long-lived token of its own.
    #[must_use]
    pub fn api(
        tenant: TenantKey,
        name: Option<String>,
        hash: TokenHash,
        scopes: Scopes,
        expires_at_ms: Option<i64>,
    ) -> Self {
        Self { tenant, user_id: None, name, kind: TokenKind::Api, hash, scopes, expires_at_ms, family: None }
    }

    /// A token that stands for a user, outside a session.
    #[must_use]
    pub fn of_user(tenant: TenantKey, user_id: i64, kind: TokenKind, hash: TokenHash, expires_at_ms: i64) -> Self {
        let (scopes, expires_at_ms) = (Scopes::default(), Some(expires_at_ms));
        Self { tenant, user_id: Some(user_id), name: None, kind, hash, scopes, expires_at_ms, family: None }
    }
}

/// A stored token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Number by which people name it.
    pub id: i64,
    /// The one tenant that it opens.
    pub tenant: TenantKey,
    /// Row number of the user that it stands for; none for a token of its own.
    pub user_id: Option<i64>,
    /// Name for people.
    pub name: Option<String>,
    /// Kind; a token is valid only where its kind is expected.
    pub kind: TokenKind,
    /// SHA-256 of the token's text.
    pub hash: TokenHash,
    /// What it allows by itself; empty for one that stands for a user.
    pub scopes: Scopes,
    /// ms since epoch.
    pub created_at_ms: i64,
    /// First moment at which it is no longer valid, ms since epoch; none for never.
    pub expires_at_ms: Option<i64>,
    /// ms since epoch, to about a minute; none when it was never used.
    pub last_used_at_ms: Option<i64>,
    /// ms since epoch; none while it is not revoked.
    pub revoked_at_ms: Option<i64>,
    /// Number of the session's first refresh token; none outside a session.
    pub family: Option<i64>,
    /// When a refresh token was exchanged, ms since epoch; none while it was not.
    pub used_at_ms: Option<i64>,
}

impl Token {
    /// Whether it is neither revoked nor expired.
    #[must_use]
    pub fn is_valid_at(&self, now_ms: i64) -> bool {
        self.revoked_at_ms.is_none() && self.expires_at_ms.is_none_or(|at| now_ms < at)
    }
}

impl FromRow<'_, SqliteRow> for Token {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.try_get("id")?,
            tenant: TenantKey::from_row(row)?,
            user_id: row.try_get("user_id")?,
            name: row.try_get("name")?,
            kind: rows::parsed(row, "kind")?,
            hash: TokenHash(rows::digest(row, "hash")?),
            scopes: rows::parsed(row, "scopes")?,
            created_at_ms: row.try_get("created_at_ms")?,
            expires_at_ms: row.try_get("expires_at_ms")?,
            last_used_at_ms: row.try_get("last_used_at_ms")?,
            revoked_at_ms: row.try_get("revoked_at_ms")?,
            family: row.try_get("family")?,
            used_at_ms: row.try_get("used_at_ms")?,
        })
    }
}

/// The user that a token stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Row number of the user.
    pub user_id: i64,
    /// E-mail address, lower-cased.
    pub email: String,
    /// The user's role in the token's tenant now.
    pub role: Role,
}

/// A token with the rows around it that decide what it is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundToken {
    /// Its own row.
    pub token: Token,
    /// Name of its tenant.
    pub tenant_name: String,
    /// The user that it stands for; none for a token of its own.
    pub holder: Option<Holder>,
}

impl FoundToken {
    /// What the token allows now.
    #[must_use]
    pub fn scopes(&self) -> Scopes {
        self.holder.as_ref().map_or_else(|| self.token.scopes.clone(), |holder| holder.role.scopes())
    }
}

impl FromRow<'_, SqliteRow> for FoundToken {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        let token = Token::from_row(row)?;
        let holder = match token.user_id {
            None => None,
            Some(user_id) => Some(Holder { user_id, email: row.try_get("email")?, role: rows::parsed(row, "role")? }),
        };
        Ok(Self { token, tenant_name: row.try_get("tenant_name")?, holder })
    }
}

/// Stores a token and returns its number.
pub async fn insert(conn: &mut SqliteConnection, token: &NewToken, now_ms: i64) -> Result<i64, RegistryError> {
    let id = sqlx::query_scalar(
        "INSERT INTO tokens
             (tenant_id, incarnation, user_id, name, kind, hash, scopes, created_at_ms, expires_at_ms, family)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
    )
    .bind(token.tenant.id.get())
    .bind(token.tenant.incarnation)
    .bind(token.user_id)
    .bind(token.name.as_deref())
    .bind(token.kind.as_str())
    .bind(token.hash.0.as_slice())
    .bind(token.scopes.to_string())
    .bind(now_ms)
    .bind(token.expires_at_ms)
    .bind(token.family)
    .fetch_one(conn)
    .await?;
    Ok(id)
}

/// The token whose text has this SHA-256, valid or not, as long as its tenant serves requests and the user
/// that it stands for is enabled and has a role there.
pub async fn by_hash(conn: &mut SqliteConnection, hash: TokenHash) -> Result<Option<FoundToken>, RegistryError> {
    let token = sqlx::query_as(
        "SELECT k.*, t.name AS tenant_name, u.email, r.role
         FROM tokens k
         JOIN tenants t ON t.tenant_id = k.tenant_id AND t.incarnation = k.incarnation
         LEFT JOIN users u ON u.id = k.user_id AND u.enabled = 1
         LEFT JOIN user_roles r
             ON r.user_id = u.id AND r.tenant_id = k.tenant_id AND r.incarnation = k.incarnation
         WHERE k.hash = ? AND t.state = 'active' AND (k.user_id IS NULL OR r.role IS NOT NULL)",
    );
    Ok(token.bind(hash.0.as_slice()).fetch_optional(conn).await?)
}

/// All tokens of a tenant that stand for themselves, by number, also those no longer valid.
pub async fn list(conn: &mut SqliteConnection, tenant: TenantKey) -> Result<Vec<Token>, RegistryError> {
    let tokens =
        sqlx::query_as("SELECT * FROM tokens WHERE tenant_id = ? AND incarnation = ? AND user_id IS NULL ORDER BY id");
    Ok(tokens.bind(tenant.id.get()).bind(tenant.incarnation).fetch_all(conn).await?)
}

/// Deletes up to `limit` expired tokens and returns how many: those that stand for a user when they expired at
/// or before `now_ms`, those of their own at or before `own_before_ms`.
pub async fn purge_expired(
    conn: &mut SqliteConnection,
    now_ms: i64,
    own_before_ms: i64,
    limit: u32,
) -> Result<u64, RegistryError> {
    let purged = sqlx::query(
        "DELETE FROM tokens WHERE id IN (
             SELECT id FROM tokens
             WHERE expires_at_ms <= ?1 AND (user_id IS NOT NULL OR expires_at_ms <= ?2) LIMIT ?3)",
    );
    Ok(purged.bind(now_ms).bind(own_before_ms).bind(limit).execute(conn).await?.rows_affected())
}

/// Ends a token of this tenant, with its session if it belongs to one, and tells whether there is one with
/// this number; the first revocation's time stays.
pub async fn revoke(
    conn: &mut SqliteConnection,
    tenant: TenantKey,
    id: i64,
    now_ms: i64,
) -> Result<bool, RegistryError> {
    let revoked = sqlx::query(
        "UPDATE tokens SET revoked_at_ms = COALESCE(revoked_at_ms, ?1)
         WHERE (id = ?2 OR family = (SELECT family FROM tokens WHERE id = ?2)) AND tenant_id = ?3 AND incarnation = ?4",
    )
    .bind(now_ms)
    .bind(id)
    .bind(tenant.id.get())
    .bind(tenant.incarnation)
    .execute(conn)
    .await?;
    Ok(revoked.rows_affected() > 0)
}

/// Remembers when a token was last used; an older time than the stored one changes nothing.
pub async fn touch(conn: &mut SqliteConnection, id: i64, used_at_ms: i64) -> Result<(), RegistryError> {
    sqlx::query("UPDATE tokens SET last_used_at_ms = MAX(COALESCE(last_used_at_ms, ?1), ?1) WHERE id = ?2")
        .bind(used_at_ms)
        .bind(id)
        .execute(conn)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::testing::TestRegistry;

    #[tokio::test]
    async fn a_token_reads_back_and_ends_once() {
        let t = TestRegistry::new().await;
        let (key, other) = (t.tenant(1).await, t.tenant(2).await);
        let scopes: Scopes = "activities:read,sql:read".parse().unwrap();
        let new = NewToken::api(key, Some("export".to_owned()), TokenHash([3; 32]), scopes, Some(100));
        let stored = new.clone();
        let write = t.registry.write(move |conn| Box::pin(async move { insert(conn, &stored, 5).await }));
        let id = write.await.unwrap();
        let find =
            || async { by_hash(&mut t.registry.read().await.unwrap(), TokenHash([3; 32])).await.unwrap().unwrap() };
        let token = find().await.token;
        assert_eq!((token.id, &token.name, &token.scopes), (id, &new.name, &new.scopes));
        assert!(token.is_valid_at(99) && !token.is_valid_at(100));

        let revoke_for =
            |key, at| t.registry.write(move |conn| Box::pin(async move { revoke(conn, key, id, at).await }));
        assert!(!revoke_for(other, 6).await.unwrap());
        assert!(find().await.token.is_valid_at(10));
        assert!(revoke_for(key, 7).await.unwrap());
        assert!(revoke_for(key, 8).await.unwrap());
        assert_eq!(find().await.token.revoked_at_ms, Some(7));
        assert!(!find().await.token.is_valid_at(10));
        assert_eq!(list(&mut t.registry.read().await.unwrap(), other).await.unwrap(), []);
    }

    #[tokio::test]
    async fn last_use_never_goes_back() {
        let t = TestRegistry::new().await;
        let key = t.tenant(1).await;
        let write = t.registry.write(move |conn| {
            Box::pin(async move {
                let id =
                    insert(conn, &NewToken::api(key, None, TokenHash([3; 32]), Scopes::default(), None), 5).await?;
                for at in [20, 10] {
                    touch(conn, id, at).await?;
                }
                list(conn, key).await
            })
        });
        assert_eq!(write.await.unwrap()[0].last_used_at_ms, Some(20));
    }
}
