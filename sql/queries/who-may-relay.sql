-- SPDX-License-Identifier: ISC
-- Who may relay now? A page of a hundred; for the next one set :after to the
-- last client shown. (The view relay_client says the same of all at once; on
-- a table of millions that reads them all.)
-- sqlite3 -readonly -box /var/lib/popgate/logins.db \
--     '.parameter set :after "''''"' '.read who-may-relay.sql'
SELECT client, user, service, server,
       datetime(last_at, 'unixepoch', 'localtime') AS last_login,
       (expires_at - unixepoch()) / 60 AS minutes_left
FROM login
WHERE client > :after AND expires_at > unixepoch()
ORDER BY client, user
LIMIT 100;
