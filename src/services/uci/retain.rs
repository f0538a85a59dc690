//! What of the index is dropped, and when; and everything of one user.

use super::error::UciError;
use crate::registry::tenants::Tenant;
use crate::services::Services;

/// What was dropped for its age.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retained {
    /// Anomalies of impacts and resets.
    pub anomalies: u64,
    /// Alerts.
    pub alerts: u64,
    /// Idempotency keys.
    pub keys: u64,
}

/// What was erased of a user.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Erased {
    /// Anomalies of impacts and resets.
    pub anomalies: u64,
    /// Alerts.
    pub alerts: u64,
    /// Evidence files that nothing names any more; they are deleted already.
    pub evidence_files: Vec<String>,
}

impl Services {
    /// Drops what is too old, of all tenants.
    ///
    /// # Errors
    /// [`UciError::Registry`]; what was dropped before stays dropped.
    pub async fn retain_uci(&self) -> Result<Retained, UciError> {
        todo!()
    }

    /// Erases everything that the index holds of a user.
    ///
    /// # Errors
    /// [`UciError::Registry`].
    pub async fn erase_uci_user(&self, tenant: &Tenant, user_key: &str) -> Result<Erased, UciError> {
        todo!()
    }
}
