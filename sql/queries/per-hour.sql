-- SPDX-License-Identifier: ISC
-- How many relays were accepted, given up by the client, refused and put off per
-- hour today, and how many recipients of our own were counted beside?
-- (Of the newest million decisions: ids grow with time, and are the index.)
-- sqlite3 -readonly -box /var/lib/popgate/audit.db < per-hour.sql
SELECT strftime('%Y-%m-%d %H:00', at / 1000, 'unixepoch', 'localtime') AS hour,
       sum((verdict = 'accept') * count) AS accepted,
       sum((verdict = 'aborted') * count) AS aborted,
       sum((verdict = 'reject') * count) AS refused,
       sum((verdict = 'tempfail') * count) AS put_off,
       sum((verdict IN ('would-reject', 'would-tempfail')) * count) AS monitored
FROM decision
WHERE id > (SELECT max(id) FROM decision) - 1000000
  AND at >= (unixepoch() - 86400) * 1000 AND class = 'relay'
GROUP BY 1
ORDER BY 1;

SELECT datetime(hour, 'unixepoch', 'localtime') AS hour, channel, reason,
       recipients
FROM tally
WHERE hour >= unixepoch() - 86400
ORDER BY hour;
