//! Taking one monitored user out of the registry.
//!
//! Tables are found by their columns, so that none which comes later can be forgotten: where a table has `tenant_id`,
//! `incarnation` and `user_key`, the user's rows are deleted; where it has `tenant_id`, `incarnation` and `users`, a JSON
//! list, the user is taken off the list. Saved exports go, all of the tenant's: any of them may hold rows or the name.
//! The audit trail stays, with a keyed hash in the place of the name.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use sqlx::{AssertSqlSafe, Row, SqliteConnection};

use super::RegistryError;
use super::exports::{self, SavedExport};
use super::name_mask::mask;
use crate::domain::anomaly::AnomalyId;
use crate::domain::tenant::TenantKey;
use crate::domain::user_key::user_key;

/// What there is of a user in the registry, or was.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RegistryRows {
    /// Rows by table.
    pub rows: BTreeMap<String, u64>,
    /// Evidence files of the user's anomalies, below the tenant's folder; garbage once their rows are gone.
    pub evidence_files: Vec<String>,
    /// Saved exports of the tenant; their files are garbage once the rows are gone.
    pub exports: Vec<SavedExport>,
}

/// Entries of the audit trail that are looked at at a time.
const PAGE_ENTRIES: i64 = 500;

/// A part of the audit trail.
#[derive(Debug, Clone)]
pub struct AuditPage {
    /// The last entry that was looked at.
    pub last: i64,
    /// Those that name the user.
    pub naming: Vec<NamingEntry>,
}

/// Counts what there is of the user; changes nothing.
pub async fn count(conn: &mut SqliteConnection, tenant: TenantKey, key: &str) -> Result<RegistryRows, RegistryError> {
    let mut found =
        RegistryRows { evidence_files: evidence_files(conn, tenant, key).await?, ..RegistryRows::default() };
    for table in tables(conn, "user_key").await? {
        let sql = format!("SELECT COUNT(*) FROM {table} WHERE tenant_id = ? AND incarnation = ? AND user_key = ?");
        let rows = sqlx::query_scalar(AssertSqlSafe(sql)).bind(tenant.id.get()).bind(tenant.incarnation).bind(key);
        let rows: i64 = rows.fetch_one(&mut *conn).await?;
        found.note(&table, u64::try_from(rows).unwrap_or(0));
    }
    for table in tables(conn, "users").await? {
        let rows = lists_with(conn, tenant, &table, key).await?.len();
        found.note(&table, rows as u64);
    }
    found.exports = exports::list(conn, tenant, None, None, u32::MAX).await?;
    found.note("exports", found.exports.len() as u64);
    Ok(found)
}

/// Deletes the user's rows and the tenant's saved exports, and takes the user off lists (a list of nobody else goes with
/// its row). What hangs on an anomaly goes with it. In one transaction of the caller's.
pub async fn erase(conn: &mut SqliteConnection, tenant: TenantKey, key: &str) -> Result<RegistryRows, RegistryError> {
    let found = count(conn, tenant, key).await?;
    securely(conn, true).await?;
    let erased = erase_rows(conn, tenant, key).await;
    securely(conn, false).await?;
    erased.map(|()| found)
}

/// Whether what is deleted is overwritten; else its bytes would stay in the file's free pages.
async fn securely(conn: &mut SqliteConnection, on: bool) -> Result<(), RegistryError> {
    let pragma = if on { "PRAGMA secure_delete = ON" } else { "PRAGMA secure_delete = OFF" };
    sqlx::query(pragma).execute(conn).await?;
    Ok(())
}

