-- # Impossible travel: who was in two countries within two hours?
--
-- Each activity beside the one before it of the same account. Addresses without a country are left out.
WITH steps AS (
    SELECT
        userKey,
        timeStamp,
        time,
        country,
        city,
        sourceIP,
        lag(timeStamp) OVER per_user AS previousTime,
        lag(country) OVER per_user AS previousCountry,
        lag(city) OVER per_user AS previousCity
    FROM activities
    WHERE country IS NOT NULL
    WINDOW per_user AS (PARTITION BY userKey ORDER BY timeStamp, activityId)
)
SELECT
    userKey,
    previousCity || ', ' || previousCountry AS fromPlace,
    city || ', ' || country AS toPlace,
    time AS arrived,
    (timeStamp - previousTime) / 60000 AS minutes,
    sourceIP
FROM steps
WHERE country <> previousCountry AND timeStamp - previousTime < 2 * 3600000
ORDER BY arrived
