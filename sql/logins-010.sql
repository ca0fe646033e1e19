-- SPDX-License-Identifier: ISC
-- logins.db, version 10: limits over all machines of one gate, and who is kept
-- out for having gone over one.

-- A denial by a limit (kinds 'breach-...', until <= at: let in again) is told
-- as an admin's word is.
CREATE TABLE word_10 (
	kind    TEXT NOT NULL CHECK (kind IN
	        ('add', 'delete', 'deny-client', 'deny-user',
	         'breach-client', 'breach-user', 'breach-login')),
	subject TEXT NOT NULL,       -- as in login, deleted, deny and breach
	user    TEXT NOT NULL,       -- of 'add'; else ''
	at      INTEGER NOT NULL,
	until   INTEGER NOT NULL,    -- deny, breach: up to "at": no longer
	note    TEXT NOT NULL,
	told_at INTEGER NOT NULL,    -- last seen on the stream; 0: to be told
	PRIMARY KEY (kind, subject, user)
) STRICT, WITHOUT ROWID;
INSERT INTO word_10 SELECT kind, subject, user, at, until, note, told_at
	FROM word;
DROP TABLE word;
ALTER TABLE word_10 RENAME TO word;
CREATE INDEX word_told ON word (told_at);

-- relayed.id of audit.db.outbox: the newest one published; and which outbox.
ALTER TABLE share ADD COLUMN relayed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE share ADD COLUMN outbox TEXT NOT NULL DEFAULT '';

-- What other machines relayed, within the longest of limits.
CREATE TABLE relayed (
	id         INTEGER PRIMARY KEY AUTOINCREMENT, -- in the order of coming
	origin     TEXT NOT NULL,    -- of the machine's outbox
	number     INTEGER NOT NULL, -- its own, never twice
	at         INTEGER NOT NULL,
	client     TEXT NOT NULL,    -- '' unknown
	user       TEXT NOT NULL,    -- who is charged: of 'login' a list
	how        TEXT NOT NULL,    -- 'login', 'auth', 'client'
	sender     TEXT NOT NULL,
	recipients INTEGER NOT NULL,
	messages   INTEGER NOT NULL, -- that began with them
	UNIQUE (origin, number)
) STRICT;
CREATE INDEX relayed_by_time ON relayed (at);