async fn erase_rows(conn: &mut SqliteConnection, tenant: TenantKey, key: &str) -> Result<(), RegistryError> {
    let delete = sqlx::query("DELETE FROM exports WHERE tenant_id = ? AND incarnation = ?");
    delete.bind(tenant.id.get()).bind(tenant.incarnation).execute(&mut *conn).await?;
    let tables_of_users = tables(conn, "user_key").await?;
    for table in children_first(conn, tables_of_users).await? {
        let sql = format!("DELETE FROM {table} WHERE tenant_id = ? AND incarnation = ? AND user_key = ?");
        let delete = sqlx::query(AssertSqlSafe(sql)).bind(tenant.id.get()).bind(tenant.incarnation).bind(key);
        delete.execute(&mut *conn).await?;
    }
    for table in tables(conn, "users").await? {
        for (rowid, rest) in lists_with(conn, tenant, &table, key).await? {
            // An empty list could mean everybody.
            if rest.as_array().is_some_and(Vec::is_empty) {
                let delete = sqlx::query(AssertSqlSafe(format!("DELETE FROM {table} WHERE rowid = ?"))).bind(rowid);
                delete.execute(&mut *conn).await?;
            } else {
                let update = sqlx::query(AssertSqlSafe(format!("UPDATE {table} SET users = ? WHERE rowid = ?")));
                update.bind(rest.to_string()).bind(rowid).execute(&mut *conn).await?;
            }
        }
    }
    Ok(())
}

/// The next entries of the audit trail after this one; none at its end. An entry names the user where a text is the name,
/// or holds it as a word of its own, as statements do.
pub async fn audit_page(
    conn: &mut SqliteConnection,
    tenant: TenantKey,
    key: &str,
    after: i64,
) -> Result<Option<AuditPage>, RegistryError> {
    let rows =
        sqlx::query("SELECT id, tenant_id, incarnation, target, detail FROM audit WHERE id > ? ORDER BY id LIMIT ?");
    let rows = rows.bind(after).bind(PAGE_ENTRIES).fetch_all(conn).await?;
    let Some(last) = rows.last() else { return Ok(None) };
    let mut page = AuditPage { last: last.try_get("id")?, naming: Vec::new() };
    for row in rows {
        let of: (Option<i64>, Option<i64>) = (row.try_get("tenant_id")?, row.try_get("incarnation")?);
        if of != (Some(tenant.id.get()), Some(tenant.incarnation)) {
            continue;
        }
        let target: Option<String> = row.try_get("target")?;
        let detail: Value = super::rows::parsed(&row, "detail")?;
        if target.as_deref().is_some_and(|target| mask(target, key, "").is_some()) || tells(&detail, key) {
            page.naming.push(NamingEntry { id: row.try_get("id")?, target, detail });
        }
    }
    Ok(Some(page))
}

/// Puts `mark` in the place of the name in entries of the audit trail. In one transaction of the caller's.
pub async fn mask_entries(
    conn: &mut SqliteConnection,
    entries: Vec<NamingEntry>,
    key: &str,
    mark: &str,
) -> Result<(), RegistryError> {
    securely(conn, true).await?;
    let masked = mask_each(conn, entries, key, mark).await;
    securely(conn, false).await?;
    masked
}

async fn mask_each(
    conn: &mut SqliteConnection,
    entries: Vec<NamingEntry>,
    key: &str,
    mark: &str,
) -> Result<(), RegistryError> {
    for NamingEntry { id, target, detail } in entries {
        let target = target.map(|target| mask(&target, key, mark).unwrap_or(target));
        let update = sqlx::query("UPDATE audit SET target = ?, detail = ? WHERE id = ?");
        update.bind(target).bind(replaced(detail, key, mark).to_string()).bind(id).execute(&mut *conn).await?;
    }
    Ok(())
}

/// Makes every attempt at an evidence that is under way fail to be recorded: it may have read the user's rows. Waiting
/// requests begin anew.
pub async fn outdate_attempts(conn: &mut SqliteConnection, tenant: TenantKey) -> Result<(), RegistryError> {
    let update = sqlx::query("UPDATE evidence SET number = number + 1 WHERE tenant_id = ? AND incarnation = ?");
    update.bind(tenant.id.get()).bind(tenant.incarnation).execute(conn).await?;
    Ok(())
}

