//! What a source file may say.

use super::super::{EMBEDDED, SOURCE_BOUNDS, Source};
use super::{column, decode, options, parsed, source};

const HEADER: &str = "--: source test\n--: text time, a, o.x, list[].k\n--: int n\n--: bool t\n";

fn error(select: &str) -> String {
    let error = Source::parse(&format!("{HEADER}{select}")).unwrap_err();
    assert!(error.at.line >= 1 && error.at.column >= 1, "{error}");
    error.to_string()
}

#[test]
fn embedded_sources_are_sound_and_bear_their_names() {
    assert!(EMBEDDED.is_sorted_by_key(|file| file.name));
    for file in &EMBEDDED {
        let source = file.source().unwrap_or_else(|error| panic!("{}: {error}", file.name));
        assert_eq!(source.name(), file.name);
        assert!(!source.about().is_empty());
    }
}

#[test]
fn errors_name_line_and_column() {
    const TIME: &str = "SELECT epoch_ms(time) AS timeStamp";
    for (select, expected) in [
        (format!("{TIME}\n, nope AS city FROM record"), "line 6, column 3: "),
        (format!("{TIME}\n, o.nope AS city FROM record"), "line 6, column "),
        (format!("{TIME}\n, nope(a) AS city FROM record"), "line 6, column 3: "),
        (format!("{TIME}\n, a AS colour FROM record"), "line 6, column 8: there is no activity column `colour`"),
        (format!("{TIME}\n, a AS tenantId FROM record"), "line 6, column 8: `tenantId` is never"),
        (format!("{TIME}\n, upper(a) FROM record"), "line 6, column 3: name the column"),
        (format!("{TIME}\n, * FROM record"), "line 6, column 3: give each column"),
        (format!("{TIME}\n, a AS city\n, a AS city FROM record"), "line 7, column 3: the column is given twice"),
        (
            format!("{TIME}\n, a AS asn FROM record"),
            "line 6, column 3: `asn` is an integer, but the expression is Utf8",
        ),
        (format!("{TIME}\n, n AS city FROM record"), "line 6, column 3: `city` is text"),
        (format!("{TIME}\n, n AS deviceManaged FROM record"), "line 6, column 3: `deviceManaged` is true or false"),
        (format!("{TIME}\n, o AS city FROM record"), "line 6, column 3: `city` is text"),
        (format!("{TIME},\n a b c FROM record"), "line 6, column 6: "),
        (format!("{TIME},\n 'open AS city FROM record"), "line 6, column 2: "),
        ("SELECT a AS city FROM record".to_owned(), "line 5, column 1: the column `timeStamp` is missing"),
        (String::new(), "line 1, column 1: a source is one `SELECT"),
        (format!("{TIME} FROM record; {TIME} FROM record"), "line 1, column 1: a source is one `SELECT"),
    ] {
        let found = error(&select);
        assert!(found.starts_with(expected), "{select}: {found}");
    }
}

#[test]
fn only_the_plain_shape_is_taken() {
    for rest in [
        "FROM record WHERE n > 1",
        "FROM record LIMIT 1",
        "FROM record ORDER BY n",
        "FROM record GROUP BY n",
        "FROM record HAVING true",
        "FROM record QUALIFY true",
        "FROM record JOIN record AS other ON true",
        "FROM record, record AS other",
        "FROM other",
        "FROM public.record",
        "FROM record(1)",
        "FROM record TABLESAMPLE (10)",
        "FROM (SELECT 1) AS record",
        "FROM record UNION ALL SELECT 1",
        "INTO x FROM record",
        "FROM record AS r (x)",
        "FROM record FOR UPDATE",
        "",
    ] {
        let found = error(&format!("SELECT epoch_ms(time) AS timeStamp {rest}"));
        assert!(found.contains("line 5, column 1: a source is one `SELECT"), "{rest}: {found}");
    }
    for other in [
        "DELETE FROM record",
        "WITH x AS (SELECT 1) SELECT n AS timeStamp FROM record",
        "SELECT DISTINCT n AS timeStamp FROM record",
    ] {
        assert!(error(other).contains("a source is one `SELECT"), "{other}");
    }
}

