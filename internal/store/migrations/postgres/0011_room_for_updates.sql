-- Each walk notes of each row that it was compared. With room in its page, the new version of a row stands next to the old
-- one and no index has to be written: a walk that finds no drift takes two thirds of the time and writes two thirds of the
-- log, and a quarter of it with wal_compression.
ALTER TABLE clerk_users SET (fillfactor = 60);
ALTER TABLE clerk_sessions SET (fillfactor = 60);
ALTER TABLE clerk_organizations SET (fillfactor = 60);
ALTER TABLE clerk_memberships SET (fillfactor = 60);
ALTER TABLE clerk_invitations SET (fillfactor = 60);
ALTER TABLE clerk_domains SET (fillfactor = 60);
ALTER TABLE clerk_roles SET (fillfactor = 60);
ALTER TABLE clerk_permissions SET (fillfactor = 60);
