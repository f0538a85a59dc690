-- # Which networks and addresses does only one account come from, and only lately?
--
-- Homes and phones differ from account to account, but their providers do not: a provider that a single account uses
-- is rare. Networks seen before `$since` are left out.
SELECT
    asnName,
    min(asn) AS asn,
    min(userKey) AS userKey,
    min(sourceIP) AS sourceIP,
    min(proxyType) AS proxyType,
    min(time) AS firstSeen,
    count(*) AS activities
FROM activities
WHERE asnName IS NOT NULL
GROUP BY asnName
HAVING count(DISTINCT userKey) = 1 AND min(time) >= CAST($since AS TIMESTAMP)
ORDER BY activities DESC
