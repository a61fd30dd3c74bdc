-- The first schema. Times are Unix milliseconds, JSON is text in canonical form, flags are 0 or 1.
-- Columns named sync_ belong to clerksync and may change; all others are described in docs/schema.md.

-- The users. id is the UUIDv5 of clerk_user_id; role comes from public_metadata.role by the configured ladder.
CREATE TABLE clerk_users (
    id               TEXT COLLATE "C" PRIMARY KEY,
    clerk_user_id    TEXT COLLATE "C" NOT NULL UNIQUE,
    email            TEXT COLLATE "C",
    username         TEXT COLLATE "C",
    first_name       TEXT COLLATE "C",
    last_name        TEXT COLLATE "C",
    profile_image_url TEXT COLLATE "C",
    external_id      TEXT COLLATE "C",
    role             TEXT COLLATE "C" NOT NULL,
    role_rejected    TEXT COLLATE "C",
    is_active        SMALLINT NOT NULL,
    banned           SMALLINT NOT NULL,
    locked           SMALLINT NOT NULL,
    locked_until     BIGINT,
    last_login_at    BIGINT,
    last_active_at   BIGINT,
    public_metadata  TEXT COLLATE "C",
    private_metadata TEXT COLLATE "C",
    created_at       BIGINT,
    updated_at       BIGINT,
    sync_banned_at   BIGINT NOT NULL,
    deleted_at       BIGINT,
    raw              TEXT COLLATE "C",
    sync_hidden      SMALLINT NOT NULL,
    sync_hard        SMALLINT NOT NULL,
    sync_terminal    SMALLINT NOT NULL,
    sync_rank        SMALLINT NOT NULL,
    sync_updated_at  BIGINT NOT NULL,
    sync_observed_at BIGINT NOT NULL,
    sync_revision    BIGINT NOT NULL,
    sync_digest      TEXT COLLATE "C" NOT NULL,
    sync_read        SMALLINT NOT NULL,
    sync_seen_at     BIGINT NOT NULL,
    sync_gone_at     BIGINT NOT NULL,
    sync_hint_at     BIGINT NOT NULL,
    sync_write       BIGINT NOT NULL,
    sync_verified_at BIGINT
);

-- Sessions; status is what Clerk last said: clerk_sessions_live also knows of bans.
CREATE TABLE clerk_sessions (
    clerk_session_id TEXT COLLATE "C" PRIMARY KEY,
    clerk_user_id    TEXT COLLATE "C",
    client_id        TEXT COLLATE "C",
    status           TEXT COLLATE "C",
    actor            TEXT COLLATE "C",
    clerk_organization_id TEXT COLLATE "C",
    last_active_at   BIGINT,
    expire_at        BIGINT,
    abandon_at       BIGINT,
    created_at       BIGINT,
    updated_at       BIGINT,
    deleted_at       BIGINT,
    raw              TEXT COLLATE "C",
    sync_hidden      SMALLINT NOT NULL,
    sync_hard        SMALLINT NOT NULL,
    sync_terminal    SMALLINT NOT NULL,
    sync_rank        SMALLINT NOT NULL,
    sync_updated_at  BIGINT NOT NULL,
    sync_observed_at BIGINT NOT NULL,
    sync_revision    BIGINT NOT NULL,
    sync_digest      TEXT COLLATE "C" NOT NULL,
    sync_read        SMALLINT NOT NULL,
    sync_seen_at     BIGINT NOT NULL,
    sync_gone_at     BIGINT NOT NULL,
    sync_hint_at     BIGINT NOT NULL,
    sync_write       BIGINT NOT NULL,
    sync_verified_at BIGINT
);

