//! The registry's file: creating it, refusing what is not ours, migrating what is older.

use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqliteConnection};

use super::error::RegistryError;

/// Version of the data format that this program writes, and the newest that it reads.
///
/// A migration that older programs must not miss raises it, here and in `meta`.
pub const DATA_FORMAT: i64 = 1;

/// The schema's history. The macro embeds the folder when this file is compiled: adding a migration
/// means touching this file (last: 0010). Applied migrations never change; their checksums are compared on open.
static MIGRATIONS: Migrator = sqlx::migrate!("src/registry/migrations");

/// SQLite's code for a file that is no database.
const NOT_A_DATABASE: &str = "26";

/// Options of every connection to the file.
pub(super) fn connect_options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
}

/// Makes sure that the file exists, durably; a new one is readable by its owner only.
///
/// SQLite gives its companions (`-wal`, `-shm`) the mode of the main file and syncs their folder, but
/// not the folder of a new main file.
pub(super) async fn create_file(path: &Path) -> Result<(), RegistryError> {
    let owned = path.to_path_buf();
    let created = tokio::task::spawn_blocking(move || create_file_blocking(&owned)).await;
    created
        .map_err(io::Error::other)
        .flatten()
        .map_err(|source| RegistryError::Open { path: path.to_path_buf(), source })
}

