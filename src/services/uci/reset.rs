//! Resets: users get all their points back.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::json;

use super::error::{UciError, field};
use crate::domain::user_key::user_key;
use crate::registry::audit;
use crate::registry::tenants::Tenant;
use crate::registry::uci::changes::{self, Moment};
use crate::registry::uci::users;
use crate::services::auth::Actor;
use crate::services::{Services, audit_entry};

/// Most users of one reset: it is one transaction, for which all other writes wait.
pub const MAX_RESET_USERS: usize = 1_000;

/// Source of the anomalies that resets by request leave.
const RESET_SOURCE: &str = "UCI reset";

impl Services {
    /// Sets the scores of known users to 1000, all or none; returns the users in the order asked, each once,
    /// in the spelling first seen. Success means: durable, each with its anomaly and alert, in one transaction.
    ///
    /// # Errors
    /// [`UciError::UnknownUsers`] with every user without an index, [`UciError::Field`] without any user or with
    /// more than 1,000, [`UciError::Registry`].
    pub async fn reset_users(
        &self,
        actor: &Actor,
        tenant: &Tenant,
        users: Vec<String>,
    ) -> Result<Vec<String>, UciError> {
        if users.is_empty() || users.len() > MAX_RESET_USERS {
            return Err(field("users", format!("must have 1 to {MAX_RESET_USERS} users")));
        }
        let (key, settings, clock) = (tenant.key, self.uci_settings(tenant), Arc::clone(&self.clock));
        let actor = actor.clone();
        let write = self.registry.try_write(move |conn| {
            Box::pin(async move {
                let moment = Moment { tenant: key, settings, now_ms: clock.now_ms() };
                let (mut known, mut unknown, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
                for user in users {
                    let user_key = user_key(&user);
                    if !seen.insert(user_key.clone()) {
                        continue;
                    }
                    match users::get(conn, key, &user_key).await? {
                        Some(user) => known.push(user),
                        None => unknown.push(user),
                    }
                }
                if !unknown.is_empty() {
                    return Err(UciError::UnknownUsers(unknown));
                }
                let names: Vec<String> = known.iter().map(|user| user.user.clone()).collect();
                let reason = format!("reset by {}", actor.principal);
                for user in known {
                    changes::reset(conn, &moment, user, RESET_SOURCE, &reason).await?;
                }
                let mut entry = audit_entry(&actor, moment.now_ms, Some(key), "uci.reset", "");
                (entry.target, entry.rows) = (None, i64::try_from(names.len()).ok());
                entry.detail = json!({ "users": names });
                audit::append(conn, &entry).await?;
                Ok(names)
            })
        });
        write.await
    }
}
