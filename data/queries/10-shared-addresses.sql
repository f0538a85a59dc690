-- # Which accounts share an address?
--
-- Addresses that at least three accounts came from. A company's own office stands here rightly; an address that is not
-- trusted should not.
SELECT
    sourceIP,
    count(DISTINCT userKey) AS users,
    count(*) AS activities,
    bool_and(isSourceTrusted) AS trusted,
    min(asnName) AS asnName,
    min(time) AS firstSeen,
    max(time) AS lastSeen
FROM activities
WHERE sourceIP IS NOT NULL AND NOT ip_in(sourceIP, '10.0.0.0/8')
GROUP BY sourceIP
HAVING count(DISTINCT userKey) >= 3
ORDER BY users DESC, sourceIP
