-- SPDX-License-Identifier: ISC
-- logins.db, version 7: which file a source's position is in, device and inode,
-- so that it can be told from another one that has the path now.
ALTER TABLE source ADD COLUMN
	device INTEGER NOT NULL DEFAULT 0; -- of the file; 0: none, or not known
