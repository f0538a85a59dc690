//! A copy of the registry for a backup, and what must be set right in it because the lake is copied later.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sqlx::{ConnectOptions, Connection, FromRow, SqliteConnection};

use super::checks::{self, Recorded};
use super::tenants::{self, Tenant};
use super::{Registry, RegistryError, evidence};
use crate::domain::anomaly::AnomalyId;
use crate::domain::tenant::TenantKey;

/// A copied registry, not in use by any server.
#[derive(Debug)]
pub struct RegistryCopy {
    connection: SqliteConnection,
}

/// An idempotency key, as it is stored.
#[derive(Debug, Clone, FromRow)]
pub struct StoredKey {
    key: String,
    body_hash: Vec<u8>,
    group_number: i64,
    state: String,
    answer_status: i64,
    answer_body: Vec<u8>,
    created_at_ms: i64,
}

impl Registry {
    /// Writes a copy of the registry as of one moment to a new file, of mode 0600. Writers go on meanwhile. The file
    /// is not synced: it gets changed still, see [`RegistryCopy::close`].
    ///
    /// # Errors
    /// When the file exists already or cannot be written, or the registry cannot be read.
    pub async fn copy_to(&self, path: &Path) -> Result<RegistryCopy, RegistryError> {
        // A reader may not write, not even elsewhere.
        let options = self.readers.connect_options().as_ref().clone().pragma("query_only", "OFF");
        let mut source = options.connect().await?;
        let target = path.to_string_lossy().into_owned();
        sqlx::query("VACUUM INTO ?").bind(target).execute(&mut source).await?;
        source.close().await?;
        let restricted = tokio::fs::set_permissions(path, Permissions::from_mode(0o600)).await;
        restricted.map_err(|source| RegistryError::Open { path: PathBuf::from(path), source })?;
        // No companion files: the copy is one file.
        let options =
            SqliteConnectOptions::new().filename(path).journal_mode(SqliteJournalMode::Delete).foreign_keys(true);
        Ok(RegistryCopy { connection: options.connect().await? })
    }

    /// Keys of this route whose group is within these bounds, both included.
    pub async fn keys_of_groups(
        &self,
        tenant: TenantKey,
        route: &str,
        first: i64,
        last: i64,
    ) -> Result<Vec<StoredKey>, RegistryError> {
        let keys = sqlx::query_as(
            "SELECT key, body_hash, group_number, state, answer_status, answer_body, created_at_ms FROM idempotency
             WHERE tenant_id = ? AND incarnation = ? AND route = ? AND group_number BETWEEN ? AND ?",
        );
        let keys = keys.bind(tenant.id.get()).bind(tenant.incarnation).bind(route).bind(first).bind(last);
        Ok(keys.fetch_all(&mut *self.read().await?).await?)
    }
}

impl RegistryCopy {
    /// All tenants by id, those being dropped included.
    pub async fn tenants(&mut self) -> Result<Vec<Tenant>, RegistryError> {
        tenants::list(&mut self.connection).await
    }

    /// What the copy says of a tenant's files and keys.
    pub async fn recorded(&mut self, tenant: TenantKey, route: &str) -> Result<Recorded, RegistryError> {
        checks::recorded(&mut self.connection, tenant, route).await
    }

