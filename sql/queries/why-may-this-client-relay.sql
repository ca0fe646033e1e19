-- SPDX-License-Identifier: ISC
-- Why may this client relay: who logged in from there, by which log line?
-- sqlite3 -readonly -box /var/lib/popgate/logins.db \
--     '.parameter set :client "''192.0.2.7''"' \
--     '.read why-may-this-client-relay.sql'
-- (:client is the canonical address: IPv6 in lower case and compressed)
SELECT user, service, server, count AS logins,
       datetime(last_at, 'unixepoch', 'localtime') AS last_login,
       datetime(expires_at, 'unixepoch', 'localtime') AS until
FROM login
WHERE client = :client
ORDER BY last_at DESC;

SELECT datetime(at, 'unixepoch', 'localtime') AS at, user, source, position,
       line
FROM login_event
WHERE client = :client
ORDER BY id DESC
LIMIT 5;
