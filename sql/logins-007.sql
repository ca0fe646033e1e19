-- logins.db, version 7: nothing yet.
SELECT 7;
