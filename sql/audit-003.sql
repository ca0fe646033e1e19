-- SPDX-License-Identifier: ISC
-- audit.db, version 3: who went over a limit (policy row 9), who is kept out
-- for it, and who was let in again.

-- A row each time that a client or user went over a limit.
CREATE TABLE breach (
	id           INTEGER PRIMARY KEY,
	at           INTEGER NOT NULL,  -- Unix milliseconds
	kind         TEXT NOT NULL,     -- 'client' or 'user'
	subject      TEXT NOT NULL COLLATE NOCASE, -- address, network or user
	setting      TEXT NOT NULL,     -- 'client_recipients', ...: in limits
	allowed      TEXT NOT NULL,     -- its value, '2000/1h'
	client       TEXT NOT NULL,     -- of the recipient that was too many
	user         TEXT,              -- NULL: not known
	sender       TEXT NOT NULL,
	denied_until INTEGER            -- Unix seconds; NULL: not denied for it
) STRICT;
CREATE INDEX breach_by_at ON breach (at);
CREATE INDEX breach_by_subject ON breach (subject);

-- A row each time that an admin let one in again ('popgatectl undeny'): what
-- was counted and denied of the subject until then is so no longer. Written
-- by popgatectl; popgate-milter reads it within a second or so.
CREATE TABLE lift (
	id           INTEGER PRIMARY KEY AUTOINCREMENT,
	at           INTEGER NOT NULL,  -- Unix milliseconds
	kind         TEXT NOT NULL,     -- as in breach
	subject      TEXT NOT NULL COLLATE NOCASE,
	who          TEXT NOT NULL      -- the admin
) STRICT;
CREATE INDEX lift_by_subject ON lift (subject);

-- Who is kept out now because of a limit. (What an admin denies is in the
-- table deny of logins.db.)
CREATE VIEW denial (subject, kind, since, until, setting, allowed) AS
	SELECT subject, kind, min(at) / 1000, max(denied_until), setting,
	       allowed
	FROM breach AS b
	WHERE denied_until > unixepoch()
	  AND NOT EXISTS (SELECT 1 FROM lift AS l WHERE l.subject = b.subject
	                  AND l.kind = b.kind AND l.at >= b.at)
	GROUP BY kind, subject;
