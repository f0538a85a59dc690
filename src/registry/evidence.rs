//! Evidence: which file holds an anomaly's activities, and how making it goes.

use sqlx::{Connection, FromRow, SqliteConnection};

use super::RegistryError;
use super::anomalies::{self, Anomaly};
use super::settings::Limits;
use crate::domain::anomaly::AnomalyId;
use crate::domain::tenant::TenantKey;

/// Failures after which making the evidence is given up.
pub const MAX_ATTEMPTS: i64 = 3;

/// A durable evidence file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvidenceFile {
    /// Number in the file's name, larger than that of every attempt before.
    pub number: i64,
    /// Path of the file below the tenant's evidence folder.
    pub file: String,
    /// Rows in it.
    pub rows: i64,
    /// Its size in bytes.
    pub bytes: i64,
    /// SHA-256 of its bytes, hexadecimal.
    pub sha256: String,
    /// Version of the activities table that it covers.
    pub lake_version: i64,
    /// Most rows that it could hold when it was made.
    pub row_cap: i64,
    /// When it was made, ms since epoch.
    pub made_at_ms: i64,
}

/// What an export may expect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EvidenceState {
    /// Not made yet.
    Pending,
    /// There is a file.
    Ready,
    /// Given up; an older file must not be passed off as complete.
    Failed,
}

/// Evidence of one anomaly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// The anomaly.
    pub anomaly_id: AnomalyId,
    /// Last number that an attempt used.
    pub number: i64,
    /// The file, once there is one.
    pub file: Option<EvidenceFile>,
    /// Failures since the last success.
    pub attempts: i64,
    /// Reason of the last failure since the last success.
    pub last_error: Option<String>,
    /// Not to be tried again before, ms since epoch.
    pub next_attempt_at_ms: i64,
}

impl Evidence {
    /// What an export may expect.
    #[must_use]
    pub fn state(&self) -> EvidenceState {
        match &self.file {
            _ if self.attempts >= MAX_ATTEMPTS => EvidenceState::Failed,
            Some(_) => EvidenceState::Ready,
            None => EvidenceState::Pending,
        }
    }

    /// Number for the next attempt's file: no name is ever used for two contents, since caches know
    /// files by name.
    #[must_use]
    pub const fn next_number(&self) -> i64 {
        self.number + 1
    }
}

#[derive(FromRow)]
struct Stored {
    #[sqlx(try_from = "i64")]
    anomaly_id: AnomalyId,
    number: i64,
    file: Option<String>,
    rows: Option<i64>,
    bytes: Option<i64>,
    sha256: Option<String>,
    lake_version: Option<i64>,
    row_cap: Option<i64>,
    made_at_ms: Option<i64>,
    attempts: i64,
    last_error: Option<String>,
    next_attempt_at_ms: i64,
}

impl From<Stored> for Evidence {
    fn from(row: Stored) -> Self {
        // The table's CHECK keeps the parts of a file together.
        let file = || {
            Some(EvidenceFile {
                number: row.number,
                file: row.file?,
                rows: row.rows?,
                bytes: row.bytes?,
                sha256: row.sha256?,
                lake_version: row.lake_version?,
                row_cap: row.row_cap?,
                made_at_ms: row.made_at_ms?,
            })
        };
        Self {
            anomaly_id: row.anomaly_id,
            number: row.number,
            file: file(),
            attempts: row.attempts,
            last_error: row.last_error,
            next_attempt_at_ms: row.next_attempt_at_ms,
        }
    }
}

/// Evidence of the tenant's anomaly; none for an unknown one and for those of other tenants.
pub async fn get(
    conn: &mut SqliteConnection,
    tenant: TenantKey,
    id: AnomalyId,
) -> Result<Option<Evidence>, RegistryError> {
    let row = sqlx::query_as("SELECT * FROM evidence WHERE anomaly_id = ? AND tenant_id = ? AND incarnation = ?");
    let row: Option<Stored> =
        row.bind(id.get()).bind(tenant.id.get()).bind(tenant.incarnation).fetch_optional(conn).await?;
    Ok(row.map(Evidence::from))
}

