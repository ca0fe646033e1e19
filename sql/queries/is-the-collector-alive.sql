-- SPDX-License-Identifier: ISC
-- How far is each log read? (Policy row 12 refuses with 450 when the oldest
-- read_at is longer ago than relay.collector_grace.)
-- sqlite3 -readonly -box /var/lib/popgate/logins.db < is-the-collector-alive.sql
SELECT name, position, unixepoch() - read_at AS seconds_behind,
       datetime(line_at, 'unixepoch', 'localtime') AS newest_line
FROM source
ORDER BY read_at;