CREATE TABLE clerk_organizations (
    clerk_organization_id TEXT COLLATE "C" PRIMARY KEY,
    name             TEXT COLLATE "C",
    slug             TEXT COLLATE "C",
    image_url        TEXT COLLATE "C",
    max_allowed_memberships BIGINT,
    created_by       TEXT COLLATE "C",
    public_metadata  TEXT COLLATE "C",
    private_metadata TEXT COLLATE "C",
    created_at       BIGINT,
    updated_at       BIGINT,
    deleted_at       BIGINT,
    raw              TEXT COLLATE "C",
    sync_hidden      SMALLINT NOT NULL,
    sync_hard        SMALLINT NOT NULL,
    sync_terminal    SMALLINT NOT NULL,
    sync_rank        SMALLINT NOT NULL,
    sync_updated_at  BIGINT NOT NULL,
    sync_observed_at BIGINT NOT NULL,
    sync_revision    BIGINT NOT NULL,
    sync_digest      TEXT COLLATE "C" NOT NULL,
    sync_read        SMALLINT NOT NULL,
    sync_seen_at     BIGINT NOT NULL,
    sync_gone_at     BIGINT NOT NULL,
    sync_hint_at     BIGINT NOT NULL,
    sync_write       BIGINT NOT NULL,
    sync_verified_at BIGINT
);

-- Memberships; permissions are those Clerk sent: clerk_memberships_live prefers the live role's.
CREATE TABLE clerk_memberships (
    clerk_membership_id TEXT COLLATE "C" PRIMARY KEY,
    clerk_user_id    TEXT COLLATE "C",
    clerk_organization_id TEXT COLLATE "C",
    role             TEXT COLLATE "C",
    permissions      TEXT COLLATE "C",
    public_metadata  TEXT COLLATE "C",
    private_metadata TEXT COLLATE "C",
    created_at       BIGINT,
    updated_at       BIGINT,
    deleted_at       BIGINT,
    raw              TEXT COLLATE "C",
    sync_hidden      SMALLINT NOT NULL,
    sync_hard        SMALLINT NOT NULL,
    sync_terminal    SMALLINT NOT NULL,
    sync_rank        SMALLINT NOT NULL,
    sync_updated_at  BIGINT NOT NULL,
    sync_observed_at BIGINT NOT NULL,
    sync_revision    BIGINT NOT NULL,
    sync_digest      TEXT COLLATE "C" NOT NULL,
    sync_read        SMALLINT NOT NULL,
    sync_seen_at     BIGINT NOT NULL,
    sync_gone_at     BIGINT NOT NULL,
    sync_hint_at     BIGINT NOT NULL,
    sync_write       BIGINT NOT NULL,
    sync_verified_at BIGINT
);

CREATE TABLE clerk_invitations (
    clerk_invitation_id TEXT COLLATE "C" PRIMARY KEY,
    clerk_organization_id TEXT COLLATE "C",
    clerk_user_id    TEXT COLLATE "C",
    inviter_clerk_user_id TEXT COLLATE "C",
    email            TEXT COLLATE "C",
    role             TEXT COLLATE "C",
    status           TEXT COLLATE "C",
    public_metadata  TEXT COLLATE "C",
    private_metadata TEXT COLLATE "C",
    expires_at       BIGINT,
    created_at       BIGINT,
    updated_at       BIGINT,
    deleted_at       BIGINT,
    raw              TEXT COLLATE "C",
    sync_hidden      SMALLINT NOT NULL,
    sync_hard        SMALLINT NOT NULL,
    sync_terminal    SMALLINT NOT NULL,
    sync_rank        SMALLINT NOT NULL,
    sync_updated_at  BIGINT NOT NULL,
    sync_observed_at BIGINT NOT NULL,
    sync_revision    BIGINT NOT NULL,
    sync_digest      TEXT COLLATE "C" NOT NULL,
    sync_read        SMALLINT NOT NULL,
    sync_seen_at     BIGINT NOT NULL,
    sync_gone_at     BIGINT NOT NULL,
    sync_hint_at     BIGINT NOT NULL,
    sync_write       BIGINT NOT NULL,
    sync_verified_at BIGINT
);

