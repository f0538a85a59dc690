-- # Which services has an account never used before?
--
-- First uses since `$since` by accounts that were there before it.
SELECT
    userKey,
    serviceName,
    min(time) AS firstUsed,
    count(*) AS activities
FROM activities
WHERE userKey IN (SELECT userKey FROM activities WHERE time < CAST($since AS TIMESTAMP))
GROUP BY userKey, serviceName
HAVING min(time) >= CAST($since AS TIMESTAMP)
ORDER BY firstUsed, userKey
