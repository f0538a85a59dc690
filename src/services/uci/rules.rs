//! Reset rules: resets that recur.

use std::collections::HashSet;
use std::sync::Arc;

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};
use serde_json::json;

use super::error::{UciError, field};
use super::impacts::check_text;
use crate::domain::tenant::TenantKey;
use crate::domain::uci::schedule::Schedule;
use crate::domain::user_key::user_key;
use crate::registry::audit;
use crate::registry::tenants::{self, Tenant};
use crate::registry::uci::changes::{self, Moment};
use crate::registry::uci::rules::{self, NewResetRule, ResetRule};
use crate::registry::uci::users;
use crate::services::auth::Actor;
use crate::services::{Services, audit_entry};

/// Most patterns of one rule.
const MAX_PATTERNS: usize = 1_000;

/// Longest pattern, in characters.
const MAX_PATTERN_CHARS: usize = 512;

/// Longest name, in characters.
const MAX_NAME_CHARS: usize = 256;

/// Users that one transaction of a run resets, for which all other writes wait.
const STEP_USERS: usize = 64;

/// Users that a run looks at in one reading.
const READ_USERS: u32 = 1_000;

/// Source of the anomalies that rules leave.
const RULE_SOURCE: &str = "UCI reset rule";

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

/// A pattern: `*` and `?` stand for any characters, `[…]` for one of a set, `{a,b}` for alternatives. A
/// backslash is a character like others, since `DOMAIN\user` is a user.
fn glob(pattern: &str) -> Result<Glob, globset::Error> {
    GlobBuilder::new(pattern).backslash_escape(false).literal_separator(false).build()
}

/// The users whom a rule's patterns mean.
struct Members {
    exact: HashSet<String>,
    globs: GlobSet,
}

impl Members {
    fn new(patterns: &[String]) -> Result<Self, globset::Error> {
        let mut globs = GlobSetBuilder::new();
        for pattern in patterns {
            globs.add(glob(pattern)?);
        }
        Ok(Self { exact: patterns.iter().cloned().collect(), globs: globs.build()? })
    }

    /// A user whose name holds characters of patterns is still meant by it.
    fn contain(&self, user_key: &str) -> bool {
        self.globs.is_match(user_key) || self.exact.contains(user_key)
    }
}

impl ResetRuleRequest {
    fn checked(self) -> Result<NewResetRule, UciError> {
        check_text("name", &self.name)?;
        if self.name.chars().count() > MAX_NAME_CHARS {
            return Err(field("name", format!("has more than {MAX_NAME_CHARS} characters")));
        }
        if self.users.is_empty() || self.users.len() > MAX_PATTERNS {
            return Err(field("users", format!("must have 1 to {MAX_PATTERNS} users or patterns")));
        }
        let users: Vec<String> = self.users.iter().map(|user| user_key(user)).collect();
        for pattern in &users {
            if pattern.is_empty() || pattern.chars().count() > MAX_PATTERN_CHARS {
                return Err(field("users", format!("must each have 1 to {MAX_PATTERN_CHARS} characters")));
            }
        }
        Members::new(&users).map_err(|error| field("users", format!("hold a wrong pattern: {error}")))?;
        let schedule = Schedule::parse(&self.schedule, &self.at, self.weekday.as_deref(), self.day_of_month)
            .map_err(|error| field(error.field, error.problem))?;
        Ok(NewResetRule { name: self.name.trim().to_owned(), users, schedule, enabled: self.enabled })
    }
}

fn detail(rule: &NewResetRule) -> serde_json::Value {
    json!({
        "name": rule.name,
        "users": rule.users,
        "schedule": rule.schedule.word(),
        "at": rule.schedule.at(),
        "weekday": rule.schedule.weekday(),
        "dayOfMonth": rule.schedule.day_of_month(),
        "enabled": rule.enabled,
    })
}

impl Services {
    /// The tenant's rules, by id.
    ///
    /// # Errors
    /// [`UciError::Registry`].
    pub async fn reset_rules(&self, tenant: &Tenant) -> Result<Vec<ResetRule>, UciError> {
        Ok(rules::list(&mut *self.registry.read().await?, tenant.key).await?)
    }

