//! `docs/schema.md`: every table and column that SQL sees.

use std::fmt::Write as _;

use anomalake::domain::activity::COLUMNS;
use anomalake::query::catalog::describe;

use super::assert_page;
use crate::support::contract::DOCUMENT;

const HEAD: &str = "# Tables

What `POST /api/v1/sql`, `anomalake sql` and saved exports see: the tables of one tenant and no others. Names are case-sensitive and need
no quotes. `information_schema.tables` and `.columns` tell the same as this page,
as do `\\d` and `\\d TABLE` in the shell. Moments are UTC.

A condition on `timeStamp` or `time` leaves the files of other days unread by itself, one on `userKey` or `sourceIP` most of the rest; match users by
`userKey`, not by `user`. `docs/queries.md` has worked examples.

This page is made of the program; a test compares them.
";

fn page() -> String {
    let mut page = HEAD.to_owned();
    for table in describe() {
        write!(page, "\n## {}\n\nA row is {}.\n\n", table.name, table.meaning).unwrap();
        page.push_str("| column | type | null | unit or form | meaning |\n|---|---|---|---|---|\n");
        for column in &table.columns {
            let null = if column.nullable { "yes" } else { "" };
            let (name, sql_type) = (&column.name, column.sql_type);
            writeln!(page, "| `{name}` | {sql_type} | {null} | {} | {} |", column.unit, column.meaning).unwrap();
        }
    }
    page
}

#[test]
fn the_page_is_what_the_program_says() {
    assert_page("schema.md", &page());
}

#[test]
fn the_openapi_document_says_the_same_of_an_activity() {
    let schema = &DOCUMENT["components"]["schemas"]["Activity"];
    let properties = schema["properties"].as_object().unwrap();
    assert_eq!(properties.len(), COLUMNS.len());
    let tables = describe();
    let activities = tables.iter().find(|table| table.name == "activities").unwrap();
    for column in COLUMNS {
        let (told, described) =
            (&properties[column.name], activities.columns.iter().find(|c| c.name == column.name).unwrap());
        assert!(told["description"].as_str().unwrap().starts_with(described.meaning), "{}", column.name);
        let sql_type = match told["type"].as_str().unwrap() {
            "integer" => "BIGINT",
            "number" => "DOUBLE",
            "boolean" => "BOOLEAN",
            _ => "VARCHAR",
        };
        assert_eq!(described.sql_type, sql_type, "{}", column.name);
        let required = schema["required"].as_array().unwrap().iter().any(|name| name == column.name);
        assert_eq!(required, !described.nullable, "{}", column.name);
    }
}
