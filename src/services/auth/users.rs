//! Administration of users. Every act and its audit entry are one transaction; what it changes holds from the
//! moment it is answered, for remembered credentials and for the user's tokens too.

use serde_json::{Value, json};
use sqlx::SqliteConnection;

use super::credential::{Actor, Secret};
use super::{AdminError, Authenticator};
use crate::domain::principal::Role;
use crate::domain::tenant::{TenantId, TenantKey};
use crate::registry::audit::{self, AuditEntry};
use crate::registry::{RegistryError, roles, sessions, tenants, users};

/// Fewest characters of a password.
pub const MIN_PASSWORD_CHARS: usize = 8;

/// A user and where it has roles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserSummary {
    /// E-mail address, lower-cased.
    pub email: String,
    /// Whether the user may sign in.
    pub enabled: bool,
    /// ms since epoch.
    pub created_at_ms: i64,
    /// Roles by tenant id.
    pub roles: Vec<(TenantKey, Role)>,
}

/// An audit entry of an administrative act, without rows.
pub(super) fn entry(
    actor: &Actor,
    at_ms: i64,
    tenant: Option<TenantKey>,
    action: &str,
    target: String,
    detail: Value,
) -> AuditEntry {
    AuditEntry {
        at_ms,
        tenant,
        principal: actor.principal.clone(),
        address: actor.address.map(|a| a.to_string()),
        action: action.to_owned(),
        target: Some(target),
        detail,
        rows: None,
    }
}

fn check_email(email: &str) -> Result<String, AdminError> {
    let email = users::email_key(email);
    let forbidden = |c: char| c == ':' || c.is_whitespace() || c.is_control();
    match email.split_once('@') {
        // A colon would end the user name of a Basic header.
        Some((local, host)) if !local.is_empty() && !host.is_empty() && !email.contains(forbidden) => Ok(email),
        _ => Err(AdminError::InvalidEmail(email)),
    }
}

fn check_password(password: &Secret) -> Result<(), AdminError> {
    if password.expose().chars().count() < MIN_PASSWORD_CHARS { Err(AdminError::WeakPassword) } else { Ok(()) }
}

async fn known_user(conn: &mut SqliteConnection, email: &str) -> Result<users::User, AdminError> {
    users::by_email(conn, email).await?.ok_or_else(|| AdminError::NoSuchUser(email.to_owned()))
}

impl Authenticator {
    /// Creates an enabled user with a role in one tenant.
    ///
    /// # Errors
    /// [`AdminError::InvalidEmail`], [`AdminError::WeakPassword`], [`AdminError::UserExists`], [`AdminError::Tenant`],
    /// [`AdminError::Busy`].
    pub async fn create_user(
        &self,
        actor: &Actor,
        tenant: TenantId,
        email: &str,
        password: Secret,
        role: Role,
    ) -> Result<(), AdminError> {
        let email = check_email(email)?;
        check_password(&password)?;
        let hash = self.passwords.hash(password).await?;
        let (actor, now_ms) = (actor.clone(), self.clock.now_ms());
        self.registry
            .try_write(move |conn| {
                Box::pin(async move {
                    let key = tenants::get_active(conn, tenant).await?.key;
                    let Some(id) = users::insert(conn, &email, &hash, now_ms).await? else {
                        return Err(AdminError::UserExists(email));
                    };
                    roles::grant(conn, id, key, role, now_ms).await?;
                    let detail = json!({ "role": role });
                    audit::append(conn, &entry(&actor, now_ms, Some(key), "user.create", email, detail)).await?;
                    Ok(())
                })
            })
            .await
    }

    /// Gives a user a role in a tenant, in place of the one held there.
    ///
    /// # Errors
    /// [`AdminError::NoSuchUser`], [`AdminError::Tenant`].
    pub async fn grant(&self, actor: &Actor, tenant: TenantId, email: &str, role: Role) -> Result<(), AdminError> {
        let (actor, email, now_ms) = (actor.clone(), users::email_key(email), self.clock.now_ms());
        self.registry
            .try_write(move |conn| {
                Box::pin(async move {
                    let key = tenants::get_active(conn, tenant).await?.key;
                    let user = known_user(conn, &email).await?;
                    roles::grant(conn, user.id, key, role, now_ms).await?;
                    let detail = json!({ "role": role });
                    audit::append(conn, &entry(&actor, now_ms, Some(key), "user.grant", email, detail)).await?;
                    Ok(())
                })
            })
            .await
    }

