-- SPDX-License-Identifier: ISC
-- logins.db, version 4: what two-line servers have begun to say. Written in
-- the transaction of the sources' positions, so that no restart loses a login
-- between its two lines.
CREATE TABLE pair (
	direct  INTEGER NOT NULL,     -- 1: from standard input or a socket
	host    TEXT NOT NULL,        -- as the line had it; '' none
	server  TEXT NOT NULL,        -- grammar
	pid     INTEGER NOT NULL,     -- the process that will name the user
	client  TEXT NOT NULL,        -- whom it serves
	at      INTEGER NOT NULL      -- the first line's own time
) STRICT;