/// Makes the row of an anomaly that was created without one, because its evidence is made on request
/// only; changes nothing where there is one or the anomaly is gone.
pub async fn request(conn: &mut SqliteConnection, tenant: TenantKey, id: AnomalyId) -> Result<(), RegistryError> {
    sqlx::query(
        "INSERT INTO evidence (anomaly_id, tenant_id, incarnation, created_at_ms)
         SELECT id, tenant_id, incarnation, created_at_ms FROM anomalies
         WHERE id = ? AND tenant_id = ? AND incarnation = ?
         ON CONFLICT DO NOTHING",
    )
    .bind(id.get())
    .bind(tenant.id.get())
    .bind(tenant.incarnation)
    .execute(conn)
    .await?;
    Ok(())
}

/// Bytes of the tenant's evidence files, summed up.
pub async fn used_bytes(conn: &mut SqliteConnection, tenant: TenantKey) -> Result<i64, RegistryError> {
    let used = sqlx::query_scalar("SELECT bytes FROM evidence_usage WHERE tenant_id = ? AND incarnation = ?");
    let used: Option<i64> = used.bind(tenant.id.get()).bind(tenant.incarnation).fetch_optional(conn).await?;
    Ok(used.unwrap_or(0))
}

/// The commit point of evidence: from this transaction on exports read the file, which is durable
/// already. Returns false, and changes nothing, when the anomaly is gone or an attempt with this or a higher
/// number came first; the file is then garbage.
pub async fn commit_file(
    conn: &mut SqliteConnection,
    tenant: TenantKey,
    id: AnomalyId,
    made: &EvidenceFile,
) -> Result<bool, RegistryError> {
    let update = sqlx::query(
        "UPDATE evidence SET number = ?1, file = ?2, rows = ?3, bytes = ?4, sha256 = ?5, lake_version = ?6,
             row_cap = ?7, made_at_ms = ?8, attempts = 0, last_error = NULL, next_attempt_at_ms = 0
         WHERE anomaly_id = ?9 AND tenant_id = ?10 AND incarnation = ?11 AND number < ?1",
    )
    .bind(made.number)
    .bind(&made.file)
    .bind(made.rows)
    .bind(made.bytes)
    .bind(&made.sha256)
    .bind(made.lake_version)
    .bind(made.row_cap)
    .bind(made.made_at_ms)
    .bind(id.get())
    .bind(tenant.id.get())
    .bind(tenant.incarnation)
    .execute(conn)
    .await?;
    Ok(update.rows_affected() > 0)
}

/// Counts a failed attempt and uses up its number; an older file stays recorded. Changes nothing when the
/// anomaly is gone or its evidence was reset meanwhile: that failure says nothing about the next attempt.
pub async fn record_failure(
    conn: &mut SqliteConnection,
    tenant: TenantKey,
    id: AnomalyId,
    number: i64,
    reason: &str,
    next_attempt_at_ms: i64,
) -> Result<(), RegistryError> {
    sqlx::query(
        "UPDATE evidence SET number = ?1, attempts = attempts + 1, last_error = ?2, next_attempt_at_ms = ?3
         WHERE anomaly_id = ?4 AND tenant_id = ?5 AND incarnation = ?6 AND number < ?1",
    )
    .bind(number)
    .bind(reason)
    .bind(next_attempt_at_ms)
    .bind(id.get())
    .bind(tenant.id.get())
    .bind(tenant.incarnation)
    .execute(conn)
    .await?;
    Ok(())
}

/// Makes evidence pending again, after a change of what belongs to it: forgets the file and the
/// failures, and uses up the number of an attempt that may be under way. Returns the forgotten file, which
/// is garbage once the transaction is committed.
pub(super) async fn reset(
    conn: &mut SqliteConnection,
    tenant: TenantKey,
    id: AnomalyId,
) -> Result<Option<String>, RegistryError> {
    let Some(before) = get(conn, tenant, id).await? else { return Ok(None) };
    sqlx::query(
        "UPDATE evidence SET number = number + 1, file = NULL, rows = NULL, bytes = NULL, sha256 = NULL,
             lake_version = NULL, row_cap = NULL, made_at_ms = NULL, attempts = 0, last_error = NULL,
             next_attempt_at_ms = 0
         WHERE anomaly_id = ?",
    )
    .bind(id.get())
    .execute(conn)
    .await?;
    Ok(before.file.map(|file| file.file))
}

/// Forgets a file that is not there, if it is still the recorded one.
pub async fn forget_file(
    conn: &mut SqliteConnection,
    tenant: TenantKey,
    id: AnomalyId,
    number: i64,
) -> Result<(), RegistryError> {
    if get(conn, tenant, id).await?.is_some_and(|recorded| recorded.number == number) {
        reset(conn, tenant, id).await?;
    }
    Ok(())
}

