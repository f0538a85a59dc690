//! Attempts to reach outside of the tenant, or to hurt the server. Each is refused, or answered with this tenant's
//! own; afterwards the server answers as before.

use serde_json::{Value, json};

use super::{ask, store, value};
use crate::support::records::ndjson;
use crate::support::{NOW_MS, TestServer, TestTenant};

/// A word that stands in the other tenant's rows, names and anomalies only.
const MARK: &str = "zweitmieter";

/// What no answer may hold, whatever was asked.
const SECRETS: [&str; 10] = [
    MARK,
    "password_hash",
    "argon2",
    "/lake/tenant",
    "registry.db",
    "root:x:",
    "max_temp_directory_size",
    "memory_limit = ",
    "target_partitions",
    "/tmp/",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// `400`.
    Refused,
    /// `422`: a limit.
    Limited,
    /// `200` with own rows.
    Answered,
    /// Any of them.
    Any,
}

use Outcome::{Answered, Any, Limited, Refused};

fn many(n: usize, part: &str, separator: &str) -> String {
    vec![part; n].join(separator)
}

fn reaching_out() -> Vec<(Outcome, String)> {
    let texts = [
        // Names of other tenants, catalogs and schemas.
        (Refused, "SELECT * FROM tenant_7.public.activities"),
        (Refused, "SELECT * FROM \"tenant=7-1\".activities"),
        (Refused, "SELECT * FROM \"../tenant=7-1/activities\""),
        (Refused, "SELECT * FROM datafusion.public.activities"),
        (Refused, "SELECT * FROM lake.private.activities"),
        (Refused, "SELECT * FROM lake.public.activities_7"),
        (Refused, "SELECT * FROM main.users"),
        (Refused, "SELECT * FROM tokens"),
        (Refused, "SELECT * FROM user_roles"),
        (Refused, "SELECT * FROM audit"),
        (Refused, "SELECT * FROM tenants"),
        (Refused, "SELECT * FROM sqlite_master"),
        (Refused, "SELECT * FROM pg_catalog.pg_user"),
        (Refused, "SELECT password_hash FROM anomalies"),
        (Answered, "SELECT * FROM lake.public.activities LIMIT 1"),
        (Answered, "SELECT tenantId, count(*) FROM activities GROUP BY 1"),
        (Answered, "SELECT * FROM activities WHERE tenantId = 7 OR 1 = 1"),
        (Answered, "SELECT * FROM anomalies WHERE anomalyId > 0"),
        (Answered, "SELECT * FROM evidence"),
        // What the server says of itself.
        (Answered, "SELECT * FROM information_schema.tables"),
        (Answered, "SELECT * FROM information_schema.columns"),
        (Answered, "SELECT * FROM information_schema.schemata"),
        (Answered, "SELECT * FROM information_schema.views"),
        (Refused, "SELECT * FROM information_schema.df_settings"),
        (Refused, "SELECT * FROM information_schema.routines"),
        (Refused, "SELECT * FROM information_schema.parameters"),
        (Refused, "SHOW ALL"),
        (Refused, "SHOW datafusion.runtime.memory_limit"),
        (Refused, "SHOW FUNCTIONS"),
        (Refused, "SHOW CREATE TABLE activities"),
        (Refused, "SELECT version()"),
        (Refused, "SELECT @@version"),
        (Refused, "SELECT current_setting('x')"),
        (Refused, "SELECT input_file_name() FROM activities"),
        (Refused, "SELECT file_row_index() FROM activities"),
        (Answered, "EXPLAIN SELECT * FROM activities"),
        (Answered, "EXPLAIN VERBOSE SELECT * FROM activities"),
        (Answered, "EXPLAIN ANALYZE SELECT * FROM evidence"),
        (Answered, "EXPLAIN ANALYZE VERBOSE SELECT * FROM activities ORDER BY asn"),
        // Files.
        (Refused, "SELECT * FROM '/etc/passwd'"),
        (Refused, "SELECT * FROM \"/etc/passwd\""),
        (Refused, "SELECT * FROM 'file:///etc/passwd'"),
        (Refused, "SELECT * FROM 'lake://tenant-7-1/activities/'"),
        (Refused, "SELECT * FROM \"activities/day=2026-11-19/x.parquet\""),
        (Refused, "SELECT * FROM read_parquet('/etc/passwd')"),
        (Refused, "SELECT * FROM read_csv('/etc/passwd')"),
        (Refused, "SELECT * FROM parquet_metadata('x.parquet')"),
        (Refused, "SELECT * FROM glob('/*')"),
        (Refused, "SELECT pg_read_file('/etc/passwd')"),
        (Refused, "SELECT load_extension('x')"),
        (Refused, "COPY activities TO '/tmp/x.csv'"),
        (Refused, "COPY (SELECT 1) TO 'x.parquet' STORED AS PARQUET"),
        (Refused, "EXPLAIN COPY activities TO '/tmp/x.csv'"),
        (Refused, "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'"),
        (Refused, "CREATE TABLE t AS SELECT 1"),
        (Refused, "CREATE VIEW v AS SELECT * FROM activities"),
        (Refused, "CREATE SCHEMA s"),
        (Refused, "CREATE DATABASE d"),
        (Refused, "CREATE FUNCTION f() RETURNS INT RETURN 1"),
        (Refused, "SELECT 1 INTO t"),
        (Refused, "DROP TABLE activities"),
        (Refused, "DROP SCHEMA public CASCADE"),
        (Refused, "INSERT INTO activities SELECT * FROM activities"),
        (Refused, "WITH x AS (INSERT INTO activities VALUES (1)) SELECT 1"),
        (Refused, "UPDATE activities SET user = 'x'"),
        (Refused, "DELETE FROM activities"),
        (Refused, "TRUNCATE TABLE activities"),
        (Refused, "MERGE INTO activities USING anomalies ON true WHEN MATCHED THEN DELETE"),
        (Refused, "ALTER TABLE activities ADD COLUMN x INT"),
        // State of the session.
        (Refused, "SET datafusion.execution.batch_size = 1"),
        (Refused, "SET datafusion.runtime.memory_limit = '100G'"),
        (Refused, "RESET datafusion.execution.batch_size"),
        (Refused, "EXPLAIN SET a = 1"),
        (Refused, "PREPARE p AS SELECT 1"),
        (Refused, "EXECUTE p"),
        (Refused, "DEALLOCATE p"),
        (Refused, "BEGIN"),
        (Refused, "COMMIT"),
        (Refused, "USE other"),
        (Refused, "CALL system()"),
        (Refused, "ATTACH 'registry.db' AS r"),
        (Refused, "PRAGMA table_info('users')"),
        (Refused, "VACUUM"),
        (Refused, "KILL 1"),
        // Comments, several statements, unicode.
        (Refused, "SELECT 1; DROP TABLE activities"),
        (Refused, "SELECT 1 /* ; */ ; SELECT 2"),
        (Answered, "SELECT 1 -- ; DROP TABLE activities"),
        (Answered, "/* a /* nested */ comment */ SELECT 1;"),
        (Refused, "/* open SELECT 1"),
        (Refused, "SELECT * FROM ａctivities"),
        (Refused, "SELECT * FROM \"activities\u{200b}\""),
        (Answered, "SELECT 'İıſ\u{0}\u{FFFF}𝒜' AS \"\u{202e}x\""),
        (Refused, "SEL\u{0}ECT 1"),
        (Refused, "SELECT U&'\\0041' FROM activities LIMIT 1"),
    ];
    texts.into_iter().map(|(outcome, text)| (outcome, text.to_owned())).collect()
}

