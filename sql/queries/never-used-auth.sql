-- SPDX-License-Identifier: ISC
-- Who relayed by a login in the last 30 days and never used SMTP AUTH? The
-- users to migrate before POP-before-SMTP can go.
-- (Of the newest million decisions: ids grow with time, and are the index.)
-- sqlite3 -readonly -box /var/lib/popgate/audit.db < never-used-auth.sql
SELECT login_user AS user, sum(count) AS recipients,
       count(DISTINCT client) AS clients,
       datetime(max(at) / 1000, 'unixepoch', 'localtime') AS last
FROM decision
WHERE id > (SELECT max(id) FROM decision) - 1000000
  AND at >= (unixepoch() - 30 * 86400) * 1000 AND reason = 'recent-login'
  AND verdict = 'accept' AND login_user IS NOT NULL
  AND instr(login_user, ',') = 0  -- several users of a client
  AND login_user NOT IN (SELECT auth_user FROM decision
                         WHERE id > (SELECT max(id) FROM decision) - 1000000
                           AND auth_user IS NOT NULL)
GROUP BY login_user
ORDER BY recipients DESC;
