-- SCIM: what the last version that carries the flag says. A version without it says nothing.
ALTER TABLE clerk_users ADD COLUMN deprovisioned SMALLINT NOT NULL DEFAULT 0;
ALTER TABLE clerk_users ADD COLUMN sync_provision_at BIGINT NOT NULL DEFAULT 0;         -- the updated_at of that version
ALTER TABLE clerk_users ADD COLUMN sync_provision_seen_at BIGINT NOT NULL DEFAULT 0;    -- when it was observed

UPDATE clerk_users SET deprovisioned = 1, is_active = 0, sync_provision_at = sync_updated_at, sync_provision_seen_at = sync_observed_at,
    sync_banned_at = CASE WHEN sync_banned_at < sync_updated_at THEN sync_updated_at ELSE sync_banned_at END
WHERE raw LIKE '%"deprovisioned":true%' AND json_extract(raw, '$.deprovisioned') = 1;
