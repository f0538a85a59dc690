-- # Who downloaded what before leaving?
--
-- For each account the downloads of its last 24 hours, beside what it downloaded on an average day before. An
-- account that took far more than ever and was not seen again stands at the top.
WITH ends AS (
    SELECT userKey, max(timeStamp) AS lastSeen, min(timeStamp) AS firstSeen FROM activities GROUP BY userKey
), downloads AS (
    SELECT
        a.userKey,
        e.lastSeen,
        (e.lastSeen - e.firstSeen) / 86400000.0 AS days,
        a.timeStamp > e.lastSeen - 86400000 AS onLastDay,
        a.fileName,
        a.downloadBytes
    FROM activities a JOIN ends e ON a.userKey = e.userKey
    WHERE a.downloadBytes > 0
)
SELECT
    userKey,
    to_timestamp_millis(max(lastSeen)) AS lastSeen,
    count(*) FILTER (WHERE onLastDay) AS downloadsOnLastDay,
    count(DISTINCT fileName) FILTER (WHERE onLastDay) AS filesOnLastDay,
    sum(downloadBytes) FILTER (WHERE onLastDay) AS bytesOnLastDay,
    round(count(*) FILTER (WHERE NOT onLastDay) / greatest(max(days), 1), 1) AS downloadsADayBefore
FROM downloads
GROUP BY userKey
HAVING count(*) FILTER (WHERE onLastDay) > 0
ORDER BY downloadsOnLastDay DESC, userKey
LIMIT 20
