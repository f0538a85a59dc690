-- # What did the account do around an anomaly?
--
-- The hour before an anomaly's window, the window, and the hour after it, by action.
SELECT
    CASE WHEN a.time < n.windowFrom THEN 'before' WHEN a.time < n.windowTo THEN 'within' ELSE 'after' END AS phase,
    a.serviceName,
    a.actionName,
    count(*) AS activities,
    min(a.time) AS first,
    max(a.time) AS last,
    sum(a.downloadBytes) AS downloaded
FROM anomalies n
JOIN activities a ON a.userKey = n.userKey
WHERE n.anomalyId = $anomaly
    AND a.time >= n.windowFrom - INTERVAL '1 hour'
    AND a.time < n.windowTo + INTERVAL '1 hour'
GROUP BY 1, 2, 3
ORDER BY first
