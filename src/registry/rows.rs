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

/// A list of texts, stored as a JSON array so that SQL can look into it.
#[derive(sqlx::Type)]
#[sqlx(transparent)]
pub(super) struct TextList(String);

impl TryFrom<TextList> for Vec<String> {
    type Error = serde_json::Error;

    fn try_from(list: TextList) -> Result<Self, Self::Error> {
        serde_json::from_str(&list.0)
    }
}

/// A column with a list of texts, as [`text_list`] writes it.
pub(super) fn parsed_list(row: &SqliteRow, column: &str) -> Result<Vec<String>, sqlx::Error> {
    serde_json::from_str(row.try_get::<&str, _>(column)?).map_err(|error| decode_error(column, error))
}

/// The stored form of a list of texts; also the form in which a statement takes one for `json_each`.
pub(super) fn text_list<T: AsRef<str>>(texts: &[T]) -> String {
    texts.iter().map(AsRef::as_ref).collect::<serde_json::Value>().to_string()
}
