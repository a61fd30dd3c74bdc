-- The revision of the settings that are in force: role ladder, redaction, and the Clerk instance of this database. It is
-- in the head row, so that every writer sees under its lock whether they have changed.
ALTER TABLE clerk_head ADD COLUMN settings BIGINT NOT NULL DEFAULT 1;