fn create_file_blocking(path: &Path) -> io::Result<()> {
    let new = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path);
    match new {
        Ok(file) => {
            file.sync_all()?;
            let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
            File::open(folder)?.sync_all()
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Takes the file, known to be ours by now, from all but its owner.
pub(super) async fn restrict(path: &Path) -> Result<(), RegistryError> {
    let restricted = tokio::fs::set_permissions(path, Permissions::from_mode(0o600)).await;
    restricted.map_err(|source| RegistryError::Open { path: path.to_path_buf(), source })
}

/// Refuses data that this program does not know, before anything writes to the file.
pub(super) async fn check(path: &Path) -> Result<(), RegistryError> {
    let refused = |found: &str| RegistryError::Format {
        path: path.to_path_buf(),
        found: found.to_owned(),
        supported: DATA_FORMAT,
    };
    // Without a journal mode: asking for one would already change a foreign file.
    let mut conn = SqliteConnectOptions::new().filename(path).connect().await?;
    let found = match found_format(&mut conn).await {
        Err(sqlx::Error::Database(e)) if e.code().as_deref() == Some(NOT_A_DATABASE) => {
            return Err(refused("unknown (no SQLite database)"));
        }
        found => found?,
    };
    conn.close().await?;
    match found {
        Found::Nothing => Ok(()),
        Found::NoMark => Err(refused("unknown (tables without a format mark)")),
        Found::Mark(mark) => match mark.parse::<i64>() {
            Ok(version) if (1..=DATA_FORMAT).contains(&version) => Ok(()),
            _ => Err(refused(&mark)),
        },
    }
}

enum Found {
    Nothing,
    NoMark,
    Mark(String),
}

async fn found_format(conn: &mut SqliteConnection) -> Result<Found, sqlx::Error> {
    // A crash may leave the migrations' own table alone in a file that is otherwise new.
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name <> '_sqlx_migrations' AND name NOT GLOB 'sqlite_*'",
    )
    .fetch_all(&mut *conn)
    .await?;
    if tables.is_empty() {
        return Ok(Found::Nothing);
    }
    if !tables.iter().any(|t| t == "meta") {
        return Ok(Found::NoMark);
    }
    match sqlx::query_scalar("SELECT value FROM meta WHERE key = 'data_format'").fetch_optional(conn).await {
        Ok(mark) => Ok(mark.map_or(Found::NoMark, Found::Mark)),
        // Another program's table of that name.
        Err(sqlx::Error::Database(_) | sqlx::Error::ColumnDecode { .. }) => Ok(Found::NoMark),
        Err(error) => Err(error),
    }
}

/// Applies what is missing; each migration is its own transaction.
pub(super) async fn migrate(conn: &mut SqliteConnection) -> Result<(), RegistryError> {
    Ok(MIGRATIONS.run(conn).await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::incident::IncidentStatus;
    use crate::registry::anomalies::{self, NewAnomaly};
    use crate::registry::incidents::{self, IncidentFilter};
    use crate::registry::{Registry, modified_clock, tenants};

    async fn set_mark(path: &Path, sql: &'static str) {
        let mut conn = connect_options(path).connect().await.unwrap();
        sqlx::query(sql).execute(&mut conn).await.unwrap();
        conn.close().await.unwrap();
    }

    #[test]
    fn every_migration_file_is_embedded() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/registry/migrations");
        assert_eq!(std::fs::read_dir(folder).unwrap().count(), MIGRATIONS.iter().count(), "touch format.rs");
    }

    #[tokio::test]
    async fn a_new_file_is_private_durable_and_opens_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("registry.sqlite");
        for _ in 0..2 {
            let registry = Registry::open(&path).await.unwrap();
            let mut conn = registry.read().await.unwrap();
            let pragma = async |conn: &mut SqliteConnection, sql: &'static str| -> i64 {
                sqlx::query_scalar(sql).fetch_one(conn).await.unwrap()
            };
            assert_eq!(pragma(&mut conn, "PRAGMA synchronous").await, 2);
            assert_eq!(pragma(&mut conn, "PRAGMA foreign_keys").await, 1);
            let mode: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut *conn).await.unwrap();
            assert_eq!(mode, "wal");
            for entry in std::fs::read_dir(dir.path()).unwrap() {
                let entry = entry.unwrap();
                assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.file_name());
            }
            drop(conn);
            registry.close().await;
        }
    }

    #[tokio::test]
    async fn newer_and_unknown_data_is_refused_with_both_versions() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("registry.sqlite");
        Registry::open(&path).await.unwrap().close().await;
        for (sql, found) in [
            ("UPDATE meta SET value = '2' WHERE key = 'data_format'", "format 2,"),
            ("UPDATE meta SET value = 'x' WHERE key = 'data_format'", "format x,"),
            ("DELETE FROM meta", "format unknown"),
        ] {
            set_mark(&path, sql).await;
            let text = Registry::open(&path).await.unwrap_err().to_string();
            assert!(text.contains(found) && text.contains("up to 1;"), "{text}");
        }
    }

    #[tokio::test]
    async fn foreign_files_are_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let text_file = dir.path().join("notes");
        let notes = "not a database, and longer than the header that one would have. ".repeat(40);
        std::fs::write(&text_file, &notes).unwrap();
        assert!(matches!(Registry::open(&text_file).await, Err(RegistryError::Format { .. })));
        assert_eq!(std::fs::read_to_string(&text_file).unwrap(), notes);

        let other = dir.path().join("other.sqlite");
        let mut conn = SqliteConnectOptions::new().filename(&other).create_if_missing(true).connect().await.unwrap();
        sqlx::query("CREATE TABLE theirs (a)").execute(&mut conn).await.unwrap();
        conn.close().await.unwrap();
        let before = std::fs::read(&other).unwrap();
        assert!(matches!(Registry::open(&other).await, Err(RegistryError::Format { .. })));
        assert_eq!(std::fs::read(&other).unwrap(), before);

        assert!(matches!(Registry::open(&dir.path().join("no/such")).await, Err(RegistryError::Open { .. })));
    }

    #[tokio::test]
    async fn anomalies_of_the_first_version_become_incidents() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("registry.sqlite");
        let mut conn = connect_options(&path).create_if_missing(true).connect().await.unwrap();
        MIGRATIONS.run_to(1, &mut conn).await.unwrap();
        for sql in [
            "INSERT INTO tenants (tenant_id, incarnation, name, created_at_ms, state) VALUES (7, 1, 'a', 0, 'active')",
            "INSERT INTO anomalies (tenant_id, incarnation, where_sql, from_ms, to_ms, category, created_at_ms, modified_at_ms)
             VALUES (7, 1, 'TRUE', 0, 1, ' Data Access', 5, 60), (7, 1, 'TRUE', 0, 1, NULL, 5, 50)",
        ] {
            sqlx::query(sql).execute(&mut conn).await.unwrap();
        }
        conn.close().await.unwrap();

        let registry = Registry::open(&path).await.unwrap();
        let tenant = registry.write(|conn| Box::pin(tenants::list(conn))).await.unwrap()[0].key;
        let end_ms = registry.write(move |conn| Box::pin(modified_clock::close(conn, tenant, 60))).await.unwrap();
        let filter = IncidentFilter::default();
        let mut conn = registry.read().await.unwrap();
        let page = incidents::page(&mut conn, tenant, &filter, end_ms + 1, 10).await.unwrap();
        let found: Vec<_> =
            page.into_iter().map(|i| (i.anomaly.significant_at_ms, i.anomaly.status, i.anomaly.category_key)).collect();
        let key = Some("data access".to_owned());
        assert_eq!(found, [(50, IncidentStatus::New, None), (60, IncidentStatus::New, key)]);
        let next = registry
            .write(move |conn| {
                Box::pin(async move { anomalies::create(conn, tenant, &NewAnomaly::of_user("u", 0, 1, 0), 60).await })
            })
            .await;
        assert_eq!(next.unwrap().modified_at_ms, 61, "times given before are closed");
    }
}
