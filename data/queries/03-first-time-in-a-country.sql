-- # Which accounts came from a country for the first time, and when?
--
-- The first country of an account is where it lives and is left out.
WITH firsts AS (
    SELECT userKey, country, min(time) AS firstSeen, count(*) AS activities
    FROM activities
    WHERE country IS NOT NULL
    GROUP BY userKey, country
), ranked AS (
    SELECT *, row_number() OVER (PARTITION BY userKey ORDER BY firstSeen) AS place FROM firsts
)
SELECT userKey, country, firstSeen, activities
FROM ranked
WHERE place > 1
ORDER BY firstSeen DESC
