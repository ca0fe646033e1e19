-- SPDX-License-Identifier: ISC
-- Who was refused in the last 24 hours, how often, and why?
-- (Of the newest million decisions: ids grow with time, and are the index; without
-- the + another one would be read from end to end.)
-- sqlite3 -readonly -box /var/lib/popgate/audit.db < refused-today.sql
SELECT client, reason, sum(count) AS recipients,
       datetime(max(coalesce(last_at, at)) / 1000, 'unixepoch', 'localtime') AS last
FROM decision
WHERE id > (SELECT max(id) FROM decision) - 1000000
  AND at >= (unixepoch() - 86400) * 1000 AND verdict IN ('reject', 'tempfail')
GROUP BY +client, reason
ORDER BY recipients DESC
LIMIT 50;
