-- SPDX-License-Identifier: ISC
-- audit.db, version 7: what is relayed is told to other machines as soon as one
-- channel has recorded it, and by one of them only.

-- 1: the permit channel has accepted this very recipient, and its row was there
-- before: so the recipient has been told.
ALTER TABLE channel_decision ADD COLUMN took INTEGER NOT NULL DEFAULT 0;
