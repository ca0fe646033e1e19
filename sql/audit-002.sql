-- SPDX-License-Identifier: ISC
-- audit.db, version 2: monitor mode, and certificates.
-- decision.verdict may be 'would-reject' and 'would-tempfail' from now on:
-- popgate refused nothing, the MTA decided.

-- What proved the session by TLS: subject or digest; else NULL.
ALTER TABLE decision ADD COLUMN certificate TEXT;

DROP VIEW relay_by_client;
CREATE VIEW relay_by_client AS
	SELECT client,
	       count(*) AS recipients,
	       count(DISTINCT sender) AS senders,
	       sum(verdict = 'accept') AS accepted,
	       sum(verdict IN ('reject', 'tempfail')) AS refused,
	       min(at) / 1000 AS first_at, max(at) / 1000 AS last_at,
	       sum(verdict IN ('would-reject', 'would-tempfail'))
	           AS would_refuse
	FROM decision WHERE class = 'relay' GROUP BY client;
