-- SPDX-License-Identifier: ISC
-- audit.db.outbox, version 1: what popgate-milter has for other machines of one
-- gate (docs/FLEET.md). popgate-collector, which may not read audit.db, carries
-- it to them. Nothing is in it where nothing is shared.

-- How far audit.db is told: one row.
CREATE TABLE progress (
	id       INTEGER PRIMARY KEY CHECK (id = 1),
	origin   TEXT NOT NULL,      -- random: this file's name on the stream
	decision INTEGER NOT NULL    -- channel_decision.id; -1: nothing
) STRICT;

-- What was relayed, a row for a second, a client, its users and a sender. Kept
-- for the longest window of limits.
CREATE TABLE relayed (
	id         INTEGER PRIMARY KEY, -- grows
	at         INTEGER NOT NULL, -- Unix seconds
	client     TEXT NOT NULL,    -- '' unknown
	user       TEXT NOT NULL,    -- who is charged: of 'login' a list
	how        TEXT NOT NULL,    -- 'login', 'auth', 'client'
	sender     TEXT NOT NULL,
	recipients INTEGER NOT NULL,
	messages   INTEGER NOT NULL  -- that began with them
) STRICT;

-- The newest breach or lift of each subject, as words are told.
CREATE TABLE denial (
	kind    TEXT NOT NULL,       -- 'client', 'user', 'login': as in breach
	subject TEXT NOT NULL,
	at      INTEGER NOT NULL,    -- Unix seconds
	until   INTEGER NOT NULL,    -- up to "at": let in again
	note    TEXT NOT NULL,       -- the limit, and its value
	PRIMARY KEY (kind, subject)
) STRICT, WITHOUT ROWID;