CREATE TABLE clerk_domains (
    clerk_domain_id  TEXT COLLATE "C" PRIMARY KEY,
    clerk_organization_id TEXT COLLATE "C",
    name             TEXT COLLATE "C",
    enrollment_mode  TEXT COLLATE "C",
    created_at       BIGINT,
    updated_at       BIGINT,
    deleted_at       BIGINT,
    raw              TEXT COLLATE "C",
    sync_hidden      SMALLINT NOT NULL,
    sync_hard        SMALLINT NOT NULL,
    sync_terminal    SMALLINT NOT NULL,
    sync_rank        SMALLINT NOT NULL,
    sync_updated_at  BIGINT NOT NULL,
    sync_observed_at BIGINT NOT NULL,
    sync_revision    BIGINT NOT NULL,
    sync_digest      TEXT COLLATE "C" NOT NULL,
    sync_read        SMALLINT NOT NULL,
    sync_seen_at     BIGINT NOT NULL,
    sync_gone_at     BIGINT NOT NULL,
    sync_hint_at     BIGINT NOT NULL,
    sync_write       BIGINT NOT NULL,
    sync_verified_at BIGINT
);

CREATE TABLE clerk_roles (
    clerk_role_id    TEXT COLLATE "C" PRIMARY KEY,
    name             TEXT COLLATE "C",
    role_key         TEXT COLLATE "C",
    description      TEXT COLLATE "C",
    is_creator_eligible SMALLINT NOT NULL,
    permissions      TEXT COLLATE "C",
    created_at       BIGINT,
    updated_at       BIGINT,
    deleted_at       BIGINT,
    raw              TEXT COLLATE "C",
    sync_hidden      SMALLINT NOT NULL,
    sync_hard        SMALLINT NOT NULL,
    sync_terminal    SMALLINT NOT NULL,
    sync_rank        SMALLINT NOT NULL,
    sync_updated_at  BIGINT NOT NULL,
    sync_observed_at BIGINT NOT NULL,
    sync_revision    BIGINT NOT NULL,
    sync_digest      TEXT COLLATE "C" NOT NULL,
    sync_read        SMALLINT NOT NULL,
    sync_seen_at     BIGINT NOT NULL,
    sync_gone_at     BIGINT NOT NULL,
    sync_hint_at     BIGINT NOT NULL,
    sync_write       BIGINT NOT NULL,
    sync_verified_at BIGINT
);

CREATE TABLE clerk_permissions (
    clerk_permission_id TEXT COLLATE "C" PRIMARY KEY,
    name             TEXT COLLATE "C",
    permission_key   TEXT COLLATE "C",
    description      TEXT COLLATE "C",
    type             TEXT COLLATE "C",
    created_at       BIGINT,
    updated_at       BIGINT,
    deleted_at       BIGINT,
    raw              TEXT COLLATE "C",
    sync_hidden      SMALLINT NOT NULL,
    sync_hard        SMALLINT NOT NULL,
    sync_terminal    SMALLINT NOT NULL,
    sync_rank        SMALLINT NOT NULL,
    sync_updated_at  BIGINT NOT NULL,
    sync_observed_at BIGINT NOT NULL,
    sync_revision    BIGINT NOT NULL,
    sync_digest      TEXT COLLATE "C" NOT NULL,
    sync_read        SMALLINT NOT NULL,
    sync_seen_at     BIGINT NOT NULL,
    sync_gone_at     BIGINT NOT NULL,
    sync_hint_at     BIGINT NOT NULL,
    sync_write       BIGINT NOT NULL,
    sync_verified_at BIGINT
);

CREATE TABLE clerk_subscriptions (
    clerk_subscription_id TEXT COLLATE "C" PRIMARY KEY,
    clerk_user_id    TEXT COLLATE "C",
    clerk_organization_id TEXT COLLATE "C",
    payer_id         TEXT COLLATE "C",
    status           TEXT COLLATE "C",
    active_at        BIGINT,
    canceled_at      BIGINT,
    ended_at         BIGINT,
    past_due_at      BIGINT,
    created_at       BIGINT,
    updated_at       BIGINT,
    deleted_at       BIGINT,
    raw              TEXT COLLATE "C",
    sync_hidden      SMALLINT NOT NULL,
    sync_hard        SMALLINT NOT NULL,
    sync_terminal    SMALLINT NOT NULL,
    sync_rank        SMALLINT NOT NULL,
    sync_updated_at  BIGINT NOT NULL,
    sync_observed_at BIGINT NOT NULL,
    sync_revision    BIGINT NOT NULL,
    sync_digest      TEXT COLLATE "C" NOT NULL,
    sync_read        SMALLINT NOT NULL,
    sync_seen_at     BIGINT NOT NULL,
    sync_gone_at     BIGINT NOT NULL,
    sync_hint_at     BIGINT NOT NULL,
    sync_write       BIGINT NOT NULL,
    sync_verified_at BIGINT
);

