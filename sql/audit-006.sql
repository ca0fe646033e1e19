-- SPDX-License-Identifier: ISC
-- audit.db, version 6: a recipient is one row of decision, and a message is one
-- message, however many channels saw it.

DROP VIEW relay_by_client;
DROP VIEW relay_by_user;
DROP VIEW relay_by_hour;
DROP VIEW sender_by_client;

-- What each channel decided. In the closed wiring a relayed recipient passes the
-- permit channel and the milter: the row of the permit channel then has count 0,
-- as the milter's row stands for the recipient.
ALTER TABLE decision RENAME TO channel_decision;

-- Rows of earlier versions of which two may still be of one recipient, by id.
-- popgate-milter pairs them while it runs; then this table is empty.
CREATE TABLE unpaired (
	first INTEGER NOT NULL,
	last  INTEGER NOT NULL
) STRICT;
INSERT INTO unpaired
	SELECT min(id), max(id) FROM channel_decision HAVING max(id) IS NOT NULL;

-- A row for each recipient decided (or for the repeats of a refusal).
CREATE VIEW decision AS
	SELECT id, at, session, queue_id, client, client_name, helo,
	       -- a map that is asked for the client is told neither
	       iif(recipient = '', NULL, sender) AS sender,
	       nullif(recipient, '') AS recipient,
	       class,
	       -- accepted at RCPT, and given up by the client before DATA
	       iif(verdict = 'accept' AND reply = 'aborted', 'aborted', verdict)
	           AS verdict,
	       reason, auth_user, login_user, login_at, rule, reply, channel,
	       mta, certificate, count, last_at,
	       -- count(DISTINCT message); NULL: the channel isn't told messages
	       CASE WHEN channel = 'socketmap' THEN NULL
	            WHEN channel = 'policy' OR instr(session, '.') THEN session
	            ELSE session || '/' || coalesce(queue_id, '') END AS message
	FROM channel_decision WHERE count > 0;

-- Aborted recipients are neither accepted nor refused here.
CREATE VIEW relay_by_client AS
	SELECT client,
	       sum(count) AS recipients,
	       count(DISTINCT sender) AS senders,
	       sum((verdict = 'accept') * count) AS accepted,
	       sum((verdict IN ('reject', 'tempfail')) * count) AS refused,
	       min(at) / 1000 AS first_at,
	       max(coalesce(last_at, at)) / 1000 AS last_at,
	       sum((verdict IN ('would-reject', 'would-tempfail')) * count)
	           AS would_refuse,
	       count(DISTINCT message) AS messages,
	       sum((verdict = 'aborted') * count) AS aborted
	FROM decision WHERE class = 'relay' GROUP BY client;

CREATE VIEW relay_by_user AS
	SELECT coalesce(auth_user, login_user) AS user,
	       sum(count) AS recipients,
	       count(DISTINCT sender) AS senders,
	       count(DISTINCT client) AS clients,
	       min(at) / 1000 AS first_at, max(at) / 1000 AS last_at,
	       count(DISTINCT message) AS messages
	FROM decision
	WHERE class = 'relay' AND verdict = 'accept'
	  AND coalesce(auth_user, login_user) IS NOT NULL
	GROUP BY coalesce(auth_user, login_user);

CREATE VIEW relay_by_hour AS
	SELECT at / 3600000 * 3600 AS hour, verdict, reason,
	       sum(count) AS recipients
	FROM decision WHERE class = 'relay' GROUP BY 1, 2, 3;

-- One client with many sender addresses is what a hijack looks like.
CREATE VIEW sender_by_client AS
	SELECT client, sender, sum(count) AS recipients,
	       min(at) / 1000 AS first_at,
	       max(coalesce(last_at, at)) / 1000 AS last_at
	FROM decision WHERE class = 'relay' AND sender IS NOT NULL
	GROUP BY client, sender;