    /// One rule.
    ///
    /// # Errors
    /// [`UciError::UnknownRule`], [`UciError::Registry`].
    pub async fn reset_rule(&self, tenant: &Tenant, id: i64) -> Result<ResetRule, UciError> {
        let rule = rules::get(&mut *self.registry.read().await?, tenant.key, id).await?;
        rule.ok_or(UciError::UnknownRule)
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
        let rule = request.checked()?;
        let (key, actor, clock) = (tenant.key, actor.clone(), Arc::clone(&self.clock));
        let write = self.registry.try_write(move |conn| {
            Box::pin(async move {
                let now_ms = clock.now_ms();
                let stored = rules::insert(conn, key, &rule, now_ms).await?;
                let mut entry = audit_entry(&actor, now_ms, Some(key), "uci.rule.create", stored.id.to_string());
                entry.detail = detail(&rule);
                audit::append(conn, &entry).await?;
                Ok(stored)
            })
        });
        write.await
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
        let rule = request.checked()?;
        let (key, actor, clock) = (tenant.key, actor.clone(), Arc::clone(&self.clock));
        let write = self.registry.try_write(move |conn| {
            Box::pin(async move {
                let now_ms = clock.now_ms();
                let stored = rules::replace(conn, key, id, &rule, now_ms).await?.ok_or(UciError::UnknownRule)?;
                let mut entry = audit_entry(&actor, now_ms, Some(key), "uci.rule.replace", id.to_string());
                entry.detail = detail(&rule);
                audit::append(conn, &entry).await?;
                Ok(stored)
            })
        });
        write.await
    }

    /// Removes a rule. Success means: durable, with an audit entry.
    ///
    /// # Errors
    /// [`UciError::UnknownRule`], [`UciError::Registry`].
    pub async fn delete_reset_rule(&self, actor: &Actor, tenant: &Tenant, id: i64) -> Result<(), UciError> {
        let (key, actor, clock) = (tenant.key, actor.clone(), Arc::clone(&self.clock));
        let write = self.registry.try_write(move |conn| {
            Box::pin(async move {
                if !rules::delete(conn, key, id).await? {
                    return Err(UciError::UnknownRule);
                }
                let entry = audit_entry(&actor, clock.now_ms(), Some(key), "uci.rule.delete", id.to_string());
                audit::append(conn, &entry).await?;
                Ok(())
            })
        });
        write.await
    }

    /// Runs the rules whose time has come; a rule that missed several times runs once. Returns how many users were
    /// reset.
    ///
    /// A run goes through the users in steps of one transaction each, with its progress: after a crash it goes on
    /// behind the last step, and nobody is reset twice.
    ///
    /// # Errors
    /// [`UciError::Registry`]; the next call goes on there. A rule that fails does not keep the others from running.
    pub async fn run_reset_rules(&self) -> Result<u64, UciError> {
        let due = rules::due(&mut *self.registry.read().await?, self.clock.now_ms()).await?;
        let (mut users, mut failed) = (0, None);
        for rule in due {
            match self.run_reset_rule(&rule).await {
                Ok(reset) => users += reset,
                Err(error) => failed = Some(error),
            }
        }
        failed.map_or(Ok(users), Err)
    }

    async fn run_reset_rule(&self, rule: &ResetRule) -> Result<u64, UciError> {
        let Some(tenant) = tenants::get(&mut *self.registry.read().await?, rule.tenant.id).await? else { return Ok(0) };
        if tenant.key != rule.tenant {
            return Ok(0);
        }
        let mut users = 0;
        loop {
            let (reset, done) = self.step_of_rule(&tenant, rule.id).await?;
            users += reset;
            if done {
                return Ok(users);
            }
        }
    }

