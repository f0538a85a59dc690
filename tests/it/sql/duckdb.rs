//! The same questions to `DuckDB` over the same Parquet files give the same rows. Skipped where it is absent.

use std::io::Write;

use serde_json::{Value, json};
use tokio::process::Command;

use super::{rows, store};
use crate::support::TestServer;

/// Names the Python to use; `python3` by default.
const PYTHON: &str = "ANOMALAKE_TEST_PYTHON";

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/sql/same_rows.py");

/// Questions that both understand. Where the order of rows matters it is asked for.
const QUERIES: &[&str] = &[
    "SELECT count(*) AS n FROM activities",
    "SELECT count(country) AS n, count(DISTINCT country) AS d FROM activities",
    "SELECT activityId, timeStamp, \"user\", userKey, country FROM activities ORDER BY activityId LIMIT 20",
    "SELECT activityId FROM activities ORDER BY timeStamp DESC LIMIT 5 OFFSET 7",
    "SELECT country, count(*) AS n FROM activities GROUP BY country ORDER BY country NULLS LAST",
    "SELECT actionName, sum(downloadBytes) AS s, min(downloadBytes) AS lo, max(downloadBytes) AS hi FROM activities GROUP BY 1 ORDER BY 1",
    "SELECT actionName, avg(noOfObjects) AS a FROM activities GROUP BY actionName ORDER BY 1",
    "SELECT userKey, count(*) AS n FROM activities GROUP BY 1 HAVING count(*) > 100 ORDER BY n DESC, 1",
    "SELECT DISTINCT serviceName, deviceManaged FROM activities ORDER BY 1, 2",
    "SELECT count(*) AS n FROM activities WHERE country IS NULL",
    "SELECT count(*) AS n FROM activities WHERE country IS DISTINCT FROM 'DE'",
    "SELECT count(*) AS n FROM activities WHERE country IN ('DE', 'US') AND actionName <> 'Login'",
    "SELECT count(*) AS n FROM activities WHERE country NOT IN ('DE', 'US')",
    "SELECT count(*) AS n FROM activities WHERE fileName LIKE 'file 1%' OR fileName ILIKE '%9.DOCX'",
    "SELECT count(*) AS n FROM activities WHERE downloadBytes BETWEEN 100 AND 5000",
    "SELECT count(*) AS n FROM activities WHERE NOT deviceManaged",
    "SELECT count(*) AS n FROM activities WHERE asn % 7 = 3",
    "SELECT count(*) AS n FROM activities WHERE city = ''",
    "SELECT city, count(*) AS n FROM activities GROUP BY city ORDER BY city",
    "SELECT upper(city) AS u, length(city) AS l, reverse(city) AS r FROM activities ORDER BY activityId LIMIT 15",
    "SELECT substr(fileName, 6, 3) AS s, strpos(fileName, '.') AS p, replace(fileName, 'file', 'F') AS r FROM activities ORDER BY activityId LIMIT 15",
    "SELECT trim('  x ') AS t, ltrim('xxy', 'x') AS l, lpad('7', 3, '0') AS p, split_part('a,b,c', ',', 2) AS s",
    "SELECT concat(country, '-', actionName) AS c FROM activities ORDER BY activityId LIMIT 15",
    "SELECT country || '-' || actionName AS c FROM activities ORDER BY activityId LIMIT 15",
    "SELECT coalesce(country, 'none') AS c, nullif(actionName, 'Login') AS l FROM activities ORDER BY activityId LIMIT 15",
    "SELECT CASE WHEN downloadBytes > 50000 THEN 'big' WHEN downloadBytes > 1000 THEN 'mid' ELSE 'small' END AS size, count(*) AS n FROM activities GROUP BY 1 ORDER BY 1",
    "SELECT abs(-5) AS a, round(2.567, 2)::double AS r, floor(2.5) AS f, ceil(2.5) AS c, power(2, 10) AS p, sqrt(16) AS q",
    "SELECT 7 / 2.0::double AS d, 7 % 4 AS m, -7 % 4 AS n, 1 + 2 * 3 AS s",
    "SELECT day, count(*) AS n FROM activities GROUP BY day ORDER BY day",
    "SELECT count(*) AS n FROM activities WHERE day = DATE '2026-11-20'",
    "SELECT count(*) AS n FROM activities WHERE day BETWEEN DATE '2026-11-19' AND DATE '2026-11-20' AND actionName = 'Upload'",
    "SELECT date_part('hour', to_timestamp_millis(timeStamp)) AS h, count(*) AS n FROM activities GROUP BY 1 ORDER BY 1",
    "SELECT date_trunc('hour', to_timestamp_millis(timeStamp)) AS h, count(*) AS n FROM activities GROUP BY 1 ORDER BY 1 LIMIT 10",
    "SELECT count(*) AS n FROM activities WHERE to_timestamp_millis(timeStamp) >= TIMESTAMP '2026-11-20 06:00:00'",
    "SELECT count(*) AS n FROM activities WHERE to_timestamp_millis(timeStamp) < TIMESTAMP '2026-11-19 00:00:00' + INTERVAL '90 minutes'",
    "SELECT max(timeStamp) - min(timeStamp) AS span FROM activities",
    "SELECT count(*) AS n FROM activities a JOIN activities b ON a.asn = b.asn AND a.activityId < b.activityId",
    "SELECT a.userKey, count(*) AS n FROM activities a LEFT JOIN (SELECT DISTINCT asn FROM activities WHERE country = 'DE') g ON a.asn = g.asn WHERE g.asn IS NULL GROUP BY 1 ORDER BY 1",
    "SELECT a.actionName, b.n FROM (SELECT DISTINCT actionName FROM activities) a FULL JOIN (SELECT actionName, count(*) AS n FROM activities WHERE asn < 50 GROUP BY 1) b ON a.actionName = b.actionName ORDER BY 1",
    "SELECT count(*) AS n FROM (SELECT DISTINCT userKey FROM activities) u CROSS JOIN (SELECT DISTINCT serviceName FROM activities) s",
    "SELECT userKey FROM activities WHERE country = 'IN' INTERSECT SELECT userKey FROM activities WHERE country = 'BR' ORDER BY 1",
    "SELECT userKey FROM activities EXCEPT SELECT userKey FROM activities WHERE actionName = 'Share' AND asn < 3 ORDER BY 1",
    "SELECT actionName FROM activities WHERE asn < 5 UNION SELECT serviceName FROM activities WHERE asn < 5 ORDER BY 1",
    "SELECT count(*) AS n FROM (SELECT asn FROM activities UNION ALL SELECT asn FROM activities) u",
    "SELECT activityId, row_number() OVER (PARTITION BY userKey ORDER BY timeStamp) AS r FROM activities ORDER BY activityId LIMIT 30",
    "SELECT activityId, lag(actionName) OVER (PARTITION BY userKey ORDER BY timeStamp) AS before, lead(asn, 2) OVER (PARTITION BY userKey ORDER BY timeStamp) AS after FROM activities ORDER BY activityId LIMIT 30",
    "SELECT activityId, sum(downloadBytes) OVER (PARTITION BY userKey ORDER BY timeStamp) AS s FROM activities ORDER BY activityId LIMIT 30",
    "SELECT activityId, avg(downloadBytes) OVER (ORDER BY timeStamp ROWS BETWEEN 3 PRECEDING AND 1 FOLLOWING) AS a FROM activities ORDER BY activityId LIMIT 30",
    "SELECT activityId, rank() OVER (ORDER BY country NULLS LAST) AS r, dense_rank() OVER (ORDER BY country NULLS LAST) AS d FROM activities ORDER BY activityId LIMIT 30",
    "SELECT activityId, first_value(actionName) OVER (PARTITION BY userKey ORDER BY timeStamp) AS f, max(fileName) OVER (PARTITION BY serviceName) AS m FROM activities ORDER BY activityId LIMIT 30",
    "SELECT activityId, ntile(4) OVER (ORDER BY activityId) AS q, percent_rank() OVER (ORDER BY activityId) AS p FROM activities ORDER BY activityId LIMIT 30",
    "SELECT count(*) FILTER (WHERE actionName = 'Login') AS l, sum(downloadBytes) FILTER (WHERE country = 'DE') AS s FROM activities",
    "SELECT country, actionName, count(*) AS n FROM activities WHERE country IS NOT NULL GROUP BY ROLLUP (country, actionName) ORDER BY 1 NULLS FIRST, 2 NULLS FIRST",
    "SELECT actionName, deviceManaged, count(*) AS n FROM activities GROUP BY GROUPING SETS ((actionName), (deviceManaged), ()) ORDER BY 1 NULLS FIRST, 2 NULLS FIRST, 3",
    "SELECT median(downloadBytes)::double AS m, stddev(downloadBytes) AS s, var_pop(noOfObjects) AS v FROM activities",
    "SELECT corr(asn, downloadBytes) AS c, covar_pop(asn, downloadBytes) AS v FROM activities",
    "SELECT bool_and(deviceManaged) AS a, bool_or(deviceManaged) AS o FROM activities",
    "SELECT string_agg(activityId, ',' ORDER BY activityId) AS s FROM activities WHERE asn < 4",
    "SELECT array_agg(actionName ORDER BY activityId) AS l FROM activities WHERE asn < 4",
    "SELECT unnest([1, 2, 3]) AS u ORDER BY 1",
    "SELECT activityId FROM activities WHERE downloadBytes = (SELECT max(downloadBytes) FROM activities) ORDER BY 1",
    "SELECT userKey, count(*) AS n FROM activities a WHERE EXISTS (SELECT 1 FROM activities b WHERE b.userKey = a.userKey AND b.asn = 0) GROUP BY 1 ORDER BY 1",
    "SELECT userKey, asn FROM activities a WHERE asn = (SELECT max(asn) FROM activities b WHERE b.userKey = a.userKey) ORDER BY 1, activityId",
    "WITH per AS (SELECT userKey, actionName, count(*) AS n FROM activities GROUP BY 1, 2) SELECT userKey, actionName, n FROM per WHERE n > 45 ORDER BY 1, 2",
    "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n * 2 FROM t WHERE n < 1000) SELECT n FROM t ORDER BY n",
    "SELECT count(*) AS n FROM activities WHERE regexp_like(fileName, '^file 1.*[05]\\.docx$')",
    "SELECT md5('x') AS m, NULL IS NULL AS n, TRUE AND NULL AS a, NULL = NULL AS e",
    "SELECT greatest(1, 5, 3) AS g, least('b', 'a') AS l, ascii('a') AS a, chr(65) AS c",
    "SELECT asn FROM activities WHERE asn IS NOT NULL GROUP BY asn ORDER BY count(*) DESC, asn LIMIT 10",
    "SELECT sourceIP, count(*) AS n FROM activities WHERE sourceIP > '10.1' GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 10",
];

