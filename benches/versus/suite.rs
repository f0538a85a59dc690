//! `benches/queries.sql` as a list; the benchmark and the tests read it with this.

/// The file's text.
pub const TEXT: &str = include_str!("../queries.sql");

/// A query of the suite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Its name.
    pub name: String,
    /// What it asks, for people.
    pub question: String,
    /// In the lake's dialect.
    pub sql: String,
    /// What `DuckDB` is asked.
    pub duckdb: String,
}

impl Query {
    /// Names of the parameters that a statement has, out of those there are.
    pub fn parameters<'a>(sql: &str, known: &[&'a str]) -> Vec<&'a str> {
        known.iter().copied().filter(|name| sql.contains(&format!("${name}"))).collect()
    }
}

/// All queries, in the order of the file.
pub fn queries() -> Vec<Query> {
    let query = |text: &str| {
        let (name, rest) = text.split_once('\n')?;
        let (own, other) = match rest.split_once("-- duckdb:") {
            Some((own, other)) => (own, other.split_once('\n').map(|(_, sql)| sql)),
            None => (rest, None),
        };
        let (comments, sql): (Vec<&str>, Vec<&str>) = own.lines().partition(|line| line.starts_with("--"));
        let sql = sql.join("\n").trim().to_owned();
        Some(Query {
            name: name.trim().to_owned(),
            question: comments.join(" ").replace("-- ", ""),
            duckdb: other.map_or_else(|| sql.clone(), |other| other.trim().to_owned()),
            sql,
        })
    };
    TEXT.split("\n-- name:").skip(1).filter_map(query).collect()
}