fn hurting() -> Vec<(Outcome, String)> {
    let doubling_ctes = |n: usize, first: &str, next: &str| {
        let rest: String = (1..n)
            .map(|i| format!(", c{i} AS ({})", next.replace('#', &format!("c{}", i - 1))))
            .collect::<Vec<_>>()
            .concat();
        format!("WITH c0 AS ({first}){rest}")
    };
    let mut attacks = vec![
        // Recursion and nesting.
        (Any, "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t".to_owned()),
        (Any, "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT a.n FROM t a, t b) SELECT count(*) FROM t".to_owned()),
        (Answered, "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t WHERE n < 50) SELECT max(n) FROM t".to_owned()),
        (Refused, format!("SELECT {}1{}", "(".repeat(1_000), ")".repeat(1_000))),
        (Refused, format!("SELECT {}1{}", "abs(".repeat(1_000), ")".repeat(1_000))),
        (Refused, format!("{}SELECT 1{}", "SELECT * FROM (".repeat(1_000), ")".repeat(1_000))),
        (Refused, format!("SELECT {}1{}", "[".repeat(1_000), "]".repeat(1_000))),
        (Refused, format!("SELECT {}1{}", "CASE WHEN true THEN ".repeat(1_000), " END".repeat(1_000))),
        (Refused, format!("SELECT 1::{}int{}", "array<".repeat(500), ">".repeat(500))),
        (Refused, format!("SELECT 1::int{}", "[]".repeat(2_000))),
        (Refused, many(5_000, "EXPLAIN", " ")),
        (Refused, format!("{} SELECT 1", many(2_000, "PREPARE p AS", " "))),
        (Refused, format!("SELECT {} 1", many(5_000, "NOT", " "))),
        (Refused, format!("SELECT {} 1", many(5_000, "-", " "))),
        // Texts that blow up.
        (Limited, "SELECT repeat('x', 1000000000)".to_owned()),
        (Limited, "SELECT repeat(repeat('x', 100000), 100000)".to_owned()),
        (Limited, "SELECT repeat(city, 2147483647) FROM activities".to_owned()),
        (Limited, "SELECT lpad('x', 2000000000, 'y')".to_owned()),
        (Limited, "SELECT rpad(city, 2000000000) FROM activities".to_owned()),
        (Limited, "SELECT replace(repeat('x', 1000000), 'x', repeat('y', 1000000))".to_owned()),
        (Limited, "SELECT regexp_replace(repeat('x', 1000000), 'x', repeat('y', 1000000), 'g')".to_owned()),
        (Limited, "SELECT concat_ws(repeat(',', 4000000), 'a', 'b', 'c', 'd')".to_owned()),
        (Limited, "SELECT array_repeat(1, 1000000000)".to_owned()),
        (Limited, "SELECT array_repeat(array_repeat(1, 10000), 100000)".to_owned()),
        (Limited, "SELECT array_to_string(array_repeat(1, 100000), repeat('x', 1000000))".to_owned()),
        (Limited, "SELECT string_to_array(repeat('x', 4000000), NULL)".to_owned()),
        (Refused, "SELECT array_resize([1], 1000000000)".to_owned()),
        (Refused, "SELECT range(1, 1000000000)".to_owned()),
        (Refused, "SELECT generate_series(1, 1000000000)".to_owned()),
        (Refused, "SELECT * FROM generate_series(1, 1000000000000)".to_owned()),
        (Refused, "SELECT * FROM range(1000000000000)".to_owned()),
        (Refused, "SELECT arrow_cast(city, 'FixedSizeBinary(2147483647)') FROM activities".to_owned()),
        (Refused, "SELECT CAST([1] AS int[1000000000])".to_owned()),
        (Refused, "SELECT levenshtein(city, fileName) FROM activities".to_owned()),
        (Refused, "SELECT string_agg(city, repeat('x', 4000000)) FROM activities".to_owned()),
        (Refused, "SELECT array_transform([1], x -> x)".to_owned()),
        // Doubling, level by level.
        (Any, format!("{} SELECT length(x) FROM c29", doubling_ctes(30, "SELECT city AS x FROM activities", "SELECT x || x AS x FROM #"))),
        (Any, format!("{} SELECT * FROM c29 WHERE x = 'y'", doubling_ctes(30, "SELECT city AS x FROM activities", "SELECT x || x AS x FROM #"))),
        (Any, format!("{} SELECT * FROM c29 WHERE x = 1", doubling_ctes(30, "SELECT asn AS x FROM activities", "SELECT x + x AS x FROM #"))),
        (Any, format!("{} SELECT length(x) FROM c29", doubling_ctes(30, "SELECT city AS x FROM activities", "SELECT concat(x, x) AS x FROM #"))),
        (Any, format!("{} SELECT cardinality(x) FROM c29", doubling_ctes(30, "SELECT [asn] AS x FROM activities", "SELECT array_concat(x, x) AS x FROM #"))),
        (Any, format!("{} SELECT * FROM c29", doubling_ctes(30, "SELECT [asn] AS x FROM activities", "SELECT [x, x] AS x FROM #"))),
        (Any, format!("{} SELECT * FROM c29", doubling_ctes(30, "SELECT {a: asn} AS x FROM activities", "SELECT {a: x, b: x} AS x FROM #"))),
        (Refused, format!("{} SELECT count(*) FROM c29", doubling_ctes(30, "SELECT 1 AS x", "SELECT a.x FROM # a, # b"))),
        (Refused, format!("{} SELECT count(*) FROM c29", doubling_ctes(30, "SELECT 1 AS x", "SELECT x FROM # UNION ALL SELECT x FROM #"))),
        (Refused, format!("EXPLAIN {} SELECT count(*) FROM c29", doubling_ctes(30, "SELECT 1 AS x", "SELECT a.x FROM # a, # b"))),
        (Refused, format!("{} SELECT count(*) FROM c29", doubling_ctes(30, "SELECT 1 AS x", "SELECT (SELECT max(x) FROM #) + (SELECT min(x) FROM #) AS x"))),
        // Crowds.
        (Refused, format!("SELECT * FROM activities a0 {}", (1..400).map(|i| format!("JOIN activities a{i} ON true")).collect::<Vec<_>>().join(" "))),
        (Refused, format!("SELECT * FROM {}", (0..400).map(|i| format!("activities a{i}")).collect::<Vec<_>>().join(", "))),
        (Refused, format!("WITH {} SELECT 1", (0..1_000).map(|i| format!("c{i} AS (SELECT 1)")).collect::<Vec<_>>().join(", "))),
        (Refused, many(1_000, "SELECT 1", " UNION ALL ")),
        (Refused, format!("SELECT 1 FROM activities GROUP BY CUBE ({})", (0..20).map(|i| format!("asn + {i}")).collect::<Vec<_>>().join(", "))),
        (Refused, format!("SELECT 1 FROM activities GROUP BY {}", many(12, "ROLLUP (asn, city)", ", "))),
        (Refused, format!("SELECT {}", (0..200).map(|i| format!("sum(asn) OVER (ORDER BY asn + {i})")).collect::<Vec<_>>().join(", "))),
        (Refused, format!("SELECT {}", many(40_000, "1", ", "))),
        (Refused, format!("SELECT '{}'", "x".repeat(900_000))),
        (Refused, format!("SELECT \"{}\"", "x".repeat(10_000))),
        (Refused, format!("SELECT {}", many(3_000, "a", "."))),
        // As much as the bounds allow: planned within moments.
        (Answered, format!("SELECT count({}) FROM activities", many(490, "city", " || "))),
        (Answered, format!("SELECT count({}) FROM activities", many(490, "asn", " + "))),
        (Answered, format!("SELECT count(*) FROM activities WHERE asn IN ({})", many(9_000, "1", ", "))),
        (Refused, format!("SELECT {}", (0..5_000).map(|i| format!("{i} AS c{i}")).collect::<Vec<_>>().join(", "))),
        // Joins that repeat rows without end, and wide ones.
        (Any, "SELECT count(*) FROM activities a, activities b, activities c, activities d, activities e, activities f".to_owned()),
        (Any, "SELECT a.l FROM (SELECT array_agg(activityId) AS l FROM activities) a, activities b, activities c LIMIT 3000".to_owned()),
        (Any, "SELECT unnest(l), l FROM (SELECT array_agg(a.activityId) AS l FROM activities a, activities b) x".to_owned()),
        (Any, "SELECT r FROM (SELECT repeat('x', 4000000) AS r FROM activities LIMIT 1) a, activities b, activities c".to_owned()),
        // Windows.
        (Any, "SELECT sum(a.asn) OVER () FROM activities a, activities b, activities c".to_owned()),
        (Any, "SELECT max(a.fileName) OVER (ORDER BY a.asn ROWS BETWEEN 1000000000 PRECEDING AND 1000000000 FOLLOWING) FROM activities a, activities b".to_owned()),
        (Refused, "SELECT array_agg(asn) OVER (ORDER BY asn) FROM activities".to_owned()),
        (Refused, "SELECT lag(repeat(city, 1000)) OVER (ORDER BY asn) FROM activities".to_owned()),
        // Patterns.
        (Refused, "SELECT regexp_like(fileName, '(((x{1000}){1000}){1000}){1000}') FROM activities".to_owned()),
        (Refused, "SELECT fileName ~ city FROM activities".to_owned()),
        (Refused, format!("SELECT regexp_like(fileName, '{}') FROM activities", "x".repeat(5_000))),
        (Answered, format!("SELECT fileName LIKE '{}' AS l FROM activities", "%a".repeat(400))),
        (Refused, format!("SELECT fileName LIKE '{}' AS l FROM activities", "%a".repeat(600))),
        (Refused, format!("SELECT fileName LIKE '{}' AS l FROM activities", "_".repeat(200))),
        (Limited, "SELECT repeat('a', 4000000) LIKE repeat('%a', 20000)".to_owned()),
        (Limited, "SELECT fileName LIKE repeat(city || '%', 20000) FROM activities".to_owned()),
        (Answered, "SELECT fileName LIKE '%' || city || '%' FROM activities".to_owned()),
        // One short step that takes minutes.
        (Limited, "SELECT strpos(repeat('a', 4000000), concat(repeat('a', 2000000), 'b'))".to_owned()),
        (Limited, "SELECT position(concat(repeat('a', 2000000), 'b') in repeat('a', 4000000))".to_owned()),
        (Limited, "SELECT instr(repeat('a', 4000000), concat(repeat('a', 2000000), 'b'))".to_owned()),
        (Limited, "SELECT ltrim(repeat('a', 4000000), concat(repeat('b', 2000000), 'a'))".to_owned()),
        (Limited, "SELECT trim(both concat(repeat('b', 2000000), 'a') from repeat('a', 4000000))".to_owned()),
        (Limited, "SELECT regexp_count(repeat('A', 4000000), '.*[^A-Z]|[A-Z]')".to_owned()),
        (Limited, "SELECT regexp_instr(repeat('A', 4000000), '.*[^A-Z]|[A-Z]', 1, 4000000)".to_owned()),
        (Limited, "SELECT regexp_replace(repeat('A', 400000), '.*[^A-Z]|[A-Z]', 'x', 'g')".to_owned()),
        (Limited, "SELECT array_has_all(array_repeat(1, 200000), array_repeat(2, 200000))".to_owned()),
        (Limited, "SELECT array_has_any(l, m) FROM (SELECT array_agg(a.asn + 1000) AS l, array_agg(-a.asn) AS m FROM activities a, activities b)".to_owned()),
        (Any, "SELECT count(*) FROM activities a, activities b WHERE regexp_count(repeat(a.city || 'A', 500), '.*[^A-Z]|[A-Z]') > 9".to_owned()),
        (Answered, "SELECT fileName ~ 'f.*1' AS a, fileName !~* 'F.*1' AS b, fileName SIMILAR TO 'f.*' AS c FROM activities".to_owned()),
        // Many results that are each as large as may be.
        (Limited, format!("SELECT {} FROM activities", (0..100).map(|n| format!("repeat(userKey, {}) AS c{n}", 4_000 - n)).collect::<Vec<_>>().join(", "))),
        (Limited, format!("SELECT concat({}) FROM activities", (0..100).map(|n| format!("repeat(userKey, {})", 4_000 - n)).collect::<Vec<_>>().join(", "))),
        (Limited, "SELECT repeat('a', 4000000) FROM activities".to_owned()),
        (Limited, format!("SELECT {}", (0..500).map(|n| format!("repeat('a', {}) AS c{n}", 4_000_000 - n)).collect::<Vec<_>>().join(", "))),
        (Limited, "SELECT CASE WHEN asn > 1 THEN repeat('a', 4000000) ELSE city END FROM activities".to_owned()),
        (Limited, "SELECT coalesce(city, repeat('a', 4000000)) = '' FROM activities".to_owned()),
        (Answered, "SELECT octet_length(repeat('a', 4000000)) AS n FROM activities".to_owned()),
    ];
    for operator in ["+", "OR", "AND", "||", "::int +", "=", "LIKE", "->", "|"] {
        for terms in [2_000, 20_000, 100_000] {
            attacks.push((Refused, format!("SELECT {}", many(terms, "1", &format!(" {operator} ")))));
        }
    }
    attacks.push((Refused, format!("SELECT 1{}", "::int".repeat(20_000))));
    attacks
}

