//! Resets: users get all their points back.

use super::error::UciError;
use crate::registry::tenants::Tenant;
use crate::services::Services;
use crate::services::auth::Actor;

impl Services {
    /// Sets the scores of known users to 1000, all or none; returns the users in the order asked, each once,
    /// in the spelling first seen. Success means: durable, each with its anomaly and alert, in one transaction.
    ///
    /// # Errors
    /// [`UciError::UnknownUsers`] with every user without an index, [`UciError::Field`], [`UciError::Registry`].
    pub async fn reset_users(
        &self,
        actor: &Actor,
        tenant: &Tenant,
        users: Vec<String>,
    ) -> Result<Vec<String>, UciError> {
        todo!()
    }
}
