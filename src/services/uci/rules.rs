//! Reset rules: resets that recur.

use super::error::UciError;
use crate::registry::tenants::Tenant;
use crate::registry::uci::rules::ResetRule;
use crate::services::Services;
use crate::services::auth::Actor;

/// A reset rule as the wire has it; checked by the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResetRuleRequest {
    /// Name for people.
    pub name: String,
    /// Users, exactly or as glob patterns over user keys, in any case.
    pub users: Vec<String>,
    /// `daily`, `weekly` or `monthly`.
    pub schedule: String,
    /// Time of day, `HH:MM`, UTC.
    pub at: String,
    /// Day of a weekly schedule, in English.
    pub weekday: Option<String>,
    /// Day of a monthly schedule, 1 to 28.
    pub day_of_month: Option<i64>,
    /// Whether it runs.
    pub enabled: bool,
}

impl Services {
    /// The tenant's rules, by id.
    ///
    /// # Errors
    /// [`UciError::Registry`].
    pub async fn reset_rules(&self, tenant: &Tenant) -> Result<Vec<ResetRule>, UciError> {
        todo!()
    }

    /// One rule.
    ///
    /// # Errors
    /// [`UciError::UnknownRule`], [`UciError::Registry`].
    pub async fn reset_rule(&self, tenant: &Tenant, id: i64) -> Result<ResetRule, UciError> {
        todo!()
    }

    /// Adds a rule; it first runs at its next time. Success means: durable, with an audit entry.
    ///
    /// # Errors
    /// [`UciError::Field`], [`UciError::Registry`].
    pub async fn create_reset_rule(
        &self,
        actor: &Actor,
        tenant: &Tenant,
        request: ResetRuleRequest,
    ) -> Result<ResetRule, UciError> {
        todo!()
    }

    /// Replaces a rule; it next runs at its next time from now. Success means: durable, with an audit entry.
    ///
    /// # Errors
    /// [`UciError::UnknownRule`], [`UciError::Field`], [`UciError::Registry`].
    pub async fn replace_reset_rule(
        &self,
        actor: &Actor,
        tenant: &Tenant,
        id: i64,
        request: ResetRuleRequest,
    ) -> Result<ResetRule, UciError> {
        todo!()
    }

    /// Removes a rule. Success means: durable, with an audit entry.
    ///
    /// # Errors
    /// [`UciError::UnknownRule`], [`UciError::Registry`].
    pub async fn delete_reset_rule(&self, actor: &Actor, tenant: &Tenant, id: i64) -> Result<(), UciError> {
        todo!()
    }
}
