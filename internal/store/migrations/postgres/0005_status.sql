-- What readiness and the status page ask for.

ALTER TABLE clerk_walks ADD COLUMN refused SMALLINT NOT NULL DEFAULT 0;        -- Clerk has no such list for this instance
ALTER TABLE clerk_walks ADD COLUMN swept_at BIGINT NOT NULL DEFAULT 0;         -- when the last sweep that ended well began
ALTER TABLE clerk_walks ADD COLUMN complete_write BIGINT NOT NULL DEFAULT 0;   -- the head's write counter when the last complete walk began

CREATE INDEX clerk_verify_queued ON clerk_verify (queued_write);
CREATE INDEX clerk_inbox_type ON clerk_inbox (type, received_at);
CREATE INDEX clerk_drift_unannounced ON clerk_drift (kind, found_at) WHERE cause = 'not_subscribed';

CREATE INDEX clerk_users_hidden ON clerk_users (clerk_user_id) WHERE sync_hidden = 1;
CREATE INDEX clerk_organizations_hidden ON clerk_organizations (clerk_organization_id) WHERE sync_hidden = 1;
-- No index on sync_verified_at here: bodies are kept apart from the rows, and each walk would have to write it anew.
