//! Saved exports: asked for, made in the background, ready until they expire.
//!
//! A row goes from `pending` through `running` to `ready` or `failed`. An attempt is counted before it begins, so
//! that one which ends the process counts too. The row in state `ready` is the commit of its file.

use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, Row, SqliteConnection};

use super::RegistryError;
use super::rows::{decode_error, parsed};
use crate::domain::anomaly::AnomalyId;
use crate::domain::tenant::TenantKey;

/// Attempts after which an export is given up.
pub const MAX_ATTEMPTS: i64 = 3;

/// Where an export is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(rename_all = "lowercase")]
pub enum ExportState {
    /// Waits for its turn, or for its next attempt.
    Pending,
    /// Is being made.
    Running,
    /// Its file is complete and durable.
    Ready,
    /// It was given up.
    Failed,
}

impl ExportState {
    /// The state as it is stored and sent.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Ready => "ready",
            Self::Failed => "failed",
        }
    }
}

/// What an export holds.
#[derive(Debug, Clone, PartialEq)]
pub enum ExportOf {
    /// The rows of a statement.
    Sql {
        /// The statement.
        sql: String,
        /// Its parameters, by position or by name.
        params: serde_json::Value,
    },
    /// The activities of an anomaly.
    Anomaly(AnomalyId),
}

/// An export to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct NewExport {
    /// Who asks, as the audit trail names principals.
    pub owner: String,
    /// Name of the file at its receiver; one is made up when there is none.
    pub name: Option<String>,
    /// What it holds.
    pub of: ExportOf,
    /// Name of the format.
    pub format: String,
    /// Escapes cells that a spreadsheet would run.
    pub escape_formulas: bool,
}

/// The file of an export that is ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeFile {
    /// Name below the tenant's folder of exports, never used again.
    pub file: String,
    /// Rows in it.
    pub rows: i64,
    /// Its size.
    pub bytes: i64,
    /// SHA-256, hex.
    pub sha256: String,
}

/// A stored export.
#[derive(Debug, Clone, PartialEq)]
pub struct SavedExport {
    /// Number, never used again.
    pub id: i64,
    /// Whose data it holds.
    pub tenant: TenantKey,
    /// What was asked for.
    pub new: NewExport,
    /// Where it is.
    pub state: ExportState,
    /// Attempts begun.
    pub attempts: i64,
    /// When it was asked for, ms since epoch.
    pub created_at_ms: i64,
    /// When the last attempt began, ms since epoch.
    pub started_at_ms: Option<i64>,
    /// When it became ready or was given up, ms since epoch.
    pub finished_at_ms: Option<i64>,
    /// When row and file go, ms since epoch; none while it is open.
    pub expires_at_ms: Option<i64>,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// Its file; there is one exactly when it is ready.
    pub made: Option<MadeFile>,
}

impl FromRow<'_, SqliteRow> for SavedExport {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        let of = if let Some(sql) = row.try_get::<Option<String>, _>("sql")? {
            ExportOf::Sql { sql, params: parsed(row, "params")? }
        } else {
            let id: i64 = row.try_get("anomaly_id")?;
            ExportOf::Anomaly(AnomalyId::try_from(id).map_err(|e| decode_error("anomaly_id", e))?)
        };
        let new = NewExport {
            owner: row.try_get("owner")?,
            name: row.try_get("name")?,
            of,
            format: row.try_get("format")?,
            escape_formulas: row.try_get("escape_formulas")?,
        };
        let made = match row.try_get::<Option<String>, _>("file")? {
            Some(file) => Some(MadeFile {
                file,
                rows: row.try_get("rows")?,
                bytes: row.try_get("bytes")?,
                sha256: row.try_get("sha256")?,
            }),
            None => None,
        };
        Ok(Self {
            id: row.try_get("id")?,
            tenant: TenantKey::from_row(row)?,
            new,
            state: row.try_get("state")?,
            attempts: row.try_get("attempts")?,
            created_at_ms: row.try_get("created_at_ms")?,
            started_at_ms: row.try_get("started_at_ms")?,
            finished_at_ms: row.try_get("finished_at_ms")?,
            expires_at_ms: row.try_get("expires_at_ms")?,
            last_error: row.try_get("last_error")?,
            made,
        })
    }
}

/// What a tenant's exports take: how many there are, whatever their state, and the size of those ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromRow)]
pub struct Usage {
    /// Exports.
    pub count: i64,
    /// Bytes of their files.
    pub bytes: i64,
}

