-- SPDX-License-Identifier: ISC
-- audit.db, version 1: what was decided, for whom, and why.
-- Written by popgate-milter only; any number of readers (WAL).

-- A row for each recipient decided (local ones only with audit.record="all").
CREATE TABLE decision (
	id          INTEGER PRIMARY KEY,
	at          INTEGER NOT NULL,  -- Unix milliseconds
	session     TEXT NOT NULL,     -- one SMTP connection, or policy instance
	queue_id    TEXT,              -- the MTA's; NULL where it had none yet
	client      TEXT NOT NULL,     -- RFC 5952 text, or 'unknown'
	client_name TEXT NOT NULL,     -- as the MTA gave it
	helo        TEXT NOT NULL,
	sender      TEXT NOT NULL,     -- reverse-path without brackets
	recipient   TEXT NOT NULL,     -- as typed
	class       TEXT NOT NULL,     -- 'relay' or 'local'
	verdict     TEXT NOT NULL,     -- 'accept', 'reject', 'tempfail'
	reason      TEXT NOT NULL,     -- 'no-login', 'recent-login', ...
	auth_user   TEXT,              -- NULL without SMTP AUTH
	login_user  TEXT,              -- NULL: no login, or one of several users
	login_at    INTEGER,           -- Unix seconds of the newest login
	rule        INTEGER NOT NULL,  -- row of the policy table
	reply       TEXT,              -- reply given; NULL when none was refused
	channel     TEXT NOT NULL,     -- 'milter', 'policy', 'socketmap'
	mta         TEXT NOT NULL      -- 'Postfix 3.7.11', '8.17.1.9', ''
) STRICT;
-- Ids grow with time, so a sparse index finds where a time begins:
--   id >= (SELECT id FROM decision WHERE id % 64 = 0 AND at < T
--          ORDER BY at DESC LIMIT 1) AND at >= T
CREATE INDEX decision_by_at ON decision (at) WHERE id % 64 = 0;
CREATE INDEX decision_by_client ON decision (client);
CREATE INDEX decision_by_user ON decision (coalesce(auth_user, login_user))
	WHERE coalesce(auth_user, login_user) IS NOT NULL;
CREATE INDEX decision_by_queue_id ON decision (queue_id)
	WHERE queue_id IS NOT NULL;

-- Recipients that are counted, not stored: our own, by default.
CREATE TABLE tally (
	hour       INTEGER NOT NULL,   -- Unix seconds of the hour's begin
	channel    TEXT NOT NULL,
	reason     TEXT NOT NULL,
	recipients INTEGER NOT NULL,
	PRIMARY KEY (hour, channel, reason)
) STRICT, WITHOUT ROWID;

CREATE VIEW relay_by_client AS
	SELECT client,
	       count(*) AS recipients,
	       count(DISTINCT sender) AS senders,
	       sum(verdict = 'accept') AS accepted,
	       sum(verdict <> 'accept') AS refused,
	       min(at) / 1000 AS first_at, max(at) / 1000 AS last_at
	FROM decision WHERE class = 'relay' GROUP BY client;

CREATE VIEW relay_by_user AS
	SELECT coalesce(auth_user, login_user) AS user,
	       count(*) AS recipients,
	       count(DISTINCT sender) AS senders,
	       count(DISTINCT client) AS clients,
	       min(at) / 1000 AS first_at, max(at) / 1000 AS last_at
	FROM decision
	WHERE class = 'relay' AND verdict = 'accept'
	  AND coalesce(auth_user, login_user) IS NOT NULL
	GROUP BY coalesce(auth_user, login_user);

CREATE VIEW relay_by_hour AS
	SELECT at / 3600000 * 3600 AS hour, verdict, reason,
	       count(*) AS recipients
	FROM decision WHERE class = 'relay' GROUP BY 1, 2, 3;

-- One client with many sender addresses is what a hijack looks like.
CREATE VIEW sender_by_client AS
	SELECT client, sender, count(*) AS recipients,
	       min(at) / 1000 AS first_at, max(at) / 1000 AS last_at
	FROM decision WHERE class = 'relay' GROUP BY client, sender;
