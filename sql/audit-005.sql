-- SPDX-License-Identifier: ISC
-- audit.db, version 5: how far a user is from each limit is found without
-- reading every relay of the day.

-- Relays that decision_by_user doesn't find under one user's name in lower
-- case: several users' logins let the client relay ("alice,bob"), the name is
-- in another spelling (a comma in a name counts as a semicolon), or a login
-- decided although the session had an AUTH user.
CREATE INDEX decision_of_odd_users ON decision (at)
	WHERE verdict = 'accept' AND class = 'relay'
	  AND (coalesce(auth_user, login_user) GLOB '*[A-Z,;]*'
	       OR auth_user IS NOT NULL AND reason = 'recent-login');
