-- SPDX-License-Identifier: ISC
-- Which client used many sender addresses in the last 2 hours? That is what a
-- hijacked machine or account looks like.
-- (Of the newest million decisions: ids grow with time, and are the index; without
-- the + another one would be read from end to end.)
-- sqlite3 -readonly -box /var/lib/popgate/audit.db < many-senders.sql
SELECT client, count(DISTINCT sender) AS senders, sum(count) AS recipients,
       group_concat(DISTINCT coalesce(auth_user, login_user)) AS users,
       datetime(max(coalesce(last_at, at)) / 1000, 'unixepoch', 'localtime') AS last
FROM decision
WHERE id > (SELECT max(id) FROM decision) - 1000000
  AND at >= (unixepoch() - 7200) * 1000 AND class = 'relay'
GROUP BY +client
HAVING count(DISTINCT sender) >= 10
ORDER BY senders DESC
LIMIT 50;
