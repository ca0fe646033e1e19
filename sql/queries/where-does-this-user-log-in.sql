-- SPDX-License-Identifier: ISC
-- From which addresses does this user log in?
-- sqlite3 -readonly -box /var/lib/popgate/logins.db \
--     '.parameter set :user "''alice''"' '.read where-does-this-user-log-in.sql'
-- The second condition lets the index of users be used.
SELECT client, service, server, count AS logins,
       datetime(last_at, 'unixepoch', 'localtime') AS last_login,
       expires_at > unixepoch() AS may_relay
FROM login
WHERE user = :user AND user <> ''
ORDER BY last_at DESC
LIMIT 100;