CREATE TABLE clerk_subscription_items (
    clerk_subscription_item_id TEXT COLLATE "C" PRIMARY KEY,
    clerk_subscription_id TEXT COLLATE "C",
    clerk_user_id    TEXT COLLATE "C",
    clerk_organization_id TEXT COLLATE "C",
    status           TEXT COLLATE "C",
    plan_id          TEXT COLLATE "C",
    plan_slug        TEXT COLLATE "C",
    billing_interval TEXT COLLATE "C",
    is_free_trial    SMALLINT NOT NULL,
    period_start     BIGINT,
    period_end       BIGINT,
    created_at       BIGINT,
    updated_at       BIGINT,
    deleted_at       BIGINT,
    raw              TEXT COLLATE "C",
    sync_hidden      SMALLINT NOT NULL,
    sync_hard        SMALLINT NOT NULL,
    sync_terminal    SMALLINT NOT NULL,
    sync_rank        SMALLINT NOT NULL,
    sync_updated_at  BIGINT NOT NULL,
    sync_observed_at BIGINT NOT NULL,
    sync_revision    BIGINT NOT NULL,
    sync_digest      TEXT COLLATE "C" NOT NULL,
    sync_read        SMALLINT NOT NULL,
    sync_seen_at     BIGINT NOT NULL,
    sync_gone_at     BIGINT NOT NULL,
    sync_hint_at     BIGINT NOT NULL,
    sync_write       BIGINT NOT NULL,
    sync_verified_at BIGINT
);

CREATE TABLE clerk_payment_attempts (
    clerk_payment_attempt_id TEXT COLLATE "C" PRIMARY KEY,
    payment_id       TEXT COLLATE "C",
    clerk_user_id    TEXT COLLATE "C",
    clerk_organization_id TEXT COLLATE "C",
    status           TEXT COLLATE "C",
    charge_type      TEXT COLLATE "C",
    paid_at          BIGINT,
    failed_at        BIGINT,
    created_at       BIGINT,
    updated_at       BIGINT,
    deleted_at       BIGINT,
    raw              TEXT COLLATE "C",
    sync_hidden      SMALLINT NOT NULL,
    sync_hard        SMALLINT NOT NULL,
    sync_terminal    SMALLINT NOT NULL,
    sync_rank        SMALLINT NOT NULL,
    sync_updated_at  BIGINT NOT NULL,
    sync_observed_at BIGINT NOT NULL,
    sync_revision    BIGINT NOT NULL,
    sync_digest      TEXT COLLATE "C" NOT NULL,
    sync_read        SMALLINT NOT NULL,
    sync_seen_at     BIGINT NOT NULL,
    sync_gone_at     BIGINT NOT NULL,
    sync_hint_at     BIGINT NOT NULL,
    sync_write       BIGINT NOT NULL,
    sync_verified_at BIGINT
);

