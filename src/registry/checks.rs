//! Whether the database is sound, and what it says of a tenant's files, for a check of them.

use sqlx::{Connection, Row, SqliteConnection};

use super::RegistryError;
use super::idempotency::KeyState;
use crate::domain::anomaly::AnomalyId;
use crate::domain::tenant::TenantKey;

/// What SQLite says of a sound database.
const SOUND: &str = "ok";

/// What the registry says of a tenant, as of one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Every evidence file that is in use.
    pub evidence: Vec<RecordedFile>,
    /// The kept sum of their sizes, in bytes.
    pub evidence_bytes: i64,
    /// Largest group of an idempotency key that is done; 0 without any.
    pub done_group: i64,
    /// Largest group of an idempotency key that is pending; 0 without any.
    pub pending_group: i64,
}

/// An evidence file as recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedFile {
    /// Whose evidence it is.
    pub anomaly: AnomalyId,
    /// Path below the tenant's folder.
    pub file: String,
    /// Rows in it.
    pub rows: i64,
    /// Its size in bytes.
    pub bytes: i64,
    /// SHA-256 of its bytes, hexadecimal.
    pub sha256: String,
    /// Version of the activities table that it covers.
    pub lake_version: i64,
}

/// Looks through the whole database file for structural damage; returns what SQLite finds. Cost: reads all of it.
pub async fn integrity(conn: &mut SqliteConnection) -> Result<Vec<String>, RegistryError> {
    let told: Vec<String> = sqlx::query_scalar("PRAGMA integrity_check").fetch_all(conn).await?;
    Ok(told.into_iter().filter(|line| line != SOUND).collect())
}

/// Rows that refer to others which are not there: table and what it refers to.
pub async fn broken_references(conn: &mut SqliteConnection) -> Result<Vec<(String, String)>, RegistryError> {
    let rows = sqlx::query("PRAGMA foreign_key_check").fetch_all(conn).await?;
    rows.iter().map(|row| Ok((row.try_get("table")?, row.try_get("parent")?))).collect()
}

/// What the registry says of a tenant's files and keys of this route.
pub async fn recorded(conn: &mut SqliteConnection, tenant: TenantKey, route: &str) -> Result<Recorded, RegistryError> {
    let mut moment = conn.begin().await?;
    let rows = sqlx::query(
        "SELECT anomaly_id, file, rows, bytes, sha256, lake_version FROM evidence
         WHERE tenant_id = ? AND incarnation = ? AND file IS NOT NULL ORDER BY anomaly_id",
    );
    let rows = rows.bind(tenant.id.get()).bind(tenant.incarnation).fetch_all(&mut *moment).await?;
    let evidence = rows.iter().map(recorded_file).collect::<Result<_, RegistryError>>()?;
    let evidence_bytes = super::evidence::used_bytes(&mut moment, tenant).await?;
    let mut groups = [0; 2];
    for (group, state) in groups.iter_mut().zip([KeyState::Done, KeyState::Pending]) {
        let largest = sqlx::query_scalar(
            "SELECT COALESCE(MAX(group_number), 0) FROM idempotency
             WHERE tenant_id = ? AND incarnation = ? AND route = ? AND state = ?",
        );
        let largest = largest.bind(tenant.id.get()).bind(tenant.incarnation).bind(route).bind(state);
        *group = largest.fetch_one(&mut *moment).await?;
    }
    moment.rollback().await?;
    let [done_group, pending_group] = groups;
    Ok(Recorded { evidence, evidence_bytes, done_group, pending_group })
}

fn recorded_file(row: &sqlx::sqlite::SqliteRow) -> Result<RecordedFile, RegistryError> {
    let anomaly: i64 = row.try_get("anomaly_id")?;
    Ok(RecordedFile {
        anomaly: AnomalyId::try_from(anomaly).map_err(|error| sqlx::Error::Decode(error.into()))?,
        file: row.try_get("file")?,
        rows: row.try_get("rows")?,
        bytes: row.try_get("bytes")?,
        sha256: row.try_get("sha256")?,
        lake_version: row.try_get("lake_version")?,
    })
}

#[cfg(test)]
mod tests {
    use sqlx::ConnectOptions;
    use sqlx::sqlite::SqliteConnectOptions;

    use super::*;
    use crate::registry::testing::TestRegistry;

    #[tokio::test]
    async fn a_sound_registry_has_nothing_to_tell() {
        let t = TestRegistry::new().await;
        let tenant = t.tenant(7).await;
        let mut conn = t.registry.read().await.unwrap();
        assert!(integrity(&mut conn).await.unwrap().is_empty());
        assert!(broken_references(&mut conn).await.unwrap().is_empty());
        assert_eq!(recorded(&mut conn, tenant, "x").await.unwrap(), Recorded::default());
    }

    #[tokio::test]
    async fn a_broken_reference_is_told() {
        let t = TestRegistry::new().await;
        t.tenant(7).await;
        let path = t.dir.path().join("registry.sqlite");
        let mut careless = SqliteConnectOptions::new().filename(path).foreign_keys(false).connect().await.unwrap();
        let orphan = "INSERT INTO user_roles VALUES (1, 7, 1, 'reader', 0)";
        sqlx::query(orphan).execute(&mut careless).await.unwrap();
        careless.close().await.unwrap();
        let mut conn = t.registry.read().await.unwrap();
        let told = [("user_roles".to_owned(), "users".to_owned())];
        assert_eq!(broken_references(&mut conn).await.unwrap(), told);
    }
}
