-- The query suite: what people ask a lake of activities, in the lake's own dialect.
--
-- `-- name:` begins a query, with its question below. `-- duckdb:` begins what DuckDB is asked in its place where the
-- dialects differ; DuckDB is given `activities` over the same files and `anomalies` with the same rows. `$user`, `$address`,
-- `$from`, `$to` (an hour of that user) and `$since` (three days before the end, as ms) are parameters. Rows are put into an order
-- in which equal ones are equal in every column, so that answers can be compared.

-- name: user
-- What did this user do last?
SELECT timeStamp, activityId, actionName, serviceName, sourceIP, country, fileName, downloadBytes
FROM activities
WHERE userKey = $user
ORDER BY timeStamp DESC, activityId
LIMIT 1000

-- name: address
-- Who came from this address?
SELECT timeStamp, activityId, userKey, actionName, serviceName
FROM activities
WHERE sourceIP = $address
ORDER BY timeStamp, activityId
LIMIT 1000

-- name: user-and-hour
-- What did this user do in this hour, with every column that an analyst looks at?
SELECT
    timeStamp, activityId, actionName, serviceName, sourceIP, city, country, asnName, clientName, clientOS,
    deviceManaged, fileFolderPath, fileName, fileSize, downloadBytes, uploadBytes, targetId, url
FROM activities
WHERE userKey = $user AND timeStamp >= $from AND timeStamp < $to
ORDER BY timeStamp, activityId

-- name: newest
-- What happened last in the whole tenant?
SELECT timeStamp, activityId, userKey, actionName, serviceName, sourceIP, fileName
FROM activities
ORDER BY timeStamp DESC, activityId
LIMIT 1000

-- name: top-by-bytes
-- Who moved the most?
SELECT userKey, count(*) AS activities, sum(downloadBytes) AS downloaded, sum(uploadBytes) AS uploaded
FROM activities
GROUP BY userKey
ORDER BY downloaded DESC, userKey
LIMIT 20

-- name: distinct-addresses
-- From how many addresses of a country was something fetched?
SELECT count(DISTINCT sourceIP) AS addresses, count(DISTINCT userKey) AS users, min(timeStamp) AS first
FROM activities
WHERE country = 'DE' AND (actionName LIKE '%Download%' OR actionName LIKE '%DOWNLOAD%')

-- name: hourly-by-service
-- How busy was each service, hour by hour?
SELECT timeStamp - timeStamp % 3600000 AS hour, serviceName, count(*) AS activities, sum(uploadBytes) AS uploaded
FROM activities
GROUP BY timeStamp - timeStamp % 3600000, serviceName
ORDER BY hour, serviceName

-- name: first-country
-- From which country did each user come first?
SELECT userKey, first_value(country ORDER BY timeStamp) AS firstCountry, min(timeStamp) AS first, count(DISTINCT country) AS countries
FROM activities
WHERE country IS NOT NULL
GROUP BY userKey
ORDER BY countries DESC, userKey
LIMIT 1000
-- duckdb: an aggregate of its own gives the value that stands at the least of another
SELECT userKey, arg_min(country, timeStamp) AS firstCountry, min(timeStamp) AS first, count(DISTINCT country) AS countries
FROM activities
WHERE country IS NOT NULL
GROUP BY userKey
ORDER BY countries DESC, userKey
LIMIT 1000

-- name: failures-before-success
-- Who had two failures or more among the ten activities before something succeeded, in the last three days?
WITH steps AS (
    SELECT
        userKey,
        timeStamp,
        actionName LIKE '%ailed' OR actionName LIKE '%_FAILED' AS failed,
        sum(CASE WHEN actionName LIKE '%ailed' OR actionName LIKE '%_FAILED' THEN 1 ELSE 0 END) OVER (
            PARTITION BY userKey ORDER BY timeStamp, activityId ROWS BETWEEN 10 PRECEDING AND 1 PRECEDING
        ) AS failures
    FROM activities
    WHERE timeStamp >= $since AND userKey NOT LIKE 'svc-%'
)
SELECT userKey, count(*) AS times, max(failures) AS failures
FROM steps
WHERE NOT failed AND failures >= 2
GROUP BY userKey
ORDER BY times DESC, userKey
LIMIT 100

-- name: anomalies
-- What happened within each anomaly's window?
SELECT n.anomalyId, count(*) AS activities, min(a.timeStamp) AS first, max(a.timeStamp) AS last, sum(a.downloadBytes) AS downloaded
FROM anomalies n
JOIN activities a ON a.userKey = n.userKey AND a.time >= n.windowFrom AND a.time < n.windowTo
GROUP BY n.anomalyId
ORDER BY n.anomalyId
-- duckdb: its files have no column `time`
SELECT n.anomalyId, count(*) AS activities, min(a.timeStamp) AS first, max(a.timeStamp) AS last, sum(a.downloadBytes) AS downloaded
FROM anomalies n
JOIN activities a ON a.userKey = n.userKey AND a.timeStamp >= epoch_ms(n.windowFrom) AND a.timeStamp < epoch_ms(n.windowTo)
GROUP BY n.anomalyId
ORDER BY n.anomalyId

-- name: file-sizes
-- How large are the files of each service, at the 50th, 95th and 99th percentile?
SELECT
    serviceName,
    count(fileSize) AS files,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY CAST(fileSize AS DOUBLE)) AS p50,
    percentile_cont(0.95) WITHIN GROUP (ORDER BY CAST(fileSize AS DOUBLE)) AS p95,
    percentile_cont(0.99) WITHIN GROUP (ORDER BY CAST(fileSize AS DOUBLE)) AS p99
FROM activities
WHERE fileSize IS NOT NULL
GROUP BY serviceName
ORDER BY serviceName

-- name: two-networks
-- Who came from two networks or more in the last three days?
SELECT userKey, count(DISTINCT asn) AS networks, count(DISTINCT sourceIP) AS addresses
FROM activities
WHERE timeStamp >= $since
GROUP BY userKey
HAVING count(DISTINCT asn) >= 2
ORDER BY networks DESC, addresses DESC, userKey
LIMIT 100
