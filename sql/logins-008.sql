-- SPDX-License-Identifier: ISC
-- logins.db, version 8: sessions that are open, as long as logins.sessions is
-- on. A login counts while its session is open, session_max at most: so an open
-- session moves login.expires_at on, and its end moves it back. Who asks
-- expires_at needs to know nothing of sessions.
CREATE TABLE session (
	id        TEXT NOT NULL,      -- the server's id; a process id; or
	                              -- service, address and port of the client
	source    TEXT NOT NULL,      -- source.name
	server    TEXT NOT NULL,      -- grammar
	host      TEXT NOT NULL,      -- as the line had it; '' none
	client    TEXT NOT NULL,      -- as in login; '' no session, but a note:
	                              -- this server logs ends (id ''), or this
	                              -- end came before its login
	user      TEXT NOT NULL,
	service   TEXT NOT NULL,      -- 'imap', 'pop3', ''
	began_at  INTEGER NOT NULL,   -- the login
	until_at  INTEGER NOT NULL,   -- counts no longer than this
	window_at INTEGER NOT NULL,   -- in that of a login which counts longest:
	                              -- what login.expires_at would be without
	                              -- open sessions
	PRIMARY KEY (id, source, server, host)
) STRICT, WITHOUT ROWID;
CREATE INDEX session_by_login ON session (client, user, until_at);
CREATE INDEX session_by_time ON session (until_at);

-- What an admin deletes stays deleted, though the session goes on.
CREATE TRIGGER login_deleted AFTER DELETE ON login BEGIN
	DELETE FROM session WHERE client = old.client AND user = old.user;
END;
