-- SPDX-License-Identifier: ISC
-- Who is denied, since when, until when, and why?
-- sqlite3 -readonly -box /var/lib/popgate/logins.db < denied.sql
SELECT subject, kind,
       datetime(created_at, 'unixepoch', 'localtime') AS since,
       CASE WHEN expires_at >= 253402300799 THEN 'undeny'
            ELSE datetime(expires_at, 'unixepoch', 'localtime') END AS until,
       reason
FROM deny
WHERE expires_at > unixepoch()
ORDER BY kind, subject;
