-- SPDX-License-Identifier: ISC
-- logins.db, version 5: for how long a server has said nothing before, so that
-- one that stops, or whose tag changes, is missed.
ALTER TABLE source_count ADD COLUMN
	gap_s INTEGER NOT NULL DEFAULT 0;  -- longest time between two readings

-- Servers that had logins. One that has said nothing for limit_s is missed:
-- four times its longest time between logins, but two hours at least, and a
-- day before its first night is known.
CREATE VIEW server_quiet (source, server, last_at, limit_s) AS
	SELECT source, server, max(last_at),
	       max(4 * max(CASE WHEN reason = 'login' THEN gap_s ELSE 0 END),
	           iif(max(last_at) - min(first_at) < 86400, 86400, 7200))
	FROM source_count WHERE server <> '' GROUP BY source, server
	HAVING max(reason = 'login' AND lines > 0);
