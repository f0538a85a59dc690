-- # What did a stranger do with an account, step by step?
--
-- Everything from one address, with the time since the step before: rules that hide mail, searches, then reading.
SELECT
    time,
    user,
    serviceName,
    actionName,
    round((timeStamp - lag(timeStamp) OVER (ORDER BY timeStamp, activityId)) / 1000.0, 1) AS secondsSince,
    targetType,
    targetId,
    url
FROM activities
WHERE sourceIP = $address
ORDER BY timeStamp, activityId
