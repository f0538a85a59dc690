-- # Whose password was guessed? A burst of failed sign-ins and then a success
--
-- Five failures or more within ten minutes, and a sign-in from the same address within the ten minutes after. The
-- names of the actions are those of the services at hand: add yours.
WITH failures AS (
    SELECT
        userKey,
        sourceIP,
        date_bin(INTERVAL '10 minutes', time) AS slot,
        count(*) AS failures,
        max(time) AS lastFailure
    FROM activities
    WHERE actionName IN ('LOGIN_FAILED', 'UserLoginFailed', 'UserLoggedInFailed')
    GROUP BY userKey, sourceIP, date_bin(INTERVAL '10 minutes', time)
    HAVING count(*) >= 5
)
SELECT f.userKey, f.sourceIP, f.failures, f.lastFailure, min(a.time) AS signedIn, min(a.country) AS country
FROM failures f
JOIN activities a ON a.userKey = f.userKey AND a.sourceIP = f.sourceIP
WHERE a.actionName IN ('UserLoggedIn', 'Login', 'user.login', 'user_login')
    AND a.time > f.lastFailure
    AND a.time <= f.lastFailure + INTERVAL '10 minutes'
GROUP BY f.userKey, f.sourceIP, f.failures, f.lastFailure
ORDER BY f.lastFailure