/// Says that a file is complete up to a later version of the activities table: the versions between brought
/// nothing that belongs to it.
pub async fn advance(
    conn: &mut SqliteConnection,
    tenant: TenantKey,
    id: AnomalyId,
    number: i64,
    lake_version: i64,
) -> Result<(), RegistryError> {
    sqlx::query(
        "UPDATE evidence SET lake_version = MAX(lake_version, ?1)
         WHERE anomaly_id = ?2 AND tenant_id = ?3 AND incarnation = ?4 AND number = ?5 AND file IS NOT NULL",
    )
    .bind(lake_version)
    .bind(id.get())
    .bind(tenant.id.get())
    .bind(tenant.incarnation)
    .bind(number)
    .execute(conn)
    .await?;
    Ok(())
}

/// The tenant's anomaly and its evidence as of one moment, so that the evidence's number stands for the
/// anomaly's definition.
pub async fn with_anomaly(
    conn: &mut SqliteConnection,
    tenant: TenantKey,
    id: AnomalyId,
) -> Result<Option<(Anomaly, Evidence)>, RegistryError> {
    let mut moment = conn.begin().await?;
    let anomaly = anomalies::get(&mut moment, tenant, id).await?;
    let evidence = get(&mut moment, tenant, id).await?;
    moment.rollback().await?;
    Ok(anomaly.zip(evidence))
}

/// A file that a query may read.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct StoredFile {
    /// The anomaly.
    #[sqlx(try_from = "i64")]
    pub anomaly_id: AnomalyId,
    /// Path of the file below the tenant's folder.
    pub file: String,
    /// Its size in bytes.
    pub bytes: i64,
}

/// Evidence files of a tenant, by anomaly; without those of evidence that is given up.
pub async fn ready_files(conn: &mut SqliteConnection, tenant: TenantKey) -> Result<Vec<StoredFile>, RegistryError> {
    let files = sqlx::query_as(
        "SELECT anomaly_id, file, bytes FROM evidence
         WHERE tenant_id = ? AND incarnation = ? AND file IS NOT NULL AND attempts < ? ORDER BY anomaly_id",
    );
    Ok(files.bind(tenant.id.get()).bind(tenant.incarnation).bind(MAX_ATTEMPTS).fetch_all(conn).await?)
}

/// Names of all evidence files of a tenant that are in use; any other file in its folder that is older
/// than this look is garbage, unless an attempt is under way.
pub async fn all_files(conn: &mut SqliteConnection, tenant: TenantKey) -> Result<Vec<String>, RegistryError> {
    let files =
        sqlx::query_scalar("SELECT file FROM evidence WHERE tenant_id = ? AND incarnation = ? AND file IS NOT NULL");
    Ok(files.bind(tenant.id.get()).bind(tenant.incarnation).fetch_all(conn).await?)
}

/// Anomalies of all active tenants that are served by their tenant's feature and limits, have no evidence file, and
/// may be tried now; oldest first within a tenant. Costs one index range per tenant.
pub async fn due_without_file(
    conn: &mut SqliteConnection,
    defaults: &Limits,
    now_ms: i64,
    limit: u32,
) -> Result<Vec<Anomaly>, RegistryError> {
    // CROSS JOIN fixes the order of the loops: tenants outside, a range of `evidence_missing` inside.
    let due = sqlx::query_as(
        "SELECT a.* FROM tenants t
         CROSS JOIN evidence e ON e.tenant_id = t.tenant_id AND e.incarnation = t.incarnation AND e.file IS NULL
             AND e.created_at_ms BETWEEN ?1 - COALESCE(t.recency_ms, ?2) AND ?1 - COALESCE(t.availability_delay_ms, ?3)
         CROSS JOIN anomalies a ON a.id = e.anomaly_id
         WHERE t.state = 'active' AND e.created_at_ms >= t.anomalous_activity_since_ms AND e.attempts < ?4 AND e.next_attempt_at_ms <= ?1
         LIMIT ?5",
    )
    .bind(now_ms)
    .bind(defaults.recency_ms)
    .bind(defaults.availability_delay_ms)
    .bind(MAX_ATTEMPTS)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    Ok(due)
}
