-- SPDX-License-Identifier: ISC
-- logins.db, version 6: what an admin deleted. A log may be read again, and
-- what it says of the time before must not undo the deletion.
CREATE TABLE deleted (
	client  TEXT PRIMARY KEY,     -- as in login; '' everybody
	at      INTEGER NOT NULL      -- logins dated then or earlier open nothing
) STRICT, WITHOUT ROWID;
CREATE INDEX deleted_by_time ON deleted (at);
