-- SPDX-License-Identifier: ISC
-- Which users relayed most in the last 7 days?
-- (Of the newest million decisions: ids grow with time, and are the index; without
-- the + another one would be read from end to end.)
-- sqlite3 -readonly -box /var/lib/popgate/audit.db < top-users-this-week.sql
SELECT coalesce(auth_user, login_user) AS user, sum(count) AS recipients,
       count(DISTINCT client) AS clients,
       sum(auth_user IS NOT NULL) AS by_auth
FROM decision
WHERE id > (SELECT max(id) FROM decision) - 1000000
  AND at >= (unixepoch() - 7 * 86400) * 1000 AND verdict = 'accept'
  AND class = 'relay' AND coalesce(auth_user, login_user) IS NOT NULL
GROUP BY +coalesce(auth_user, login_user)
ORDER BY recipients DESC
LIMIT 20;