CREATE TABLE clerk_waitlist_entries (
    clerk_waitlist_entry_id TEXT COLLATE "C" PRIMARY KEY,
    email            TEXT COLLATE "C",
    status           TEXT COLLATE "C",
    is_locked        SMALLINT NOT NULL,
    created_at       BIGINT,
    updated_at       BIGINT,
    deleted_at       BIGINT,
    raw              TEXT COLLATE "C",
    sync_hidden      SMALLINT NOT NULL,
    sync_hard        SMALLINT NOT NULL,
    sync_terminal    SMALLINT NOT NULL,
    sync_rank        SMALLINT NOT NULL,
    sync_updated_at  BIGINT NOT NULL,
    sync_observed_at BIGINT NOT NULL,
    sync_revision    BIGINT NOT NULL,
    sync_digest      TEXT COLLATE "C" NOT NULL,
    sync_read        SMALLINT NOT NULL,
    sync_seen_at     BIGINT NOT NULL,
    sync_gone_at     BIGINT NOT NULL,
    sync_hint_at     BIGINT NOT NULL,
    sync_write       BIGINT NOT NULL,
    sync_verified_at BIGINT
);

-- One row per webhook message id, written in the transaction that applied it.
CREATE TABLE clerk_inbox (
    message_id       TEXT COLLATE "C" PRIMARY KEY,
    received_at      BIGINT NOT NULL,
    signed_at        BIGINT,
    type             TEXT COLLATE "C",
    instance_id      TEXT COLLATE "C",
    state            TEXT COLLATE "C" NOT NULL,
    reason           TEXT COLLATE "C",
    attempts         BIGINT NOT NULL,
    subjects         TEXT COLLATE "C" NOT NULL,
    digest           TEXT COLLATE "C",
    revision         BIGINT NOT NULL,
    body             TEXT COLLATE "C"
);

-- The change feed: that something changed, never what it is now.
CREATE TABLE clerk_changes (
    seq              BIGINT PRIMARY KEY,
    kind             TEXT COLLATE "C" NOT NULL,
    id               TEXT COLLATE "C" NOT NULL,
    operation        TEXT COLLATE "C" NOT NULL,
    version          TEXT COLLATE "C" NOT NULL,
    fields           TEXT COLLATE "C" NOT NULL,
    tag              TEXT COLLATE "C" NOT NULL
);

-- Objects whose stored state is in doubt and wants one read from Clerk.
CREATE TABLE clerk_verify (
    kind             TEXT COLLATE "C" NOT NULL,
    id               TEXT COLLATE "C" NOT NULL,
    reason           TEXT COLLATE "C" NOT NULL,
    queued_write     BIGINT NOT NULL,
    queued_at        BIGINT NOT NULL,
    PRIMARY KEY (kind, id, reason)
);

-- One row. Every transaction that writes mirrored rows locks it first.
CREATE TABLE clerk_head (
    one              SMALLINT PRIMARY KEY CHECK (one = 1),
    seq              BIGINT NOT NULL,
    writes           BIGINT NOT NULL,
    high_water       BIGINT NOT NULL,
    last_received_at BIGINT NOT NULL
);

-- Facts about this database: the key of the inbox digests, the role ladder applied.
CREATE TABLE clerk_meta (
    name             TEXT COLLATE "C" PRIMARY KEY,
    value            TEXT COLLATE "C" NOT NULL
);

-- Clerk instances whose events were seen here.
CREATE TABLE clerk_instances (
    instance_id      TEXT COLLATE "C" PRIMARY KEY,
    first_seen_at    BIGINT NOT NULL
);

INSERT INTO clerk_head (one, seq, writes, high_water, last_received_at) VALUES (1, 0, 0, 0, 0);

CREATE INDEX clerk_users_email ON clerk_users (email);
CREATE INDEX clerk_users_created ON clerk_users ((COALESCE(created_at, 0)), clerk_user_id);
CREATE INDEX clerk_users_rejected ON clerk_users (role_rejected) WHERE role_rejected IS NOT NULL;
CREATE INDEX clerk_sessions_user ON clerk_sessions (clerk_user_id);
CREATE INDEX clerk_memberships_user ON clerk_memberships (clerk_user_id);
CREATE INDEX clerk_memberships_organization ON clerk_memberships (clerk_organization_id);
CREATE INDEX clerk_organizations_created ON clerk_organizations ((COALESCE(created_at, 0)), clerk_organization_id);
CREATE INDEX clerk_organizations_slug ON clerk_organizations (slug);
CREATE INDEX clerk_inbox_exceptions ON clerk_inbox (state, received_at) WHERE state <> 'applied';