    /// Takes a user's role in a tenant away and ends the user's tokens there. The user stays, also without any
    /// role.
    ///
    /// # Errors
    /// [`AdminError::NoSuchUser`], [`AdminError::NoSuchRole`], [`AdminError::Tenant`].
    pub async fn revoke(&self, actor: &Actor, tenant: TenantId, email: &str) -> Result<(), AdminError> {
        let (actor, email, now_ms) = (actor.clone(), users::email_key(email), self.clock.now_ms());
        self.registry
            .try_write(move |conn| {
                Box::pin(async move {
                    let key = tenants::get_active(conn, tenant).await?.key;
                    let user = known_user(conn, &email).await?;
                    if !roles::revoke(conn, user.id, key).await? {
                        return Err(AdminError::NoSuchRole { email, tenant });
                    }
                    sessions::revoke_of_user(conn, user.id, Some(key), now_ms).await?;
                    let entry = entry(&actor, now_ms, Some(key), "user.revoke", email, json!({}));
                    audit::append(conn, &entry).await?;
                    Ok(())
                })
            })
            .await
    }

    /// Replaces a user's password and ends all tokens that the old one gave.
    ///
    /// # Errors
    /// [`AdminError::WeakPassword`], [`AdminError::NoSuchUser`], [`AdminError::Busy`].
    pub async fn passwd(&self, actor: &Actor, email: &str, password: Secret) -> Result<(), AdminError> {
        check_password(&password)?;
        let hash = self.passwords.hash(password).await?;
        let (actor, email, now_ms) = (actor.clone(), users::email_key(email), self.clock.now_ms());
        self.registry
            .try_write(move |conn| {
                Box::pin(async move {
                    let user = known_user(conn, &email).await?;
                    users::set_password_hash(conn, user.id, &hash).await?;
                    sessions::revoke_of_user(conn, user.id, None, now_ms).await?;
                    audit::append(conn, &entry(&actor, now_ms, None, "user.passwd", email, json!({}))).await?;
                    Ok(())
                })
            })
            .await
    }

    /// Lets a user sign in again.
    ///
    /// # Errors
    /// [`AdminError::NoSuchUser`].
    pub async fn enable(&self, actor: &Actor, email: &str) -> Result<(), AdminError> {
        self.set_enabled(actor, email, true).await
    }

    /// Keeps a user from signing in, in every tenant, from the answer on, and ends all the user's tokens for good.
    ///
    /// # Errors
    /// [`AdminError::NoSuchUser`].
    pub async fn disable(&self, actor: &Actor, email: &str) -> Result<(), AdminError> {
        self.set_enabled(actor, email, false).await
    }

    async fn set_enabled(&self, actor: &Actor, email: &str, enabled: bool) -> Result<(), AdminError> {
        let (actor, email, now_ms) = (actor.clone(), users::email_key(email), self.clock.now_ms());
        let action = if enabled { "user.enable" } else { "user.disable" };
        self.registry
            .try_write(move |conn| {
                Box::pin(async move {
                    let user = known_user(conn, &email).await?;
                    users::set_enabled(conn, user.id, enabled).await?;
                    if !enabled {
                        sessions::revoke_of_user(conn, user.id, None, now_ms).await?;
                    }
                    audit::append(conn, &entry(&actor, now_ms, None, action, email, json!({}))).await?;
                    Ok(())
                })
            })
            .await
    }

    /// All users of the server by address, also those without a role.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub async fn list_users(&self) -> Result<Vec<UserSummary>, RegistryError> {
        let mut conn = self.registry.read().await?;
        let (users, grants) = (users::list(&mut conn).await?, roles::list(&mut conn).await?);
        let mut summaries = Vec::with_capacity(users.len());
        for user in users {
            // Grants are ordered by user.
            let start = grants.partition_point(|g| g.user_id < user.id);
            let of_user = grants[start..].iter().take_while(|g| g.user_id == user.id);
            summaries.push(UserSummary {
                roles: of_user.map(|g| (g.tenant, g.role)).collect(),
                email: user.email,
                enabled: user.enabled,
                created_at_ms: user.created_at_ms,
            });
        }
        Ok(summaries)
    }

    /// Users with a role in this tenant by address; their roles elsewhere are not shown.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub async fn list_users_of(&self, tenant: TenantId) -> Result<Vec<UserSummary>, RegistryError> {
        let mut summaries = self.list_users().await?;
        for user in &mut summaries {
            user.roles.retain(|(key, _)| key.id == tenant);
        }
        summaries.retain(|user| !user.roles.is_empty());
        Ok(summaries)
    }
}
