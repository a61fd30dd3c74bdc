-- Every key that a version of a role had, with the prefix "org:": what comes with a key that a role has no longer is read again.
CREATE TABLE clerk_role_keys (
    role_key         TEXT COLLATE "C" NOT NULL,
    clerk_role_id    TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (role_key, clerk_role_id)
);

INSERT INTO clerk_role_keys (role_key, clerk_role_id)
SELECT CASE WHEN substr(role_key, 1, 4) = 'org:' THEN role_key ELSE 'org:' || role_key END, clerk_role_id FROM clerk_roles WHERE role_key <> '';

CREATE INDEX clerk_memberships_role ON clerk_memberships (role);
CREATE INDEX clerk_invitations_role ON clerk_invitations (role);

-- Doubts about rows that their user or organization hides. They come back into clerk_verify with it.
CREATE TABLE clerk_verify_hidden (
    kind             TEXT COLLATE "C" NOT NULL,
    id               TEXT COLLATE "C" NOT NULL,
    reason           TEXT COLLATE "C" NOT NULL,
    queued_write     BIGINT NOT NULL,
    queued_at        BIGINT NOT NULL,
    PRIMARY KEY (kind, id, reason)
);

INSERT INTO clerk_verify_hidden SELECT v.kind, v.id, v.reason, v.queued_write, v.queued_at FROM clerk_verify v
JOIN clerk_memberships t ON t.clerk_membership_id = v.id WHERE v.kind = 'organization_membership' AND (
    EXISTS (SELECT 1 FROM clerk_users p WHERE p.clerk_user_id = t.clerk_user_id AND p.sync_hidden = 1)
    OR EXISTS (SELECT 1 FROM clerk_organizations p WHERE p.clerk_organization_id = t.clerk_organization_id AND p.sync_hidden = 1));
INSERT INTO clerk_verify_hidden SELECT v.kind, v.id, v.reason, v.queued_write, v.queued_at FROM clerk_verify v
JOIN clerk_sessions t ON t.clerk_session_id = v.id WHERE v.kind = 'session' AND (
    EXISTS (SELECT 1 FROM clerk_users p WHERE p.clerk_user_id = t.clerk_user_id AND p.sync_hidden = 1));
INSERT INTO clerk_verify_hidden SELECT v.kind, v.id, v.reason, v.queued_write, v.queued_at FROM clerk_verify v
JOIN clerk_invitations t ON t.clerk_invitation_id = v.id WHERE v.kind = 'organization_invitation' AND (
    EXISTS (SELECT 1 FROM clerk_organizations p WHERE p.clerk_organization_id = t.clerk_organization_id AND p.sync_hidden = 1));
DELETE FROM clerk_verify WHERE EXISTS (SELECT 1 FROM clerk_verify_hidden h WHERE h.kind = clerk_verify.kind AND h.id = clerk_verify.id);
-- Of these Clerk tells no single one: no read could ever settle a doubt about them.
DELETE FROM clerk_verify WHERE kind NOT IN ('user', 'session', 'organization', 'organization_membership', 'organization_invitation', 'role', 'permission');

-- A role's key counts in both spellings: instances from before custom roles leave the prefix out.
CREATE OR REPLACE VIEW clerk_memberships_live AS
SELECT t.clerk_membership_id,
    t.clerk_user_id,
    t.clerk_organization_id,
    t.role,
    COALESCE((SELECT r.permissions FROM clerk_roles_live r
        WHERE r.role_key = t.role OR r.role_key = 'org:' || t.role OR 'org:' || r.role_key = t.role
        ORDER BY r.role_key = t.role DESC, COALESCE(r.created_at, 0) DESC, r.clerk_role_id DESC LIMIT 1), t.permissions) AS permissions,
    t.public_metadata,
    t.private_metadata,
    t.created_at,
    t.updated_at,
    t.raw,
    CASE WHEN t.sync_rank < 3 THEN 1 ELSE 0 END AS is_stub
FROM clerk_memberships t
WHERE t.sync_hidden = 0
  AND NOT EXISTS (SELECT 1 FROM clerk_users p WHERE p.clerk_user_id = t.clerk_user_id AND p.sync_hidden = 1)
  AND NOT EXISTS (SELECT 1 FROM clerk_organizations p WHERE p.clerk_organization_id = t.clerk_organization_id AND p.sync_hidden = 1)
  AND NOT EXISTS (SELECT 1 FROM clerk_memberships n
        WHERE n.clerk_user_id = t.clerk_user_id AND n.clerk_organization_id = t.clerk_organization_id AND n.sync_hidden = 0
          AND (COALESCE(n.created_at, 0), n.clerk_membership_id) > (COALESCE(t.created_at, 0), t.clerk_membership_id));
