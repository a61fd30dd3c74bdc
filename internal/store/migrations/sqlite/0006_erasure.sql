-- Persons who were erased: the receipt of each, and how far the search for copies has come. search holds what to look
-- for, addresses among it, and is emptied when the search is over.
CREATE TABLE clerk_erasures (
    clerk_user_id    TEXT PRIMARY KEY,
    at               BIGINT NOT NULL,
    cause            TEXT NOT NULL,
    erased_rows      BIGINT NOT NULL,
    bodies           BIGINT NOT NULL,
    search           TEXT NOT NULL,
    cursor           TEXT NOT NULL,
    done_at          BIGINT
);

CREATE INDEX clerk_erasures_open ON clerk_erasures (cursor, clerk_user_id) WHERE done_at IS NULL;

-- How far the change feed had come at some times: what is older than its retention is found by it.
CREATE TABLE clerk_feed_marks (
    at               BIGINT PRIMARY KEY,
    seq              BIGINT NOT NULL
);

ALTER TABLE clerk_users ADD COLUMN sync_erased SMALLINT NOT NULL DEFAULT 0;
ALTER TABLE clerk_sessions ADD COLUMN sync_erased SMALLINT NOT NULL DEFAULT 0;
ALTER TABLE clerk_organizations ADD COLUMN sync_erased SMALLINT NOT NULL DEFAULT 0;
ALTER TABLE clerk_memberships ADD COLUMN sync_erased SMALLINT NOT NULL DEFAULT 0;
ALTER TABLE clerk_invitations ADD COLUMN sync_erased SMALLINT NOT NULL DEFAULT 0;
ALTER TABLE clerk_domains ADD COLUMN sync_erased SMALLINT NOT NULL DEFAULT 0;
ALTER TABLE clerk_roles ADD COLUMN sync_erased SMALLINT NOT NULL DEFAULT 0;
ALTER TABLE clerk_permissions ADD COLUMN sync_erased SMALLINT NOT NULL DEFAULT 0;
ALTER TABLE clerk_subscriptions ADD COLUMN sync_erased SMALLINT NOT NULL DEFAULT 0;
ALTER TABLE clerk_subscription_items ADD COLUMN sync_erased SMALLINT NOT NULL DEFAULT 0;
ALTER TABLE clerk_payment_attempts ADD COLUMN sync_erased SMALLINT NOT NULL DEFAULT 0;
ALTER TABLE clerk_waitlist_entries ADD COLUMN sync_erased SMALLINT NOT NULL DEFAULT 0;

CREATE INDEX clerk_users_erasable ON clerk_users (deleted_at) WHERE sync_hard = 1 AND sync_erased = 0;
CREATE INDEX clerk_invitations_email ON clerk_invitations ((lower(email)));
CREATE INDEX clerk_waitlist_entries_email ON clerk_waitlist_entries ((lower(email)));
CREATE INDEX clerk_inbox_states ON clerk_inbox (state, message_id) WHERE state <> 'applied';
CREATE INDEX clerk_inbox_received ON clerk_inbox (received_at, message_id);
CREATE INDEX clerk_invitations_user ON clerk_invitations (clerk_user_id) WHERE clerk_user_id IS NOT NULL;
