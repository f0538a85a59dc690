-- # Who works at hours at which they never worked before?
--
-- An account's hours are those of the day (UTC) that hold at least one in fifty of its activities before `$since`.
-- What it did since then at other hours is counted.
WITH hours AS (
    SELECT
        userKey,
        date_part('hour', time) AS hour,
        count(*) FILTER (WHERE time < CAST($since AS TIMESTAMP)) AS before,
        count(*) FILTER (WHERE time >= CAST($since AS TIMESTAMP)) AS since
    FROM activities
    GROUP BY userKey, date_part('hour', time)
), shares AS (
    SELECT *, sum(before) OVER (PARTITION BY userKey) AS allBefore, sum(since) OVER (PARTITION BY userKey) AS allSince
    FROM hours
)
SELECT
    userKey,
    sum(since) AS atUnusualHours,
    max(allSince) AS activitiesSince,
    round(100.0 * sum(since) / max(allSince), 1) AS percent
FROM shares
WHERE before * 50 < allBefore AND allBefore >= 100 AND since > 0
GROUP BY userKey
ORDER BY atUnusualHours DESC, userKey
LIMIT 20