/// What the tenant's exports take.
pub async fn usage(conn: &mut SqliteConnection, tenant: TenantKey) -> Result<Usage, RegistryError> {
    let usage = sqlx::query_as(
        "SELECT COUNT(*) AS count, COALESCE(SUM(bytes), 0) AS bytes FROM exports WHERE tenant_id = ? AND incarnation = ?",
    );
    Ok(usage.bind(tenant.id.get()).bind(tenant.incarnation).fetch_one(conn).await?)
}

/// Stores an export that is to be made.
pub async fn create(
    conn: &mut SqliteConnection,
    tenant: TenantKey,
    new: &NewExport,
    now_ms: i64,
) -> Result<SavedExport, RegistryError> {
    let (sql, params, anomaly) = match &new.of {
        ExportOf::Sql { sql, params } => (Some(sql), Some(params.to_string()), None),
        ExportOf::Anomaly(id) => (None, None, Some(id.get())),
    };
    let export = sqlx::query_as(
        "INSERT INTO exports (tenant_id, incarnation, owner, name, sql, params, anomaly_id, format, escape_formulas,
             created_at_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING *",
    )
    .bind(tenant.id.get())
    .bind(tenant.incarnation)
    .bind(&new.owner)
    .bind(new.name.as_deref())
    .bind(sql)
    .bind(params)
    .bind(anomaly)
    .bind(&new.format)
    .bind(new.escape_formulas)
    .bind(now_ms)
    .fetch_one(conn)
    .await?;
    Ok(export)
}

/// The tenant's export with this id.
pub async fn get(
    conn: &mut SqliteConnection,
    tenant: TenantKey,
    id: i64,
) -> Result<Option<SavedExport>, RegistryError> {
    let export = sqlx::query_as("SELECT * FROM exports WHERE id = ? AND tenant_id = ? AND incarnation = ?");
    Ok(export.bind(id).bind(tenant.id.get()).bind(tenant.incarnation).fetch_optional(conn).await?)
}

/// A page of the tenant's exports, highest id first: those below `before` and of this owner, when given.
pub async fn list(
    conn: &mut SqliteConnection,
    tenant: TenantKey,
    owner: Option<&str>,
    before: Option<i64>,
    limit: u32,
) -> Result<Vec<SavedExport>, RegistryError> {
    let page = sqlx::query_as(
        "SELECT * FROM exports WHERE tenant_id = ?1 AND incarnation = ?2 AND id < ?3 AND (?4 IS NULL OR owner = ?4)
         ORDER BY id DESC LIMIT ?5",
    );
    let page = page.bind(tenant.id.get()).bind(tenant.incarnation).bind(before.unwrap_or(i64::MAX));
    Ok(page.bind(owner).bind(limit).fetch_all(conn).await?)
}

/// For each active tenant the first export that may begin now, oldest first: one tenant's many cannot hold up
/// the others'.
pub async fn due(conn: &mut SqliteConnection, now_ms: i64) -> Result<Vec<SavedExport>, RegistryError> {
    let due = sqlx::query_as(
        "SELECT * FROM exports WHERE id IN (
             SELECT MIN(e.id) FROM exports e
             JOIN tenants t ON t.tenant_id = e.tenant_id AND t.incarnation = e.incarnation AND t.state = 'active'
             WHERE e.state = 'pending' AND e.next_attempt_at_ms <= ?
             GROUP BY e.tenant_id, e.incarnation)
         ORDER BY id",
    );
    Ok(due.bind(now_ms).fetch_all(conn).await?)
}

/// Begins and counts an attempt; false when the export is gone or not pending.
pub async fn begin(conn: &mut SqliteConnection, id: i64, now_ms: i64) -> Result<bool, RegistryError> {
    let begun = sqlx::query(
        "UPDATE exports SET state = 'running', attempts = attempts + 1, started_at_ms = ?1
         WHERE id = ?2 AND state = 'pending'",
    );
    Ok(begun.bind(now_ms).bind(id).execute(conn).await?.rows_affected() > 0)
}

/// The commit point: from this transaction on the file, which is durable already, can be downloaded. False,
/// with nothing changed, when the export was deleted meanwhile; the file is garbage then.
pub async fn commit_file(
    conn: &mut SqliteConnection,
    id: i64,
    made: &MadeFile,
    now_ms: i64,
    expires_at_ms: i64,
) -> Result<bool, RegistryError> {
    let committed = sqlx::query(
        "UPDATE exports SET state = 'ready', file = ?, rows = ?, bytes = ?, sha256 = ?, finished_at_ms = ?,
             expires_at_ms = ?, last_error = NULL WHERE id = ? AND state = 'running'",
    )
    .bind(&made.file)
    .bind(made.rows)
    .bind(made.bytes)
    .bind(&made.sha256)
    .bind(now_ms)
    .bind(expires_at_ms)
    .bind(id)
    .execute(conn)
    .await?;
    Ok(committed.rows_affected() > 0)
}

