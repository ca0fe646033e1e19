-- SPDX-License-Identifier: ISC
-- Why was each recipient of this message accepted or refused?
-- sqlite3 -readonly -box /var/lib/popgate/audit.db \
--     '.parameter set :queue_id "''4XyZ1abcde''"' '.read this-message.sql'
SELECT recipient, count, verdict, reason, rule, client, helo, sender,
       coalesce(auth_user, login_user) AS user,
       datetime(login_at, 'unixepoch', 'localtime') AS by_login_of, reply
FROM decision
WHERE queue_id = :queue_id;
