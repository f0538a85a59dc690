-- # How much does each account move in a day, and on which days is it out of the ordinary?
--
-- Bytes per account and day, with how many standard deviations the day lies above the account's own mean. Days are those
-- of UTC; the column `day` is also what files are kept by.
WITH daily AS (
    SELECT
        userKey,
        day,
        sum(downloadBytes) AS downloaded,
        sum(uploadBytes) AS uploaded,
        count(*) FILTER (WHERE downloadBytes > 0) AS downloads
    FROM activities
    GROUP BY userKey, day
), own AS (
    SELECT
        *,
        avg(downloads) OVER (PARTITION BY userKey) AS mean,
        stddev(downloads) OVER (PARTITION BY userKey) AS deviation
    FROM daily
)
SELECT userKey, day, downloads, downloaded, uploaded, round((downloads - mean) / deviation, 1) AS deviations
FROM own
WHERE deviation > 0
ORDER BY downloads DESC, userKey, day
LIMIT 50