/// Ends an attempt without a file; the next one may begin at this time. `counted` is false for an attempt that
/// did not fail by itself, as when the server stops.
pub async fn postpone(
    conn: &mut SqliteConnection,
    id: i64,
    reason: Option<&str>,
    next_attempt_at_ms: i64,
    counted: bool,
) -> Result<(), RegistryError> {
    sqlx::query(
        "UPDATE exports SET state = 'pending', next_attempt_at_ms = ?, last_error = COALESCE(?, last_error),
             attempts = attempts - ? WHERE id = ? AND state = 'running'",
    )
    .bind(next_attempt_at_ms)
    .bind(reason)
    .bind(i64::from(!counted))
    .bind(id)
    .execute(conn)
    .await?;
    Ok(())
}

/// Gives an export up.
pub async fn give_up(
    conn: &mut SqliteConnection,
    id: i64,
    reason: &str,
    now_ms: i64,
    expires_at_ms: i64,
) -> Result<(), RegistryError> {
    sqlx::query(
        "UPDATE exports SET state = 'failed', last_error = ?, finished_at_ms = ?, expires_at_ms = ?
         WHERE id = ? AND state = 'running'",
    )
    .bind(reason)
    .bind(now_ms)
    .bind(expires_at_ms)
    .bind(id)
    .execute(conn)
    .await?;
    Ok(())
}

/// At the start of a process, what an earlier one left running: made anew from the beginning, or given up
/// when it was the last attempt. Returns how many there were.
pub async fn recover(
    conn: &mut SqliteConnection,
    reason: &str,
    now_ms: i64,
    expires_at_ms: i64,
) -> Result<u64, RegistryError> {
    let given_up = sqlx::query(
        "UPDATE exports SET state = 'failed', last_error = ?, finished_at_ms = ?, expires_at_ms = ?
         WHERE state = 'running' AND attempts >= ?",
    )
    .bind(reason)
    .bind(now_ms)
    .bind(expires_at_ms)
    .bind(MAX_ATTEMPTS)
    .execute(&mut *conn)
    .await?;
    let again = sqlx::query(
        "UPDATE exports SET state = 'pending', next_attempt_at_ms = 0, last_error = ?
         WHERE state = 'running'",
    );
    let again = again.bind(reason).execute(conn).await?;
    Ok(given_up.rows_affected() + again.rows_affected())
}

/// Makes every export pending that is ready, as if nobody had begun it; its file is garbage once the transaction is
/// committed. Returns how many there were.
pub async fn make_again(conn: &mut SqliteConnection) -> Result<u64, RegistryError> {
    let again = sqlx::query(
        "UPDATE exports SET state = 'pending', attempts = 0, next_attempt_at_ms = 0, started_at_ms = NULL,
             finished_at_ms = NULL, expires_at_ms = NULL, last_error = NULL, file = NULL, rows = NULL, bytes = NULL,
             sha256 = NULL WHERE state = 'ready'",
    );
    Ok(again.execute(conn).await?.rows_affected())
}

/// Deletes the tenant's export; its file is garbage once the transaction is committed.
pub async fn delete(conn: &mut SqliteConnection, tenant: TenantKey, id: i64) -> Result<bool, RegistryError> {
    let deleted = sqlx::query("DELETE FROM exports WHERE id = ? AND tenant_id = ? AND incarnation = ?");
    let deleted = deleted.bind(id).bind(tenant.id.get()).bind(tenant.incarnation).execute(conn).await?;
    Ok(deleted.rows_affected() > 0)
}

/// Deletes the exports whose time is over, and returns them.
pub async fn expire(conn: &mut SqliteConnection, now_ms: i64) -> Result<Vec<SavedExport>, RegistryError> {
    let expired = sqlx::query_as("DELETE FROM exports WHERE expires_at_ms <= ? RETURNING *");
    Ok(expired.bind(now_ms).fetch_all(conn).await?)
}

/// Names of all files in use, with their tenants; any other file is garbage, unless an attempt is under way.
pub async fn all_files(conn: &mut SqliteConnection) -> Result<Vec<(TenantKey, String)>, RegistryError> {
    let rows = sqlx::query("SELECT tenant_id, incarnation, file FROM exports WHERE file IS NOT NULL");
    let rows = rows.fetch_all(conn).await?;
    let files = rows.iter().map(|row| Ok((TenantKey::from_row(row)?, row.try_get("file")?)));
    Ok(files.collect::<Result<_, sqlx::Error>>()?)
}