    /// One step of a run; returns how many users it reset and whether the run is over.
    ///
    /// Whom the rule means is found beside the writer; what was changed meanwhile is left to the next step.
    pub(super) async fn step_of_rule(&self, tenant: &Tenant, id: i64) -> Result<(u64, bool), UciError> {
        let (key, settings, clock) = (tenant.key, self.uci_settings(tenant), Arc::clone(&self.clock));
        let Some((found, met)) = self.meet(key, id).await? else { return Ok((0, true)) };
        let write = self.registry.try_write(move |conn| {
            Box::pin(async move {
                let moment = Moment { tenant: key, settings, now_ms: clock.now_ms() };
                let Some(rule) = rules::get(conn, key, id).await? else { return Ok((0, true)) };
                if rule != found {
                    return Ok((0, false));
                }
                let (mut reset, reason) = (0, format!("rule {}: {}", rule.id, rule.rule.name));
                for user_key in &met.user_keys {
                    // Erased since.
                    let Some(user) = users::get(conn, key, user_key).await? else { continue };
                    changes::reset(conn, &moment, user, RULE_SOURCE, &reason).await?;
                    reset += 1;
                }
                if reset > 0 {
                    let actor = Actor { principal: format!("reset rule {}", rule.id), address: None };
                    let mut entry = audit_entry(&actor, moment.now_ms, Some(key), "uci.rule.run", rule.id.to_string());
                    entry.rows = i64::try_from(reset).ok();
                    audit::append(conn, &entry).await?;
                }
                match &met.up_to {
                    Some(last) => rules::advance(conn, rule.id, last).await?,
                    None => rules::finish(conn, &rule, moment.now_ms).await?,
                }
                Ok::<_, UciError>((reset, met.up_to.is_none()))
            })
        });
        write.await
    }

    /// The next users whom a rule means, with the rule as it is now; none when it is not due (any more).
    async fn meet(&self, tenant: TenantKey, id: i64) -> Result<Option<(ResetRule, Met)>, UciError> {
        let mut conn = self.registry.read().await?;
        let rule = rules::get(&mut conn, tenant, id).await?;
        let now_ms = self.clock.now_ms();
        let Some(rule) = rule.filter(|rule| rule.next_run_ms.is_some_and(|next_ms| next_ms <= now_ms)) else {
            return Ok(None);
        };
        let members =
            Members::new(&rule.rule.users).map_err(|error| field("users", format!("hold a wrong pattern: {error}")))?;
        let (mut user_keys, mut after) = (Vec::new(), rule.run_after_key.clone());
        loop {
            let page = users::after(&mut conn, tenant, &after, READ_USERS).await?;
            let Some(last) = page.last().map(|user| user.user_key.clone()) else {
                return Ok(Some((rule, Met { user_keys, up_to: None })));
            };
            for user in page {
                if members.contain(&user.user_key) {
                    user_keys.push(user.user_key.clone());
                    if user_keys.len() == STEP_USERS {
                        return Ok(Some((rule, Met { user_keys, up_to: Some(user.user_key) })));
                    }
                }
            }
            after = last;
        }
    }
}

/// Users whom a rule means.
struct Met {
    user_keys: Vec<String>,
    /// Key of the last user that was looked at; none when it was the last of all.
    up_to: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_meant_exactly_or_by_pattern() {
        let members =
            |patterns: &[&str]| Members::new(&patterns.iter().map(|p| user_key(p)).collect::<Vec<_>>()).unwrap();
        let found = members(&["*@Sales.example", "corp\\b?b", "x[1]", "{ann,eve}@b.example"]);
        for user in ["a@sales.example", "a/b@sales.example", "corp\\bob", "x[1]", "x1", "eve@b.example"] {
            assert!(found.contain(user), "{user}");
        }
        for user in ["a@sales.example.org", "corp\\blob", "x2", "bob@b.example"] {
            assert!(!found.contain(user), "{user}");
        }
        assert!(members(&["*"]).contain(""));
    }

    #[test]
    fn a_wrong_rule_is_refused_with_its_field() {
        let good = ResetRuleRequest {
            name: "nightly".to_owned(),
            users: vec!["*".to_owned()],
            schedule: "daily".to_owned(),
            at: "02:00".to_owned(),
            weekday: None,
            day_of_month: None,
            enabled: true,
        };
        assert!(good.clone().checked().is_ok());
        for (wrong, wanted) in [
            (ResetRuleRequest { name: " ".to_owned(), ..good.clone() }, "name"),
            (ResetRuleRequest { users: vec![], ..good.clone() }, "users"),
            (ResetRuleRequest { users: vec![" ".to_owned()], ..good.clone() }, "users"),
            (ResetRuleRequest { users: vec!["[a".to_owned()], ..good.clone() }, "users"),
            (ResetRuleRequest { at: "2:00".to_owned(), ..good.clone() }, "at"),
            (ResetRuleRequest { schedule: "weekly".to_owned(), ..good.clone() }, "weekday"),
        ] {
            let refused = wrong.checked().unwrap_err();
            assert!(matches!(refused, UciError::Field { field, .. } if field == wanted), "{refused}");
        }
    }
}