-- Rows of a few kilobytes stay in one piece: compressing each costs more than the rest of its write.
ALTER TABLE clerk_users SET (toast_tuple_target = 8160);
ALTER TABLE clerk_sessions SET (toast_tuple_target = 8160);
ALTER TABLE clerk_organizations SET (toast_tuple_target = 8160);
ALTER TABLE clerk_memberships SET (toast_tuple_target = 8160);
ALTER TABLE clerk_inbox SET (toast_tuple_target = 8160);

-- The head row is rewritten by every transaction: room for its versions on one page.
ALTER TABLE clerk_head SET (fillfactor = 10);

-- What is visible: neither deleted nor hidden by a deleted parent. Every reader uses these.

CREATE VIEW clerk_permissions_live AS
SELECT t.clerk_permission_id,
    t.name,
    t.permission_key,
    t.description,
    t.type,
    t.created_at,
    t.updated_at,
    t.raw,
    CASE WHEN t.sync_rank < 3 THEN 1 ELSE 0 END AS is_stub
FROM clerk_permissions t
WHERE t.sync_hidden = 0;

CREATE VIEW clerk_roles_live AS
SELECT t.clerk_role_id,
    t.name,
    t.role_key,
    t.description,
    t.is_creator_eligible,
    (SELECT '[' || COALESCE(string_agg(to_json(e.value ->> 'key')::text, ',' ORDER BY e.ordinality), '') || ']'
        FROM json_array_elements(t.permissions::json) WITH ORDINALITY e
        WHERE NOT EXISTS (SELECT 1 FROM clerk_permissions p
            WHERE p.clerk_permission_id = e.value ->> 'id' AND p.sync_hidden = 1)) AS permissions,
    t.created_at,
    t.updated_at,
    t.raw,
    CASE WHEN t.sync_rank < 3 THEN 1 ELSE 0 END AS is_stub
FROM clerk_roles t
WHERE t.sync_hidden = 0;

CREATE VIEW clerk_organizations_live AS
SELECT t.clerk_organization_id,
    t.name,
    t.slug,
    t.image_url,
    t.max_allowed_memberships,
    t.created_by,
    t.public_metadata,
    t.private_metadata,
    t.created_at,
    t.updated_at,
    t.raw,
    CASE WHEN t.sync_rank < 3 THEN 1 ELSE 0 END AS is_stub
FROM clerk_organizations t
WHERE t.sync_hidden = 0;

CREATE VIEW clerk_memberships_live AS
SELECT t.clerk_membership_id,
    t.clerk_user_id,
    t.clerk_organization_id,
    t.role,
    COALESCE((SELECT r.permissions FROM clerk_roles_live r WHERE r.role_key = t.role
        ORDER BY COALESCE(r.created_at, 0) DESC, r.clerk_role_id DESC LIMIT 1), t.permissions) AS permissions,
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

CREATE VIEW clerk_users_live AS
SELECT t.id,
    t.clerk_user_id,
    t.email,
    t.username,
    t.first_name,
    t.last_name,
    t.profile_image_url,
    t.external_id,
    t.role,
    t.role_rejected,
    t.is_active,
    t.banned,
    t.locked,
    t.locked_until,
    t.last_login_at,
    t.last_active_at,
    t.public_metadata,
    t.private_metadata,
    t.created_at,
    t.updated_at,
    (SELECT CASE WHEN count(*) = 1 THEN min(m.clerk_organization_id) END
        FROM clerk_memberships_live m WHERE m.clerk_user_id = t.clerk_user_id) AS organization_id,
    t.raw,
    CASE WHEN t.sync_rank < 3 THEN 1 ELSE 0 END AS is_stub
FROM clerk_users t
WHERE t.sync_hidden = 0;