/// Makes an evidence pending again whose file held rows of the user, if it is still this file. Returns whether it was.
pub async fn forget_evidence(
    conn: &mut SqliteConnection,
    tenant: TenantKey,
    anomaly: AnomalyId,
    file: &str,
) -> Result<bool, RegistryError> {
    let now = super::evidence::get(conn, tenant, anomaly).await?.and_then(|evidence| evidence.file);
    if now.is_none_or(|now| now.file != file) {
        return Ok(false);
    }
    super::evidence::reset(conn, tenant, anomaly).await?;
    Ok(true)
}

/// The secret by which names in the audit trail are hashed: with it a name can be looked up there, without it the
/// hashes tell nothing. Made at first use; part of every backup.
pub async fn audit_key(conn: &mut SqliteConnection, fresh: &str) -> Result<String, RegistryError> {
    sqlx::query("INSERT OR IGNORE INTO meta (key, value) VALUES ('audit_key', ?)")
        .bind(fresh)
        .execute(&mut *conn)
        .await?;
    Ok(sqlx::query_scalar("SELECT value FROM meta WHERE key = 'audit_key'").fetch_one(conn).await?)
}

impl RegistryRows {
    fn note(&mut self, table: &str, rows: u64) {
        if rows > 0 {
            *self.rows.entry(table.to_owned()).or_default() += rows;
        }
    }
}

/// Tables with rows of tenants that have this column too.
async fn tables(conn: &mut SqliteConnection, column: &str) -> Result<Vec<String>, RegistryError> {
    let found = sqlx::query_scalar(
        "SELECT s.name FROM sqlite_schema s WHERE s.type = 'table' AND 3 =
             (SELECT COUNT(*) FROM pragma_table_info(s.name) WHERE name IN ('tenant_id', 'incarnation', ?))
         ORDER BY s.name",
    );
    Ok(found.bind(column).fetch_all(conn).await?)
}

/// The tables in an order in which none comes before one that refers to it.
async fn children_first(conn: &mut SqliteConnection, tables: Vec<String>) -> Result<Vec<String>, RegistryError> {
    let mut parents: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for table in &tables {
        let refers = sqlx::query_scalar("SELECT \"table\" FROM pragma_foreign_key_list(?)").bind(table);
        let refers: Vec<String> = refers.fetch_all(&mut *conn).await?;
        parents.insert(table.clone(), refers.into_iter().filter(|parent| parent != table).collect());
    }
    let mut ordered = Vec::new();
    while !parents.is_empty() {
        let free = parents.keys().find(|table| !parents.values().any(|refers| refers.contains(*table))).cloned();
        // A circle has no order; SQLite then refuses what would break a reference.
        let Some(next) = free.or_else(|| parents.keys().next().cloned()) else { break };
        parents.remove(&next);
        ordered.push(next);
    }
    Ok(ordered)
}

async fn evidence_files(
    conn: &mut SqliteConnection,
    tenant: TenantKey,
    key: &str,
) -> Result<Vec<String>, RegistryError> {
    let files = sqlx::query_scalar(
        "SELECT e.file FROM anomalies a JOIN evidence e ON e.anomaly_id = a.id
         WHERE a.tenant_id = ? AND a.incarnation = ? AND a.user_key = ? AND e.file IS NOT NULL",
    );
    Ok(files.bind(tenant.id.get()).bind(tenant.incarnation).bind(key).fetch_all(conn).await?)
}

/// Rows whose list names the user, with the list without.
async fn lists_with(
    conn: &mut SqliteConnection,
    tenant: TenantKey,
    table: &str,
    key: &str,
) -> Result<Vec<(i64, Value)>, RegistryError> {
    let sql = format!("SELECT rowid AS number, users FROM {table} WHERE tenant_id = ? AND incarnation = ?");
    let rows = sqlx::query(AssertSqlSafe(sql)).bind(tenant.id.get()).bind(tenant.incarnation).fetch_all(conn).await?;
    let mut found = Vec::new();
    for row in rows {
        let users: Value = super::rows::parsed(&row, "users")?;
        let Value::Array(users) = users else { continue };
        let rest: Vec<Value> = users.iter().filter(|user| !names(user, key)).cloned().collect();
        if rest.len() < users.len() {
            found.push((row.try_get("number")?, Value::Array(rest)));
        }
    }
    Ok(found)
}

