-- SPDX-License-Identifier: ISC
-- Who went over a limit (popgate.conf(5), limits), and who was let in again
-- since? denied_until: kept out until then, for limits.deny_for.
-- sqlite3 -readonly -box /var/lib/popgate/audit.db < over-a-limit.sql
SELECT datetime(b.at / 1000, 'unixepoch', 'localtime') AS at, b.kind,
       b.subject, b.setting, b.allowed, b.client, b.user, b.sender,
       datetime(b.denied_until, 'unixepoch', 'localtime') AS denied_until,
       (SELECT datetime(max(l.at) / 1000, 'unixepoch', 'localtime')
        FROM lift AS l WHERE l.subject = b.subject AND l.kind = b.kind
        AND l.at >= b.at) AS let_in_again
FROM breach AS b
ORDER BY b.at DESC
LIMIT 100;
