//! Reset rules, and how far their runs have come.

use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, Row, SqliteConnection};

use crate::domain::tenant::TenantKey;
use crate::domain::uci::schedule::Schedule;
use crate::registry::RegistryError;
use crate::registry::rows::{decode_error, parsed_list, text_list};

/// What a reset rule says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewResetRule {
    /// Name for people.
    pub name: String,
    /// Users, exactly or as glob patterns, as user keys.
    pub users: Vec<String>,
    /// When it runs.
    pub schedule: Schedule,
    /// Whether it runs.
    pub enabled: bool,
}

/// A stored reset rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResetRule {
    /// Its number, never used again.
    pub id: i64,
    /// The tenant that it belongs to.
    pub tenant: TenantKey,
    /// What it says.
    pub rule: NewResetRule,
    /// When it was created, ms since epoch.
    pub created_at_ms: i64,
    /// When it was last changed, ms since epoch.
    pub modified_at_ms: i64,
    /// When it last ran to its end, ms since epoch.
    pub last_run_ms: Option<i64>,
    /// When it runs next, ms since epoch; none while it is not enabled.
    pub next_run_ms: Option<i64>,
    /// Key of the last user whom the run under way has dealt with; empty before the first.
    pub run_after_key: String,
}

impl FromRow<'_, SqliteRow> for ResetRule {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        let schedule = Schedule::parse(
            row.try_get("schedule")?,
            row.try_get("at")?,
            row.try_get::<Option<&str>, _>("weekday")?,
            row.try_get("day_of_month")?,
        );
        Ok(Self {
            id: row.try_get("id")?,
            tenant: TenantKey::from_row(row)?,
            rule: NewResetRule {
                name: row.try_get("name")?,
                users: parsed_list(row, "users")?,
                schedule: schedule.map_err(|error| decode_error("schedule", error))?,
                enabled: row.try_get("enabled")?,
            },
            created_at_ms: row.try_get("created_at_ms")?,
            modified_at_ms: row.try_get("modified_at_ms")?,
            last_run_ms: row.try_get("last_run_ms")?,
            next_run_ms: row.try_get("next_run_ms")?,
            run_after_key: row.try_get::<Option<String>, _>("run_after_key")?.unwrap_or_default(),
        })
    }
}

fn next_run_ms(rule: &NewResetRule, now_ms: i64) -> Option<i64> {
    if rule.enabled { rule.schedule.next_after(now_ms) } else { None }
}

/// Adds a rule; it first runs at its next time.
pub async fn insert(
    conn: &mut SqliteConnection,
    tenant: TenantKey,
    rule: &NewResetRule,
    now_ms: i64,
) -> Result<ResetRule, RegistryError> {
    let stored = sqlx::query_as(
        "INSERT INTO reset_rules (tenant_id, incarnation, name, users, schedule, at, weekday, day_of_month, enabled,
             created_at_ms, modified_at_ms, next_run_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10, ?11) RETURNING *",
    )
    .bind(tenant.id.get())
    .bind(tenant.incarnation)
    .bind(&rule.name)
    .bind(text_list(&rule.users))
    .bind(rule.schedule.word())
    .bind(rule.schedule.at())
    .bind(rule.schedule.weekday())
    .bind(rule.schedule.day_of_month())
    .bind(rule.enabled)
    .bind(now_ms)
    .bind(next_run_ms(rule, now_ms))
    .fetch_one(conn)
    .await?;
    Ok(stored)
}

/// Replaces what a rule says; it next runs at its next time from now, and a run under way ends. None when
/// the tenant has no such rule.
pub async fn replace(
    conn: &mut SqliteConnection,
    tenant: TenantKey,
    id: i64,
    rule: &NewResetRule,
    now_ms: i64,
) -> Result<Option<ResetRule>, RegistryError> {
    let stored = sqlx::query_as(
        "UPDATE reset_rules SET name = ?, users = ?, schedule = ?, at = ?, weekday = ?, day_of_month = ?, enabled = ?,
             modified_at_ms = ?, next_run_ms = ?, run_after_key = NULL
         WHERE id = ? AND tenant_id = ? AND incarnation = ? RETURNING *",
    )
    .bind(&rule.name)
    .bind(text_list(&rule.users))
    .bind(rule.schedule.word())
    .bind(rule.schedule.at())
    .bind(rule.schedule.weekday())
    .bind(rule.schedule.day_of_month())
    .bind(rule.enabled)
    .bind(now_ms)
    .bind(next_run_ms(rule, now_ms))
    .bind(id)
    .bind(tenant.id.get())
    .bind(tenant.incarnation)
    .fetch_optional(conn)
    .await?;
    Ok(stored)
}

/// Removes a rule; false when the tenant has no such one.
pub async fn delete(conn: &mut SqliteConnection, tenant: TenantKey, id: i64) -> Result<bool, RegistryError> {
    let gone = sqlx::query("DELETE FROM reset_rules WHERE id = ? AND tenant_id = ? AND incarnation = ?");
    let gone = gone.bind(id).bind(tenant.id.get()).bind(tenant.incarnation).execute(conn).await?;
    Ok(gone.rows_affected() > 0)
}

/// The tenant's rule of this id.
pub async fn get(conn: &mut SqliteConnection, tenant: TenantKey, id: i64) -> Result<Option<ResetRule>, RegistryError> {
    let rule = sqlx::query_as("SELECT * FROM reset_rules WHERE id = ? AND tenant_id = ? AND incarnation = ?");
    Ok(rule.bind(id).bind(tenant.id.get()).bind(tenant.incarnation).fetch_optional(conn).await?)
}

/// The tenant's rules, by id.
pub async fn list(conn: &mut SqliteConnection, tenant: TenantKey) -> Result<Vec<ResetRule>, RegistryError> {
    let rules = sqlx::query_as("SELECT * FROM reset_rules WHERE tenant_id = ? AND incarnation = ? ORDER BY id");
    Ok(rules.bind(tenant.id.get()).bind(tenant.incarnation).fetch_all(conn).await?)
}

/// Rules of active tenants whose time has come, the most overdue first.
pub async fn due(conn: &mut SqliteConnection, now_ms: i64) -> Result<Vec<ResetRule>, RegistryError> {
    let rules = sqlx::query_as(
        "SELECT r.* FROM reset_rules r
         JOIN tenants t ON t.tenant_id = r.tenant_id AND t.incarnation = r.incarnation AND t.state = 'active'
         WHERE r.next_run_ms <= ? ORDER BY r.next_run_ms, r.id",
    );
    Ok(rules.bind(now_ms).fetch_all(conn).await?)
}

/// Notes how far a run has come.
pub async fn advance(conn: &mut SqliteConnection, id: i64, after_key: &str) -> Result<(), RegistryError> {
    sqlx::query("UPDATE reset_rules SET run_after_key = ? WHERE id = ?").bind(after_key).bind(id).execute(conn).await?;
    Ok(())
}

/// Ends a run: the next one is the first after now, however many were missed.
pub async fn finish(conn: &mut SqliteConnection, rule: &ResetRule, now_ms: i64) -> Result<(), RegistryError> {
    sqlx::query("UPDATE reset_rules SET last_run_ms = ?, next_run_ms = ?, run_after_key = NULL WHERE id = ?")
        .bind(now_ms)
        .bind(next_run_ms(&rule.rule, now_ms))
        .bind(rule.id)
        .execute(conn)
        .await?;
    Ok(())
}