/// An entry of the audit trail that names the user.
#[derive(Debug, Clone)]
pub struct NamingEntry {
    id: i64,
    target: Option<String>,
    detail: Value,
}

/// Anomalies of others, or of nobody, whose texts hold the user's key. Cost: a look at every anomaly of the tenant.
pub async fn mentions(
    conn: &mut SqliteConnection,
    tenant: TenantKey,
    key: &str,
) -> Result<Vec<AnomalyId>, RegistryError> {
    let rows: Vec<(i64, String)> = sqlx::query_as(
        "SELECT id, concat_ws(char(10), where_sql, reason, activity) FROM anomalies
         WHERE tenant_id = ? AND incarnation = ? AND user_key IS NOT ?",
    )
    .bind(tenant.id.get())
    .bind(tenant.incarnation)
    .bind(key)
    .fetch_all(conn)
    .await?;
    let naming = rows.into_iter().filter(|(_, texts)| !key.is_empty() && texts.to_lowercase().contains(key));
    naming.map(|(id, _)| AnomalyId::try_from(id).map_err(|error| sqlx::Error::Decode(error.into()).into())).collect()
}

/// Whether a value is the user's name, or holds it somewhere.
fn names(value: &Value, key: &str) -> bool {
    match value {
        Value::String(text) => user_key(text) == key,
        Value::Array(values) => values.iter().any(|value| names(value, key)),
        Value::Object(fields) => fields.values().any(|value| names(value, key)),
        _ => false,
    }
}

/// Whether a text somewhere in a value names the user.
fn tells(value: &Value, key: &str) -> bool {
    match value {
        Value::String(text) => mask(text, key, "").is_some(),
        Value::Array(values) => values.iter().any(|value| tells(value, key)),
        Value::Object(fields) => fields.values().any(|value| tells(value, key)),
        _ => false,
    }
}

