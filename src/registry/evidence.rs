//! Evidence: which file holds an anomaly's activities, and how making it goes.

use sqlx::{FromRow, SqliteConnection};

use super::RegistryError;
use super::anomalies::Anomaly;
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

/// Counts a failed attempt and uses up its number; an older file stays recorded.
pub async fn record_failure(
    conn: &mut SqliteConnection,
    tenant: TenantKey,
    id: AnomalyId,
    reason: &str,
    next_attempt_at_ms: i64,
) -> Result<(), RegistryError> {
    sqlx::query(
        "UPDATE evidence SET number = number + 1, attempts = attempts + 1, last_error = ?, next_attempt_at_ms = ?
         WHERE anomaly_id = ? AND tenant_id = ? AND incarnation = ?",
    )
    .bind(reason)
    .bind(next_attempt_at_ms)
    .bind(id.get())
    .bind(tenant.id.get())
    .bind(tenant.incarnation)
    .execute(conn)
    .await?;
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::anomalies::{self, NewAnomaly};
    use crate::registry::settings::{self, Overrides, SettingsChange};
    use crate::registry::tenants::TenantError;
    use crate::registry::testing::TestRegistry;

    async fn add(t: &TestRegistry, tenant: TenantKey, created_at_ms: i64) -> AnomalyId {
        let new = NewAnomaly::of_user("u", 0, 1, created_at_ms);
        let write = t
            .registry
            .write(move |conn| Box::pin(async move { anomalies::create(conn, tenant, &new, created_at_ms).await }));
        write.await.unwrap().id
    }

    fn file(number: i64) -> EvidenceFile {
        EvidenceFile {
            number,
            file: format!("day=2026-01-01/1-{number}.parquet"),
            rows: 11,
            bytes: 1234,
            sha256: "ab".repeat(32),
            lake_version: 9,
            row_cap: 100_000,
            made_at_ms: 77,
        }
    }

    async fn commit(t: &TestRegistry, tenant: TenantKey, id: AnomalyId, made: EvidenceFile) -> bool {
        t.registry.write(move |conn| Box::pin(async move { commit_file(conn, tenant, id, &made).await })).await.unwrap()
    }

    async fn fail(t: &TestRegistry, tenant: TenantKey, id: AnomalyId, next_ms: i64) {
        let write = t
            .registry
            .write(move |conn| Box::pin(async move { record_failure(conn, tenant, id, "no memory", next_ms).await }));
        write.await.unwrap();
    }

    async fn read(t: &TestRegistry, tenant: TenantKey, id: AnomalyId) -> Evidence {
        get(&mut t.registry.read().await.unwrap(), tenant, id).await.unwrap().unwrap()
    }

    #[tokio::test]
    async fn numbers_only_rise_and_the_late_attempt_loses() {
        let t = TestRegistry::new().await;
        let (a, b) = (t.tenant(1).await, t.tenant(2).await);
        let id = add(&t, a, 0).await;
        assert!(!commit(&t, b, id, file(1)).await, "another tenant's anomaly");
        assert!(commit(&t, a, id, file(1)).await);
        assert!(!commit(&t, a, id, file(1)).await);
        fail(&t, a, id, 5).await;
        let after_failure = read(&t, a, id).await;
        assert_eq!((after_failure.next_number(), after_failure.attempts), (3, 1));
        assert_eq!(after_failure.state(), EvidenceState::Ready);
        assert!(!commit(&t, a, id, file(2)).await);
        assert!(commit(&t, a, id, file(3)).await);
        let evidence = read(&t, a, id).await;
        assert_eq!(evidence.file, Some(file(3)));
        assert_eq!((evidence.attempts, evidence.last_error), (0, None));
        let mut conn = t.registry.read().await.unwrap();
        assert_eq!(all_files(&mut conn, a).await.unwrap(), [file(3).file]);
        assert!(all_files(&mut conn, b).await.unwrap().is_empty());
        assert!(get(&mut conn, b, id).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn the_third_failure_is_final() {
        let t = TestRegistry::new().await;
        let a = t.tenant(1).await;
        let id = add(&t, a, 0).await;
        for expected in [EvidenceState::Pending, EvidenceState::Pending, EvidenceState::Failed] {
            fail(&t, a, id, 0).await;
            assert_eq!(read(&t, a, id).await.state(), expected);
        }
        assert_eq!(read(&t, a, id).await.last_error.as_deref(), Some("no memory"));
        let defaults = Limits { availability_delay_ms: 0, ..Limits::default() };
        let mut conn = t.registry.read().await.unwrap();
        assert!(due_without_file(&mut conn, &defaults, 1, 10).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn due_is_each_tenants_own_rule() {
        let t = TestRegistry::new().await;
        let (a, b) = (t.tenant(1).await, t.tenant(2).await);
        let set = async |tenant: TenantKey, anomalous_activity, availability_delay_ms, now_ms| {
            let overrides = Overrides { availability_delay_ms, ..Default::default() };
            let change =
                SettingsChange { anomalous_activity: Some(anomalous_activity), overrides, ..Default::default() };
            let update = t.registry.try_write(move |conn| {
                Box::pin(async move {
                    settings::update(conn, tenant.id, &change, &Limits::default(), now_ms).await?;
                    Ok::<_, TenantError>(())
                })
            });
            update.await.unwrap();
        };
        set(a, true, None, 0).await;
        set(b, true, Some(5), 50).await;
        let defaults = Limits { availability_delay_ms: 100, recency_ms: 1000, ..Limits::default() };
        let (of_a, of_b) = (add(&t, a, 50).await, add(&t, b, 50).await);
        let due = |now_ms| {
            let t = &t;
            async move {
                let mut conn = t.registry.read().await.unwrap();
                let due = due_without_file(&mut conn, &defaults, now_ms, 10).await.unwrap();
                due.iter().map(|a| a.id).collect::<Vec<_>>()
            }
        };
        assert_eq!(due(54).await, []);
        assert_eq!(due(55).await, [of_b]);
        assert_eq!(due(149).await, [of_b]);
        assert_eq!(due(150).await, [of_a, of_b]);
        assert_eq!(due(1050).await, [of_a, of_b]);
        assert_eq!(due(1051).await, []);
        fail(&t, b, of_b, 160).await;
        assert_eq!(due(159).await, [of_a]);
        assert_eq!(due(160).await, [of_a, of_b]);
        assert!(commit(&t, a, of_a, file(1)).await);
        assert_eq!(due(160).await, [of_b]);
        set(b, false, None, 160).await;
        assert_eq!(due(160).await, [], "the feature is off");
        set(b, true, None, 51).await;
        assert_eq!(due(160).await, [], "created before the feature was switched on");
        set(b, false, None, 51).await;
        set(b, true, None, 50).await;
        assert_eq!(due(160).await, [of_b]);
        let drop = t
            .registry
            .try_write(move |conn| Box::pin(async move { super::super::tenants::begin_drop(conn, b.id).await }));
        drop.await.unwrap();
        assert_eq!(due(160).await, []);
    }
}
