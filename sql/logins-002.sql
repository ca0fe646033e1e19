-- SPDX-License-Identifier: ISC
-- logins.db, version 2: what the collector saw in each source, so that a log
-- format that changed shows as silence instead of as users who can't send.

-- Lines read, by the server they are of and by what became of them.
CREATE TABLE source_count (
	source      TEXT NOT NULL,    -- source.name
	server      TEXT NOT NULL,    -- grammar; '' no server's line
	reason      TEXT NOT NULL,    -- 'login', 'failed-login', 'forged', ...
	lines       INTEGER NOT NULL,
	since_login INTEGER NOT NULL, -- of these: since the server's newest login
	first_at    INTEGER NOT NULL, -- Unix seconds when the first was read
	last_at     INTEGER NOT NULL, -- and the newest
	sample      TEXT NOT NULL,    -- newest line of an unknown shape; else ''
	PRIMARY KEY (source, server, reason)
) STRICT, WITHOUT ROWID;

-- One row a server: is it still understood?
CREATE VIEW server_count (source, server, lines, logins, login_at, silent_lines,
    unknown_lines, last_at, sample) AS
	SELECT source, server, sum(lines),
	       sum(CASE WHEN reason = 'login' THEN lines ELSE 0 END),
	       max(CASE WHEN reason = 'login' THEN last_at ELSE 0 END),
	       sum(since_login),
	       sum(CASE WHEN reason = 'unknown-shape' THEN lines ELSE 0 END),
	       max(last_at), max(sample)
	FROM source_count WHERE server <> '' GROUP BY source, server;
