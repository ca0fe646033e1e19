-- SPDX-License-Identifier: ISC
-- What did this client send, and what was it refused?
-- sqlite3 -readonly -box /var/lib/popgate/audit.db \
--     '.parameter set :client "''192.0.2.7''"' '.read decisions-of-this-client.sql'
SELECT datetime(at / 1000, 'unixepoch', 'localtime') AS at, count, verdict,
       reason,
       sender, recipient, coalesce(auth_user, login_user) AS user, queue_id,
       reply
FROM decision
WHERE client = :client
ORDER BY id DESC
LIMIT 50;