#[test]
fn expressions_are_those_of_a_condition_and_a_few_more() {
    for expression in [
        "random()::text",
        "now()::text",
        "uuid()",
        "repeat(a, 1000000)",
        "concat(a, a)",
        "array_to_string(make_array(a), a)",
        "max(a)",
        "row_number() OVER ()",
        "(SELECT a)",
        "CASE WHEN EXISTS (SELECT 1) THEN a END",
        "joined(a, joined(a, a, a), a)",
        "coalesce(joined(a, a, a), location_id(a, a, a))",
        "value_of(list, 'k', 'x', 'v')",
        "value_of(a, 'k', 'x', 'v')",
        "value_of(list, a, 'x', 'k')",
        "$1",
    ] {
        error(&format!("SELECT n AS timeStamp, {expression} AS city FROM record"));
    }
    let wide = format!("SELECT n AS timeStamp, coalesce({}) AS city FROM record", vec!["a"; 300].join(","));
    assert!(error(&wide).contains("more than 200 parts"));
}

#[test]
fn bombs_are_refused_without_harm() {
    let chain = vec!["1"; SOURCE_BOUNDS.operators + 2].join("+");
    let nested = format!("{}1{}", "(".repeat(5_000), ")".repeat(5_000));
    for bomb in [chain, nested, "x".repeat(SOURCE_BOUNDS.bytes)] {
        error(&format!("SELECT {bomb} AS timeStamp FROM record"));
    }
}

#[test]
fn the_table_may_have_an_alias_and_fields_several_spellings() {
    let header = "--: source test\n--: text time, o.x, o.\"y.z\", list[].k\n";
    let select =
        "SELECT epoch_ms(r.time) AS timeStamp, r.o['x'] AS city, o.x AS region, r.o.x AS country, o['y.z'] AS fileName,
                  list[1].k AS targetId, list[2]['k'] AS targetType FROM record AS r;";
    let source = parsed(&format!("{header}{select}"));
    let input = br#"{"time":"2026-11-22T00:00:00Z","o":{"x":"1","y.z":"2"},"list":[{"k":"3"},{"k":"4"}]}"#;
    let (batches, _) = decode(&source, input, &options()).unwrap();
    let cells =
        ["city", "region", "country", "fileName", "targetId", "targetType"].map(|name| column(&batches, name).concat());
    assert_eq!(cells, ["1", "1", "1", "2", "3", "4"]);
}

#[test]
fn a_default_stands_where_the_select_gives_nothing() {
    let header = "--: source test\n--: text time, a\n--: default city 'none'\n--: default cspId 7\n";
    let text = format!("{header}SELECT epoch_ms(time) AS timeStamp, a AS city FROM record");
    let input = "{\"time\":\"2026-11-22T00:00:00Z\",\"a\":\"x\"}\n{\"time\":\"2026-11-22T00:00:00Z\"}";
    let (batches, _) = decode(&parsed(&text), input.as_bytes(), &options()).unwrap();
    assert_eq!(column(&batches, "city"), ["x", "none"]);
    assert_eq!(column(&batches, "cspId"), ["7", "7"]);
}

#[test]
fn values_take_the_type_of_their_column() {
    let source = source("array_length(list) AS asn, n AS noOfObjects, t AS directory, substr(a, 2) AS city");
    let input = br#"{"time":"2026-11-22T00:00:00Z","list":["x","y"],"n":3,"t":true,"a":"abc"}"#;
    let (batches, _) = decode(&source, input, &options()).unwrap();
    assert_eq!(column(&batches, "asn"), ["2"]);
    assert_eq!(column(&batches, "noOfObjects"), ["3.0"]);
    assert_eq!(column(&batches, "directory"), ["true"]);
    assert_eq!(column(&batches, "city"), ["bc"]);
}
