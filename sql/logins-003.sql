-- SPDX-License-Identifier: ISC
-- logins.db, version 3: who may relay now, found among millions that no longer
-- may, for popgatectl list and export and the collector's mirrors.
CREATE INDEX login_by_expiry ON login (expires_at);