async fn two_tenants(server: &TestServer) -> TestTenant {
    let tenant = server.tenant(5618).await;
    store(&tenant, 300).await;
    let other = server.tenant(7).await;
    let records: Vec<Value> = (0..50)
        .map(|n| json!({ "timeStamp": NOW_MS + n, "user": format!("{MARK}-{n}"), "fileName": MARK, "city": MARK, "activityId": format!("{MARK}{n}") }))
        .collect();
    other.api.ingest(ndjson(&records)).await.expect(200);
    for tenant in [&tenant, &other] {
        let user = if tenant.id == other.id { format!("{MARK}-1") } else { "ann@example.com".to_owned() };
        let id = tenant.anomaly(json!({ "user": user, "from": 0, "to": NOW_MS + 1_000, "reason": user })).await;
        server.clock.advance(crate::support::DELAY_MS);
        assert!(!tenant.query(id).await.rows().is_empty());
    }
    tenant
}

async fn attack(server: &TestServer, tenant: &TestTenant, attacks: Vec<(Outcome, String)>) {
    for (expected, text) in attacks {
        let shown: String = text.chars().take(160).collect();
        let begun = std::time::Instant::now();
        let body = json!({ "sql": text, "timeout": "3s" });
        let answer =
            tenant.api.with("accept", "application/x-ndjson").open("POST", "/api/v1/sql", body.to_string()).await;
        let answer = answer.unwrap_or_else(|error| panic!("{shown}: {error}"));
        let (status, rest) = (answer.response.status().as_u16(), answer.rest().await);
        let outcome = match status {
            200 => Answered,
            400 => Refused,
            422 => Limited,
            status => panic!("{shown}: {status} {rest:?}"),
        };
        assert!(expected == Any || expected == outcome, "{shown}: {outcome:?} {rest:?}");
        if let Ok(answer) = &rest {
            for secret in SECRETS {
                let told = shown.contains(secret);
                assert!(told || !answer.text().contains(secret), "{shown} tells {secret}: {}", answer.text());
            }
            let body = answer.json_lines();
            assert!(body.iter().all(|row| row.get("tenantId").is_none_or(|id| *id == 5618)), "{shown}");
        }
        println!("{status} {:>6} ms {shown}", begun.elapsed().as_millis());
        assert_eq!(value(&tenant.api, "SELECT count(*) FROM activities").await, 300, "after {shown}");
    }
    let idle =
        async || server.metric("anomalake_sql_statements").await + server.metric("anomalake_sql_pools").await == 0;
    crate::support::wait::until("everything to be given back", idle).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn that_reach_outside_of_the_tenant() {
    let server = TestServer::start().await;
    let tenant = two_tenants(&server).await;
    let attacks = reaching_out();
    assert!(attacks.len() >= 80, "{}", attacks.len());
    attack(&server, &tenant, attacks).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn that_hurt_the_server() {
    let server = TestServer::start().await;
    let tenant = two_tenants(&server).await;
    attack(&server, &tenant, hurting()).await;
}

#[tokio::test]
async fn errors_of_the_server_tell_nothing_either() {
    let server = TestServer::start().await;
    let tenant = two_tenants(&server).await;
    let refused = ask(&tenant.api, &format!("SELECT * FROM {MARK}")).await.expect(400);
    assert!(!refused.text().contains("datafusion"), "{}", refused.text());
}
