//! Users of the server: e-mail and password, unique per server. What they may do is in their roles.

use sqlx::{FromRow, SqliteConnection};

use super::RegistryError;
use crate::domain::user_key::user_key;

/// A user with the secret's hash; never goes over any wire.
#[derive(Clone, FromRow)]
pub struct User {
    /// Row number.
    pub id: i64,
    /// E-mail address, lower-cased.
    pub email: String,
    /// Argon2 hash in PHC form.
    pub password_hash: String,
    /// Whether the user may sign in.
    pub enabled: bool,
    /// ms since epoch.
    pub created_at_ms: i64,
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User")
            .field("id", &self.id)
            .field("email", &self.email)
            .field("enabled", &self.enabled)
            .finish_non_exhaustive()
    }
}

/// The one form of an e-mail address that is stored and compared: trimmed and lower-cased.
#[must_use]
pub fn email_key(email: &str) -> String {
    user_key(email)
}

/// Adds an enabled user and returns its row number, or none when the address is taken.
pub async fn insert(
    conn: &mut SqliteConnection,
    email: &str,
    password_hash: &str,
    now_ms: i64,
) -> Result<Option<i64>, RegistryError> {
    let id = sqlx::query_scalar(
        "INSERT INTO users (email, password_hash, enabled, created_at_ms) VALUES (?, ?, 1, ?)
         ON CONFLICT (email) DO NOTHING RETURNING id",
    )
    .bind(email_key(email))
    .bind(password_hash)
    .bind(now_ms)
    .fetch_optional(conn)
    .await?;
    Ok(id)
}

/// The user with this address, however its letters are cased.
pub async fn by_email(conn: &mut SqliteConnection, email: &str) -> Result<Option<User>, RegistryError> {
    Ok(sqlx::query_as("SELECT * FROM users WHERE email = ?").bind(email_key(email)).fetch_optional(conn).await?)
}

/// All users by address.
pub async fn list(conn: &mut SqliteConnection) -> Result<Vec<User>, RegistryError> {
    Ok(sqlx::query_as("SELECT * FROM users ORDER BY email").fetch_all(conn).await?)
}

/// Replaces the password's hash.
pub async fn set_password_hash(
    conn: &mut SqliteConnection,
    user_id: i64,
    password_hash: &str,
) -> Result<(), RegistryError> {
    let update = sqlx::query("UPDATE users SET password_hash = ? WHERE id = ?").bind(password_hash).bind(user_id);
    update.execute(conn).await?;
    Ok(())
}

/// Lets the user sign in, or no longer.
pub async fn set_enabled(conn: &mut SqliteConnection, user_id: i64, enabled: bool) -> Result<(), RegistryError> {
    sqlx::query("UPDATE users SET enabled = ? WHERE id = ?").bind(enabled).bind(user_id).execute(conn).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::testing::TestRegistry;

    #[tokio::test]
    async fn addresses_are_unique_whatever_their_case() {
        let t = TestRegistry::new().await;
        let add = |email: &'static str| {
            t.registry.write(move |conn| Box::pin(async move { insert(conn, email, "$secret", 5).await }))
        };
        let id = add("Änne@Example.com ").await.unwrap();
        assert!(id.is_some());
        assert_eq!(add("änne@EXAMPLE.com").await.unwrap(), None);
        let mut conn = t.registry.read().await.unwrap();
        let user = by_email(&mut conn, "ÄNNE@example.com").await.unwrap().unwrap();
        assert_eq!((Some(user.id), user.email.as_str(), user.enabled), (id, "änne@example.com", true));
        assert!(!format!("{user:?}").contains("secret"));
    }
}
