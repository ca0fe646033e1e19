-- SPDX-License-Identifier: ISC
-- audit.db, version 4: strangers can't fill the disk. Of a client that is
-- refused again and again for the same reason the first rows of a minute are
-- whole; one more counts the rest. So count recipients by sum(count), never by
-- count(*).

-- How many recipients this row stands for; its texts are the first one's.
ALTER TABLE decision ADD COLUMN count INTEGER NOT NULL DEFAULT 1;
-- Unix milliseconds of the last one; NULL: there is one only.
ALTER TABLE decision ADD COLUMN last_at INTEGER;

DROP VIEW relay_by_client;
CREATE VIEW relay_by_client AS
	SELECT client,
	       sum(count) AS recipients,
	       count(DISTINCT sender) AS senders,
	       sum((verdict = 'accept') * count) AS accepted,
	       sum((verdict IN ('reject', 'tempfail')) * count) AS refused,
	       min(at) / 1000 AS first_at,
	       max(coalesce(last_at, at)) / 1000 AS last_at,
	       sum((verdict IN ('would-reject', 'would-tempfail')) * count)
	           AS would_refuse
	FROM decision WHERE class = 'relay' GROUP BY client;

DROP VIEW relay_by_hour;
CREATE VIEW relay_by_hour AS
	SELECT at / 3600000 * 3600 AS hour, verdict, reason,
	       sum(count) AS recipients
	FROM decision WHERE class = 'relay' GROUP BY 1, 2, 3;

DROP VIEW sender_by_client;
CREATE VIEW sender_by_client AS
	SELECT client, sender, sum(count) AS recipients,
	       min(at) / 1000 AS first_at,
	       max(coalesce(last_at, at)) / 1000 AS last_at
	FROM decision WHERE class = 'relay' GROUP BY client, sender;