#[tokio::test(flavor = "multi_thread")]
async fn gives_the_same_rows() {
    assert!(QUERIES.len() >= 60, "{}", QUERIES.len());
    let python = std::env::var(PYTHON).unwrap_or_else(|_| "python3".to_owned());
    let probe = Command::new(&python).arg("-c").arg("import duckdb").output().await;
    if !probe.is_ok_and(|probe| probe.status.success()) {
        // Past the capture of a test that passes.
        writeln!(std::io::stderr(), "skipped: {python} has no module duckdb; name another Python in {PYTHON}").unwrap();
        return;
    }
    let server = TestServer::start().await;
    let tenant = server.tenant(5618).await;
    store(&tenant, 2_000).await;
    let mut answers = Vec::new();
    for query in QUERIES {
        answers.push(json!({ "sql": query, "rows": rows(&tenant.api, query).await }));
    }
    let files: Vec<Value> = server.stored_files().iter().map(|path| json!(path)).collect();
    let dir = tempfile::tempdir().unwrap();
    let given = dir.path().join("given.json");
    std::fs::write(&given, json!({ "files": files, "answers": answers }).to_string()).unwrap();
    let output = Command::new(&python).arg(SCRIPT).arg(&given).output().await.unwrap();
    let (told, failed) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{told}{failed}");
    print!("{told}");
}
