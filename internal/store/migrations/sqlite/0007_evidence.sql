-- What proves that a row is still at Clerk, and that nothing but clerksync has written it.

-- The start of the walk under way or of the last one, and that of the last whole one: by the head's write counter, and the
-- bounds of it by Clerk's clock. Upper bounds are 0 where Clerk told no time.
ALTER TABLE clerk_walks ADD COLUMN begun_write BIGINT NOT NULL DEFAULT 0;
ALTER TABLE clerk_walks ADD COLUMN observed_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE clerk_walks ADD COLUMN begun_by BIGINT NOT NULL DEFAULT 0;
ALTER TABLE clerk_walks ADD COLUMN complete_observed_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE clerk_walks ADD COLUMN complete_by BIGINT NOT NULL DEFAULT 0;

-- sync_read_after: the head's write counter from before the latest read was sent that found the object at Clerk.
-- sync_checksum: of the columns and the body as clerksync wrote them; NULL: written by an earlier version.
ALTER TABLE clerk_users ADD COLUMN sync_read_after BIGINT NOT NULL DEFAULT 0;
ALTER TABLE clerk_users ADD COLUMN sync_checksum BIGINT;
ALTER TABLE clerk_sessions ADD COLUMN sync_read_after BIGINT NOT NULL DEFAULT 0;
ALTER TABLE clerk_sessions ADD COLUMN sync_checksum BIGINT;
ALTER TABLE clerk_organizations ADD COLUMN sync_read_after BIGINT NOT NULL DEFAULT 0;
ALTER TABLE clerk_organizations ADD COLUMN sync_checksum BIGINT;
ALTER TABLE clerk_memberships ADD COLUMN sync_read_after BIGINT NOT NULL DEFAULT 0;
ALTER TABLE clerk_memberships ADD COLUMN sync_checksum BIGINT;
ALTER TABLE clerk_invitations ADD COLUMN sync_read_after BIGINT NOT NULL DEFAULT 0;
ALTER TABLE clerk_invitations ADD COLUMN sync_checksum BIGINT;
ALTER TABLE clerk_domains ADD COLUMN sync_read_after BIGINT NOT NULL DEFAULT 0;
ALTER TABLE clerk_domains ADD COLUMN sync_checksum BIGINT;
ALTER TABLE clerk_roles ADD COLUMN sync_read_after BIGINT NOT NULL DEFAULT 0;
ALTER TABLE clerk_roles ADD COLUMN sync_checksum BIGINT;
ALTER TABLE clerk_permissions ADD COLUMN sync_read_after BIGINT NOT NULL DEFAULT 0;
ALTER TABLE clerk_permissions ADD COLUMN sync_checksum BIGINT;
ALTER TABLE clerk_subscriptions ADD COLUMN sync_read_after BIGINT NOT NULL DEFAULT 0;
ALTER TABLE clerk_subscriptions ADD COLUMN sync_checksum BIGINT;
ALTER TABLE clerk_subscription_items ADD COLUMN sync_read_after BIGINT NOT NULL DEFAULT 0;
ALTER TABLE clerk_subscription_items ADD COLUMN sync_checksum BIGINT;
ALTER TABLE clerk_payment_attempts ADD COLUMN sync_read_after BIGINT NOT NULL DEFAULT 0;
ALTER TABLE clerk_payment_attempts ADD COLUMN sync_checksum BIGINT;
ALTER TABLE clerk_waitlist_entries ADD COLUMN sync_read_after BIGINT NOT NULL DEFAULT 0;
ALTER TABLE clerk_waitlist_entries ADD COLUMN sync_checksum BIGINT;

-- The figures of a kind are read from these alone.
DROP INDEX clerk_users_verified;
CREATE INDEX clerk_users_verified ON clerk_users (sync_verified_at, sync_rank, sync_hidden, sync_read_after, sync_seen_at);
DROP INDEX clerk_sessions_verified;
CREATE INDEX clerk_sessions_verified ON clerk_sessions (sync_verified_at, sync_rank, sync_hidden, sync_read_after, sync_seen_at);
DROP INDEX clerk_memberships_verified;
CREATE INDEX clerk_memberships_verified ON clerk_memberships (sync_verified_at, sync_rank, sync_hidden, sync_read_after, sync_seen_at);
