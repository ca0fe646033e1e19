-- SPDX-License-Identifier: ISC
-- logins.db, version 1: who logged in from where, and until when that counts.
-- All times are Unix seconds. One writer at a time (popgate-collector, or
-- popgatectl for a moment), any number of readers (WAL).

-- The state. A client may relay if and only if a row of it has
-- expires_at > now. An admin's own entry has server 'popgatectl'.
CREATE TABLE login (
	client     TEXT NOT NULL,     -- RFC 5952 text; IPv4-mapped folded to
	                              -- IPv4; or a network "base/bits"
	user       TEXT NOT NULL,     -- as the server logged it; '' unknown
	service    TEXT NOT NULL,     -- 'imap', 'pop3', 'manual', ''
	server     TEXT NOT NULL,     -- grammar: 'dovecot', 'courier', ...
	first_at   INTEGER NOT NULL,  -- first login of this pair
	last_at    INTEGER NOT NULL,  -- newest login of this pair
	expires_at INTEGER NOT NULL,  -- allowed while this is > now
	count      INTEGER NOT NULL,  -- logins seen of this pair
	PRIMARY KEY (client, user)
) STRICT, WITHOUT ROWID;
CREATE INDEX login_by_user ON login (user) WHERE user <> '';
-- The few networks that an admin entered, so that a look-up finds them at once.
CREATE INDEX login_network ON login (client)
	WHERE server = 'popgatectl' AND instr(client, '/') > 0;

-- The history, and the evidence: the very log line.
CREATE TABLE login_event (
	id       INTEGER PRIMARY KEY,
	at       INTEGER NOT NULL,    -- the line's own time
	client   TEXT NOT NULL,
	user     TEXT NOT NULL,
	service  TEXT NOT NULL,
	server   TEXT NOT NULL,
	source   TEXT NOT NULL,       -- source.name, or 'popgatectl'
	position INTEGER NOT NULL,    -- byte offset of the line in the source
	line     TEXT NOT NULL        -- as read; unprintable bytes escaped
) STRICT;
CREATE INDEX login_event_by_client ON login_event (client);

-- Beats every login and AUTH while expires_at > now.
CREATE TABLE deny (
	subject    TEXT NOT NULL,     -- an address, a network, or a user
	kind       TEXT NOT NULL CHECK (kind IN ('client', 'user')),
	created_at INTEGER NOT NULL,
	expires_at INTEGER NOT NULL,
	reason     TEXT NOT NULL,
	PRIMARY KEY (subject, kind)
) STRICT, WITHOUT ROWID;
CREATE INDEX deny_network ON deny (subject)
	WHERE kind = 'client' AND instr(subject, '/') > 0;

-- How far each log is read; written in the transaction of its logins.
CREATE TABLE source (
	name        TEXT PRIMARY KEY, -- 'file:/var/log/mail.log', 'journal:system'
	inode       INTEGER NOT NULL, -- of the file that position is in; 0 none
	position    INTEGER NOT NULL, -- byte offset behind the last whole line
	fingerprint TEXT NOT NULL,    -- of the file's first bytes; journal: cursor
	read_at     INTEGER NOT NULL, -- when the source was last read to its end
	line_at     INTEGER NOT NULL  -- time stamp of the newest line; 0 none
) STRICT, WITHOUT ROWID;

-- Who may relay now.
CREATE VIEW relay_client (client, users, last_at, expires_at) AS
	SELECT client, count(*), max(last_at), max(expires_at)
	FROM login WHERE expires_at > unixepoch() GROUP BY client;