fn replaced(value: Value, key: &str, mark: &str) -> Value {
    match value {
        Value::String(text) => Value::String(mask(&text, key, mark).unwrap_or(text)),
        Value::Array(values) => values.into_iter().map(|value| replaced(value, key, mark)).collect(),
        Value::Object(fields) => fields
            .into_iter()
            .map(|(name, value)| (name, replaced(value, key, mark)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::registry::anomalies::{self, NewAnomaly};
    use crate::registry::audit::{self, AuditEntry};
    use crate::registry::testing::TestRegistry;

    /// Tables about those who sign in, who are not monitored users.
    const OPERATORS: [&str; 3] = ["users", "user_roles", "tokens"];

    #[tokio::test]
    async fn no_table_with_users_is_forgotten() {
        let t = TestRegistry::new().await;
        let mut conn = t.registry.read().await.unwrap();
        let mut covered = tables(&mut conn, "user_key").await.unwrap();
        covered.extend(tables(&mut conn, "users").await.unwrap());
        let named: Vec<String> = sqlx::query_scalar(
            "SELECT DISTINCT s.name FROM sqlite_schema s, pragma_table_info(s.name) c
             WHERE s.type = 'table' AND c.name LIKE '%user%'",
        )
        .fetch_all(&mut *conn)
        .await
        .unwrap();
        let forgotten: Vec<_> =
            named.iter().filter(|table| !covered.contains(table) && !OPERATORS.contains(&table.as_str())).collect();
        assert!(forgotten.is_empty(), "erasing a user leaves {forgotten:?}");
        assert!(covered.contains(&"anomalies".to_owned()));
    }

    #[tokio::test]
    async fn a_users_rows_go_and_the_trail_stays_without_the_name() {
        let t = TestRegistry::new().await;
        let (tenant, other) = (t.tenant(7).await, t.tenant(8).await);
        let told = t.registry.write(move |conn| {
            Box::pin(async move {
                sqlx::query(
                    "CREATE TABLE rules (id INTEGER PRIMARY KEY, tenant_id INTEGER, incarnation INTEGER, users TEXT)",
                )
                .execute(&mut *conn)
                .await?;
                let rules = [r#"["bob","ann "]"#, r#"["ANN"]"#, r#"["bob"]"#, "[]"];
                for users in rules {
                    let insert = sqlx::query("INSERT INTO rules (tenant_id, incarnation, users) VALUES (7, 1, ?)");
                    insert.bind(users).execute(&mut *conn).await?;
                }
                let of = |user: &str| NewAnomaly::of_user(user, 0, 1, 0);
                let first = anomalies::create(conn, tenant, &of("Ann"), 0).await?;
                anomalies::create(conn, other, &of("ann"), 0).await?;
                let reason = Some("talked to ANN".to_owned());
                let naming = anomalies::create(conn, tenant, &NewAnomaly { reason, ..of("bob") }, 0).await?;
                for (target, detail) in [
                    ("Ann", json!({})),
                    ("x", json!({"users": ["ann", "bob"]})),
                    ("bob", json!({})),
                    ("SELECT 'ann'", json!({})),
                ] {
                    let entry = AuditEntry {
                        at_ms: 0,
                        tenant: Some(tenant),
                        principal: "p".to_owned(),
                        address: None,
                        action: "a".to_owned(),
                        target: Some(target.to_owned()),
                        detail,
                        rows: None,
                    };
                    audit::append(conn, &entry).await?;
                }
                let counted = count(conn, tenant, "ann").await?;
                let naming_ann = mentions(conn, tenant, "ann").await?;
                assert_eq!(naming_ann, [naming.id]);
                assert_eq!(erase(conn, tenant, "ann").await?, counted);
                let page = audit_page(conn, tenant, "ann", 0).await?.unwrap();
                assert_eq!(page.naming.len(), 3);
                mask_entries(conn, page.naming, "ann", "HASH").await?;
                assert!(audit_page(conn, tenant, "ann", page.last).await?.is_none());
                assert_eq!(count(conn, tenant, "ann").await?.rows, BTreeMap::new());
                assert_eq!(count(conn, other, "ann").await?.rows.len(), 1, "another tenant's are not touched");
                assert!(anomalies::get(conn, tenant, first.id).await?.is_none());
                Ok(counted)
            })
        });
        let counted = told.await.unwrap();
        assert_eq!(counted.rows, BTreeMap::from([("anomalies".to_owned(), 1), ("rules".to_owned(), 2)]));
        let mut conn = t.registry.read().await.unwrap();
        let lists: Vec<String> = sqlx::query_scalar("SELECT users FROM rules").fetch_all(&mut *conn).await.unwrap();
        assert_eq!(lists, [r#"["bob"]"#, r#"["bob"]"#, "[]"], "a rule for nobody else is gone, not for everybody");
        let trail = audit::list(&mut conn, tenant, 0, 10).await.unwrap();
        let trail: Vec<_> = trail.into_iter().map(|entry| (entry.target.unwrap(), entry.detail)).collect();
        let expected = [
            ("HASH", json!({})),
            ("x", json!({"users": ["HASH", "bob"]})),
            ("bob", json!({})),
            ("SELECT 'HASH'", json!({})),
        ];
        assert_eq!(trail, expected.map(|(target, detail)| (target.to_owned(), detail)));
    }

    #[tokio::test]
    async fn the_audit_key_is_made_once() {
        let t = TestRegistry::new().await;
        for fresh in ["one", "two"] {
            let key = t.registry.write(move |conn| Box::pin(async move { audit_key(conn, fresh).await }));
            assert_eq!(key.await.unwrap(), "one");
        }
    }
}
