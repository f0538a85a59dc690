//! SQL over one tenant's tables: a text in, a stream of batches or an encoded export out.

use std::time::Duration;

use arrow::datatypes::SchemaRef;

/// A statement as a caller gives it.
#[derive(Debug, Clone)]
pub struct SqlRequest {
    /// One statement: a query, `EXPLAIN`, `DESCRIBE` or `SHOW TABLES`.
    pub text: String,
    /// Values of `$1` or `$name`; [`crate::query::params::from_json`] reads them from JSON.
    pub params: Option<datafusion::common::ParamValues>,
    /// Longest time until the last row; at most, and by default, the setting `sql.timeout`.
    pub timeout: Option<Duration>,
}

/// The rows of a statement; `Stream<Item = Result<RecordBatch, SqlError>>`. Poll it on the CPU runtime. It holds the
/// permit, the memory pool, the temporary files and the deadline, and releases them when it is dropped.
#[derive(Debug)]
pub struct SqlRows {}

impl SqlRows {
    /// Columns of the batches.
    #[must_use]
    pub fn schema(&self) -> SchemaRef;
}

impl Services {
    /// Plans and starts a statement.
    pub async fn run_sql(&self, tenant: &Tenant, request: SqlRequest) -> Result<SqlRows, SqlError>;

    /// The same as an encoded answer: compressed, bounded in bytes, audited when it ends.
    pub async fn export_sql(
        &self,
        actor: &Actor,
        tenant: &Tenant,
        request: SqlRequest,
        form: ExportForm,
    ) -> Result<Export, SqlError>;
}

// Also: `ExportFormat::encoder_for(&SchemaRef)` writes batches of any schema (saved exports), and
// `crate::query::catalog::describe()` lists every table and column with type, unit and meaning (docs/schema.md).