CREATE VIEW clerk_sessions_live AS
SELECT t.clerk_session_id,
    t.clerk_user_id,
    t.client_id,
    CASE WHEN t.status IN ('active', 'pending') AND t.created_at <
        (SELECT u.sync_banned_at FROM clerk_users u WHERE u.clerk_user_id = t.clerk_user_id)
        THEN 'revoked' ELSE t.status END AS status,
    t.actor,
    t.clerk_organization_id,
    t.last_active_at,
    t.expire_at,
    t.abandon_at,
    t.created_at,
    t.updated_at,
    t.raw,
    CASE WHEN t.sync_rank < 3 THEN 1 ELSE 0 END AS is_stub
FROM clerk_sessions t
WHERE t.sync_hidden = 0
  AND NOT EXISTS (SELECT 1 FROM clerk_users p WHERE p.clerk_user_id = t.clerk_user_id AND p.sync_hidden = 1);

CREATE VIEW clerk_invitations_live AS
SELECT t.clerk_invitation_id,
    t.clerk_organization_id,
    t.clerk_user_id,
    t.inviter_clerk_user_id,
    t.email,
    t.role,
    t.status,
    t.public_metadata,
    t.private_metadata,
    t.expires_at,
    t.created_at,
    t.updated_at,
    t.raw,
    CASE WHEN t.sync_rank < 3 THEN 1 ELSE 0 END AS is_stub
FROM clerk_invitations t
WHERE t.sync_hidden = 0
  AND NOT EXISTS (SELECT 1 FROM clerk_organizations p WHERE p.clerk_organization_id = t.clerk_organization_id AND p.sync_hidden = 1);

CREATE VIEW clerk_domains_live AS
SELECT t.clerk_domain_id,
    t.clerk_organization_id,
    t.name,
    t.enrollment_mode,
    t.created_at,
    t.updated_at,
    t.raw,
    CASE WHEN t.sync_rank < 3 THEN 1 ELSE 0 END AS is_stub
FROM clerk_domains t
WHERE t.sync_hidden = 0
  AND NOT EXISTS (SELECT 1 FROM clerk_organizations p WHERE p.clerk_organization_id = t.clerk_organization_id AND p.sync_hidden = 1);

CREATE VIEW clerk_subscriptions_live AS
SELECT t.clerk_subscription_id,
    t.clerk_user_id,
    t.clerk_organization_id,
    t.payer_id,
    t.status,
    t.active_at,
    t.canceled_at,
    t.ended_at,
    t.past_due_at,
    t.created_at,
    t.updated_at,
    t.raw,
    CASE WHEN t.sync_rank < 3 THEN 1 ELSE 0 END AS is_stub
FROM clerk_subscriptions t
WHERE t.sync_hidden = 0;

CREATE VIEW clerk_subscription_items_live AS
SELECT t.clerk_subscription_item_id,
    t.clerk_subscription_id,
    t.clerk_user_id,
    t.clerk_organization_id,
    t.status,
    t.plan_id,
    t.plan_slug,
    t.billing_interval,
    t.is_free_trial,
    t.period_start,
    t.period_end,
    t.created_at,
    t.updated_at,
    t.raw,
    CASE WHEN t.sync_rank < 3 THEN 1 ELSE 0 END AS is_stub
FROM clerk_subscription_items t
WHERE t.sync_hidden = 0;

CREATE VIEW clerk_payment_attempts_live AS
SELECT t.clerk_payment_attempt_id,
    t.payment_id,
    t.clerk_user_id,
    t.clerk_organization_id,
    t.status,
    t.charge_type,
    t.paid_at,
    t.failed_at,
    t.created_at,
    t.updated_at,
    t.raw,
    CASE WHEN t.sync_rank < 3 THEN 1 ELSE 0 END AS is_stub
FROM clerk_payment_attempts t
WHERE t.sync_hidden = 0;

CREATE VIEW clerk_waitlist_entries_live AS
SELECT t.clerk_waitlist_entry_id,
    t.email,
    t.status,
    t.is_locked,
    t.created_at,
    t.updated_at,
    t.raw,
    CASE WHEN t.sync_rank < 3 THEN 1 ELSE 0 END AS is_stub
FROM clerk_waitlist_entries t
WHERE t.sync_hidden = 0;
