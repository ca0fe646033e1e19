-- SPDX-License-Identifier: ISC
-- logins.db, version 9: what machines that share one gate know of each other
-- (docs/FLEET.md). Nothing is in it where nothing is shared.

-- This table on the stream, and how far it is: one row.
CREATE TABLE share (
	id        INTEGER PRIMARY KEY CHECK (id = 1),
	origin    TEXT NOT NULL,     -- random: this table's name on the stream
	published INTEGER NOT NULL,  -- login_event.id: the newest one published
	scanned   INTEGER NOT NULL,  -- login_event.id: all up to it looked at
	entry     TEXT NOT NULL,     -- position of what was published last
	server    TEXT NOT NULL,     -- whose position it is: replication id
	position  TEXT NOT NULL,     -- of the stream, read up to it
	heard_at  INTEGER NOT NULL,  -- all that was there then is read; 0 never
	skew_s    INTEGER NOT NULL,  -- Redis's clock is ahead of ours by
	trouble   TEXT NOT NULL      -- why nothing is shared now; '' none
) STRICT;

-- The other machines, as the stream tells of them.
CREATE TABLE share_peer (
	origin   TEXT PRIMARY KEY,
	name     TEXT NOT NULL,
	number   INTEGER NOT NULL,   -- its newest login that was read here
	heard_at INTEGER NOT NULL,   -- its own clock when it last said hello
	read_at  INTEGER NOT NULL    -- and ours when that was read
) STRICT, WITHOUT ROWID;

-- What of the stream didn't count, and why.
CREATE TABLE share_refused (
	reason  TEXT PRIMARY KEY,    -- 'forged', 'future', ...
	count   INTEGER NOT NULL,
	last_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What admins said on any machine, the newest word of each kind and subject:
-- the later one holds, in whichever order they come.
CREATE TABLE word (
	kind    TEXT NOT NULL CHECK (kind IN
	        ('add', 'delete', 'deny-client', 'deny-user')),
	subject TEXT NOT NULL,       -- as in login, deleted and deny
	user    TEXT NOT NULL,       -- of 'add'; else ''
	at      INTEGER NOT NULL,
	until   INTEGER NOT NULL,    -- deny: up to "at": denied no longer
	note    TEXT NOT NULL,
	told_at INTEGER NOT NULL,    -- last seen on the stream; 0: to be told
	PRIMARY KEY (kind, subject, user)
) STRICT, WITHOUT ROWID;
CREATE INDEX word_told ON word (told_at);
