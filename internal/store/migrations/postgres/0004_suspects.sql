-- Objects of which one answer of Clerk said what a later one has to confirm, and when to ask again.
CREATE TABLE clerk_suspects (
    kind             TEXT COLLATE "C" NOT NULL,
    id               TEXT COLLATE "C" NOT NULL,
    reason           TEXT COLLATE "C" NOT NULL,
    since_write      BIGINT NOT NULL,
    due_at           BIGINT NOT NULL,
    attempts         BIGINT NOT NULL,
    PRIMARY KEY (kind, id)
);

-- Deletions that an earlier version deduced are asked for once more, too.
INSERT INTO clerk_suspects (kind, id, reason, since_write, due_at, attempts)
SELECT 'user', clerk_user_id, 'hidden', sync_write, sync_gone_at + 604800000, 0 FROM clerk_users WHERE sync_hidden = 1 AND sync_hard = 0
UNION ALL SELECT 'session', clerk_session_id, 'hidden', sync_write, sync_gone_at + 604800000, 0 FROM clerk_sessions WHERE sync_hidden = 1 AND sync_hard = 0
UNION ALL SELECT 'organization', clerk_organization_id, 'hidden', sync_write, sync_gone_at + 604800000, 0 FROM clerk_organizations WHERE sync_hidden = 1 AND sync_hard = 0
UNION ALL SELECT 'organization_membership', clerk_membership_id, 'hidden', sync_write, sync_gone_at + 604800000, 0 FROM clerk_memberships WHERE sync_hidden = 1 AND sync_hard = 0
UNION ALL SELECT 'organization_invitation', clerk_invitation_id, 'hidden', sync_write, sync_gone_at + 604800000, 0 FROM clerk_invitations WHERE sync_hidden = 1 AND sync_hard = 0
UNION ALL SELECT 'role', clerk_role_id, 'hidden', sync_write, sync_gone_at + 604800000, 0 FROM clerk_roles WHERE sync_hidden = 1 AND sync_hard = 0
UNION ALL SELECT 'permission', clerk_permission_id, 'hidden', sync_write, sync_gone_at + 604800000, 0 FROM clerk_permissions WHERE sync_hidden = 1 AND sync_hard = 0;
