-- logins.db, version 6: nothing yet.
SELECT 6;
