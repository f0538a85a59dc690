//! Statements that go to SQLite together.
//!
//! Each statement by itself is a trip to the connection's thread and back, which costs more than most writes. What
//! one change writes is collected and makes one trip.

use sqlx::{Encode, QueryBuilder, Sqlite, SqliteConnection, Type};

use super::RegistryError;

/// Statements to be carried out in their order, in one trip.
#[derive(Default)]
pub(super) struct Writes(QueryBuilder<Sqlite>);

impl Writes {
    /// Adds a statement of one row: `head`, and the values in brackets.
    pub(super) fn row(&mut self, head: &'static str) -> Row<'_> {
        self.0.push(head).push(" VALUES (");
        Row { query: &mut self.0, first: true }
    }

    /// Carries them out; returns the number that the last statement with `RETURNING` gave.
    pub(super) async fn run(mut self, conn: &mut SqliteConnection) -> Result<Option<i64>, RegistryError> {
        let given: Vec<i64> = self.0.build_query_scalar().fetch_all(conn).await?;
        Ok(given.last().copied())
    }
}

/// The values of a row under way.
pub(super) struct Row<'a> {
    query: &'a mut QueryBuilder<Sqlite>,
    first: bool,
}

impl Row<'_> {
    fn comma(&mut self) {
        if !std::mem::replace(&mut self.first, false) {
            self.query.push(", ");
        }
    }

    /// The next value.
    pub(super) fn value<'v, T: Encode<'v, Sqlite> + Type<Sqlite>>(mut self, value: T) -> Self {
        self.comma();
        self.query.push_bind(value);
        self
    }

    /// The next value, as SQL.
    pub(super) fn expression(mut self, sql: &'static str) -> Self {
        self.comma();
        self.query.push(sql);
        self
    }

    /// Ends the statement with what follows its values.
    pub(super) fn end(self, tail: &'static str) {
        self.query.push(") ").push(tail).push(";\n");
    }
}
