-- # How many people use each service, by day?
--
-- `count_users` merges the sketches of `userCount`: about 1 % off for many users, and right for rows that
-- were rolled up over several of them, where counting names would not be.
SELECT serviceName, day, count_users(userCount) AS users, sum(count) AS activities
FROM activities
GROUP BY serviceName, day
ORDER BY serviceName, day
