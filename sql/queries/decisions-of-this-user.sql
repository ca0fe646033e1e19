-- SPDX-License-Identifier: ISC
-- What was relayed for this user, by SMTP AUTH or by a login?
-- sqlite3 -readonly -box /var/lib/popgate/audit.db \
--     '.parameter set :user "''alice''"' '.read decisions-of-this-user.sql'
-- The expression is the one that is indexed.
SELECT id, datetime(at / 1000, 'unixepoch', 'localtime') AS at,
       CASE WHEN auth_user IS NULL THEN 'login' ELSE 'AUTH' END AS by,
       client, sender, recipient, verdict, reason
FROM decision
WHERE coalesce(auth_user, login_user) = :user
ORDER BY id DESC
LIMIT 50;