    /// Replaces the keys from this group on: the lake was copied later than the registry, and a key that the copied
    /// lake has carried out must be known, or a repeat would be stored a second time.
    pub async fn replace_keys(
        &mut self,
        tenant: TenantKey,
        route: &str,
        first: i64,
        keys: &[StoredKey],
    ) -> Result<(), RegistryError> {
        let mut change = self.connection.begin().await?;
        let gone = sqlx::query(
            "DELETE FROM idempotency WHERE tenant_id = ? AND incarnation = ? AND route = ? AND group_number >= ?",
        );
        let gone = gone.bind(tenant.id.get()).bind(tenant.incarnation).bind(route).bind(first);
        gone.execute(&mut *change).await?;
        for key in keys {
            // A key may be used again once it has expired.
            sqlx::query(
                "INSERT OR REPLACE INTO idempotency (tenant_id, incarnation, route, key, body_hash, group_number, state,
                     answer_status, answer_body, created_at_ms)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )
            .bind(tenant.id.get())
            .bind(tenant.incarnation)
            .bind(route)
            .bind(&key.key)
            .bind(&key.body_hash)
            .bind(key.group_number)
            .bind(&key.state)
            .bind(key.answer_status)
            .bind(&key.answer_body)
            .bind(key.created_at_ms)
            .execute(&mut *change)
            .await?;
        }
        Ok(change.commit().await?)
    }

    /// Makes an evidence pending again whose file was replaced before it was copied; it is made anew when asked for.
    pub async fn forget_evidence(&mut self, tenant: TenantKey, anomaly: AnomalyId) -> Result<(), RegistryError> {
        evidence::reset(&mut self.connection, tenant, anomaly).await.map(drop)
    }

    /// Makes saved exports pending again that were ready: their files are not part of a backup. Returns how many.
    pub async fn forget_export_files(&mut self) -> Result<u64, RegistryError> {
        super::exports::make_again(&mut self.connection).await
    }

    /// Marks a tenant as being dropped: it was, while its files were copied.
    pub async fn drop_tenant(&mut self, tenant: TenantKey) -> Result<(), RegistryError> {
        match tenants::begin_drop(&mut self.connection, tenant.id).await {
            Ok(_) | Err(tenants::TenantError::NotFound(_)) => Ok(()),
            Err(tenants::TenantError::Registry(error)) => Err(error),
            Err(other) => Err(sqlx::Error::Configuration(other.into()).into()),
        }
    }

    /// Closes the file; its content is complete then, and not synced.
    pub async fn close(self) -> Result<(), RegistryError> {
        Ok(self.connection.close().await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::anomalies::{self, NewAnomaly};
    use crate::registry::exports::{self, ExportOf, ExportState, MadeFile, NewExport};
    use crate::registry::idempotency::{self, NewKey};
    use crate::registry::testing::TestRegistry;

    const ROUTE: &str = "activities";

    async fn pending(t: &TestRegistry, tenant: TenantKey, group: i64, name: &str) {
        let body = NewKey { key: name.to_owned(), body_hash: [1; 32], answer_status: 200, answer_body: vec![] };
        let write = t.registry.try_write(move |conn| {
            Box::pin(async move { idempotency::insert_pending(conn, tenant, ROUTE, group, &[body], 0).await })
        });
        write.await.unwrap();
    }

    #[tokio::test]
    async fn a_copy_is_of_one_moment_and_gets_the_keys_of_what_the_lake_holds() {
        let t = TestRegistry::new().await;
        let tenant = t.tenant(7).await;
        pending(&t, tenant, 1, "a").await;
        pending(&t, tenant, 2, "b").await;
        let path = t.dir.path().join("copy.db");
        let mut copy = t.registry.copy_to(&path).await.unwrap();
        // Group 2 failed and its number was used again; group 4 is not in the copied lake.
        for (group, name) in [(2, "c"), (3, "d"), (4, "e")] {
            pending(&t, tenant, group, name).await;
        }
        assert_eq!(copy.recorded(tenant, ROUTE).await.unwrap().pending_group, 2);
        let keys = t.registry.keys_of_groups(tenant, ROUTE, 2, 3).await.unwrap();
        copy.replace_keys(tenant, ROUTE, 2, &keys).await.unwrap();
        copy.close().await.unwrap();
        assert!(t.registry.copy_to(&path).await.is_err(), "a file that is there is not written over");

        let opened = Registry::open(&path).await.unwrap();
        let mut conn = opened.read().await.unwrap();
        let names: Vec<String> =
            sqlx::query_scalar("SELECT key FROM idempotency ORDER BY key").fetch_all(&mut *conn).await.unwrap();
        assert_eq!(names, ["a", "c", "d"]);
    }

    #[tokio::test]
    async fn exports_that_were_ready_are_to_be_made_again() {
        let t = TestRegistry::new().await;
        let tenant = t.tenant(7).await;
        let new = NewExport {
            owner: "o".to_owned(),
            name: None,
            of: ExportOf::Sql { sql: "SELECT 1".to_owned(), params: serde_json::Value::Null },
            format: "csv".to_owned(),
            escape_formulas: false,
        };
        let made = MadeFile { file: "1-x.csv".to_owned(), rows: 1, bytes: 2, sha256: String::new() };
        let asked = new.clone();
        let fill = t.registry.write(move |conn| {
            Box::pin(async move {
                for n in 0..3 {
                    let id = exports::create(conn, tenant, &asked, n).await?.id;
                    assert!(n == 0 || exports::begin(conn, id, 1).await?);
                    assert!(n < 2 || exports::commit_file(conn, id, &made, 2, 3).await?);
                }
                Ok(())
            })
        });
        fill.await.unwrap();
        let path = t.dir.path().join("copy.db");
        let mut copy = t.registry.copy_to(&path).await.unwrap();
        assert_eq!(copy.forget_export_files().await.unwrap(), 1);
        copy.close().await.unwrap();
        let opened = Registry::open(&path).await.unwrap();
        let list = exports::list(&mut opened.read().await.unwrap(), tenant, None, None, 10).await.unwrap();
        let states: Vec<_> = list.iter().map(|export| export.state).collect();
        assert_eq!(states, [ExportState::Pending, ExportState::Running, ExportState::Pending]);
        assert_eq!((&list[0].new, list[0].attempts, &list[0].made), (&new, 0, &None));
    }

    #[tokio::test]
    async fn lost_evidence_is_pending_and_dropped_tenants_are_dropped() {
        let t = TestRegistry::new().await;
        let tenant = t.tenant(7).await;
        let anomaly = t
            .registry
            .write(move |conn| {
                Box::pin(async move {
                    let anomaly = anomalies::create(conn, tenant, &NewAnomaly::of_user("a", 0, 1, 0), 0).await?;
                    let file = evidence::EvidenceFile {
                        number: 1,
                        file: "evidence/x".to_owned(),
                        rows: 1,
                        bytes: 2,
                        sha256: String::new(),
                        lake_version: 1,
                        row_cap: 1,
                        made_at_ms: 0,
                    };
                    evidence::commit_file(conn, tenant, anomaly.id, &file).await?;
                    Ok(anomaly.id)
                })
            })
            .await
            .unwrap();
        let mut copy = t.registry.copy_to(&t.dir.path().join("copy.db")).await.unwrap();
        assert_eq!(copy.recorded(tenant, ROUTE).await.unwrap().evidence.len(), 1);
        copy.forget_evidence(tenant, anomaly).await.unwrap();
        let recorded = copy.recorded(tenant, ROUTE).await.unwrap();
        assert_eq!((recorded.evidence.len(), recorded.evidence_bytes), (0, 0));
        copy.drop_tenant(tenant).await.unwrap();
        assert_eq!(copy.tenants().await.unwrap()[0].state, tenants::TenantState::Dropping);
    }
}
