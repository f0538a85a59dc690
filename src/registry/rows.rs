//! Reading domain types out of rows.

use std::str::FromStr;

use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, Row};

use crate::domain::tenant::{TenantId, TenantKey};

/// A stored value that does not read back as what was written.
pub(super) fn decode_error<E>(column: &str, source: E) -> sqlx::Error
where
    E: std::error::Error + Send + Sync + 'static,
{
    sqlx::Error::ColumnDecode { index: column.to_owned(), source: Box::new(source) }
}

/// A text column in the text form of `T`.
pub(super) fn parsed<T>(row: &SqliteRow, column: &str) -> Result<T, sqlx::Error>
where
    T: FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    row.try_get::<&str, _>(column)?.parse().map_err(|e| decode_error(column, e))
}

/// A blob column of 32 bytes.
pub(super) fn digest(row: &SqliteRow, column: &str) -> Result<[u8; 32], sqlx::Error> {
    row.try_get::<&[u8], _>(column)?.try_into().map_err(|e| decode_error(column, e))
}

/// Columns `tenant_id` and `incarnation`.
impl FromRow<'_, SqliteRow> for TenantKey {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        let id = TenantId::try_from(row.try_get::<i64, _>("tenant_id")?).map_err(|e| decode_error("tenant_id", e))?;
        Ok(Self { id, incarnation: row.try_get("incarnation")? })
    }
}
