-- Generated from internal/store/migrations. What a fresh database of clerksync has on postgres.

-- The schema of a clerksync mirror. docs/schema.md describes it. Columns named sync_ belong to clerksync and may change.

-- Users. id is a UUID that is derived from clerk_user_id. role is public_metadata.role where the role ladder has it, else the
-- lowest role. deprovisioned is the flag of a directory (SCIM) in the last version that carries it. overrides are the fields that
-- an operator set here, as JSON such as {"role":"admin"}; the columns show them instead of what Clerk says.
CREATE TABLE clerk_users (
    id                         UUID PRIMARY KEY,
    clerk_user_id              TEXT COLLATE "C" NOT NULL UNIQUE,
    email                      TEXT COLLATE "C",
    phone                      TEXT COLLATE "C",
    username                   TEXT COLLATE "C",
    first_name                 TEXT COLLATE "C",
    last_name                  TEXT COLLATE "C",
    profile_image_url          TEXT COLLATE "C",
    external_id                TEXT COLLATE "C",
    role                       TEXT COLLATE "C" NOT NULL,
    role_rejected              TEXT COLLATE "C",
    is_active                  SMALLINT NOT NULL,
    banned                     SMALLINT NOT NULL,
    deprovisioned              SMALLINT NOT NULL,
    locked                     SMALLINT NOT NULL,
    locked_until               BIGINT,
    last_login_at              BIGINT,
    last_active_at             BIGINT,
    public_metadata            TEXT COLLATE "C",
    private_metadata           TEXT COLLATE "C",
    created_at                 BIGINT,
    updated_at                 BIGINT,
    overrides                  TEXT COLLATE "C",
    sync_banned_at             BIGINT NOT NULL,
    sync_provision_at          BIGINT NOT NULL,
    sync_provision_seen_at     BIGINT NOT NULL,
    deleted_at                 BIGINT,
    sync_hidden                SMALLINT NOT NULL,
    sync_hard                  SMALLINT NOT NULL,
    sync_terminal              SMALLINT NOT NULL,
    sync_rank                  SMALLINT NOT NULL,
    sync_updated_at            BIGINT NOT NULL,
    sync_observed_at           BIGINT NOT NULL,
    sync_revision              BIGINT NOT NULL,
    sync_digest                TEXT COLLATE "C" NOT NULL,
    sync_read                  SMALLINT NOT NULL,
    sync_seen_at               BIGINT NOT NULL,
    sync_gone_at               BIGINT NOT NULL,
    sync_hint_at               BIGINT NOT NULL,
    sync_write                 BIGINT NOT NULL,
    sync_erased                SMALLINT NOT NULL,
    sync_verified_at           BIGINT,
    sync_read_after            BIGINT NOT NULL, -- the head's write counter from before the latest read that found it
    sync_checksum              BIGINT NOT NULL, -- of the columns and the body as clerksync wrote them
    raw                        TEXT COLLATE "C" -- last, so that SQLite reads the other columns without its overflow pages
);

-- Sessions. status is what Clerk said last, or what an operator set here (overrides). clerk_sessions_live also considers bans.
CREATE TABLE clerk_sessions (
    clerk_session_id           TEXT COLLATE "C" PRIMARY KEY,
    clerk_user_id              TEXT COLLATE "C",
    client_id                  TEXT COLLATE "C",
    status                     TEXT COLLATE "C",
    actor                      TEXT COLLATE "C",
    clerk_organization_id      TEXT COLLATE "C",
    last_active_at             BIGINT,
    expire_at                  BIGINT,
    abandon_at                 BIGINT,
    created_at                 BIGINT,
    updated_at                 BIGINT,
    overrides                  TEXT COLLATE "C",
    deleted_at                 BIGINT,
    sync_hidden                SMALLINT NOT NULL,
    sync_hard                  SMALLINT NOT NULL,
    sync_terminal              SMALLINT NOT NULL,
    sync_rank                  SMALLINT NOT NULL,
    sync_updated_at            BIGINT NOT NULL,
    sync_observed_at           BIGINT NOT NULL,
    sync_revision              BIGINT NOT NULL,
    sync_digest                TEXT COLLATE "C" NOT NULL,
    sync_read                  SMALLINT NOT NULL,
    sync_seen_at               BIGINT NOT NULL,
    sync_gone_at               BIGINT NOT NULL,
    sync_hint_at               BIGINT NOT NULL,
    sync_write                 BIGINT NOT NULL,
    sync_erased                SMALLINT NOT NULL,
    sync_verified_at           BIGINT,
    sync_read_after            BIGINT NOT NULL, -- the head's write counter from before the latest read that found it
    sync_checksum              BIGINT NOT NULL, -- of the columns and the body as clerksync wrote them
    raw                        TEXT COLLATE "C" -- last, so that SQLite reads the other columns without its overflow pages
);

-- Organizations.
CREATE TABLE clerk_organizations (
    clerk_organization_id      TEXT COLLATE "C" PRIMARY KEY,
    name                       TEXT COLLATE "C",
    slug                       TEXT COLLATE "C",
    image_url                  TEXT COLLATE "C",
    max_allowed_memberships    BIGINT,
    created_by                 TEXT COLLATE "C",
    public_metadata            TEXT COLLATE "C",
    private_metadata           TEXT COLLATE "C",
    created_at                 BIGINT,
    updated_at                 BIGINT,
    deleted_at                 BIGINT,
    sync_hidden                SMALLINT NOT NULL,
    sync_hard                  SMALLINT NOT NULL,
    sync_terminal              SMALLINT NOT NULL,
    sync_rank                  SMALLINT NOT NULL,
    sync_updated_at            BIGINT NOT NULL,
    sync_observed_at           BIGINT NOT NULL,
    sync_revision              BIGINT NOT NULL,
    sync_digest                TEXT COLLATE "C" NOT NULL,
    sync_read                  SMALLINT NOT NULL,
    sync_seen_at               BIGINT NOT NULL,
    sync_gone_at               BIGINT NOT NULL,
    sync_hint_at               BIGINT NOT NULL,
    sync_write                 BIGINT NOT NULL,
    sync_erased                SMALLINT NOT NULL,
    sync_verified_at           BIGINT,
    sync_read_after            BIGINT NOT NULL, -- the head's write counter from before the latest read that found it
    sync_checksum              BIGINT NOT NULL, -- of the columns and the body as clerksync wrote them
    raw                        TEXT COLLATE "C" -- last, so that SQLite reads the other columns without its overflow pages
);

-- Memberships. permissions are what Clerk sent. clerk_memberships_live prefers those of the live role.
CREATE TABLE clerk_memberships (
    clerk_membership_id        TEXT COLLATE "C" PRIMARY KEY,
    clerk_user_id              TEXT COLLATE "C",
    clerk_organization_id      TEXT COLLATE "C",
    role                       TEXT COLLATE "C",
    permissions                TEXT COLLATE "C",
    public_metadata            TEXT COLLATE "C",
    private_metadata           TEXT COLLATE "C",
    created_at                 BIGINT,
    updated_at                 BIGINT,
    deleted_at                 BIGINT,
    sync_hidden                SMALLINT NOT NULL,
    sync_hard                  SMALLINT NOT NULL,
    sync_terminal              SMALLINT NOT NULL,
    sync_rank                  SMALLINT NOT NULL,
    sync_updated_at            BIGINT NOT NULL,
    sync_observed_at           BIGINT NOT NULL,
    sync_revision              BIGINT NOT NULL,
    sync_digest                TEXT COLLATE "C" NOT NULL,
    sync_read                  SMALLINT NOT NULL,
    sync_seen_at               BIGINT NOT NULL,
    sync_gone_at               BIGINT NOT NULL,
    sync_hint_at               BIGINT NOT NULL,
    sync_write                 BIGINT NOT NULL,
    sync_erased                SMALLINT NOT NULL,
    sync_verified_at           BIGINT,
    sync_read_after            BIGINT NOT NULL, -- the head's write counter from before the latest read that found it
    sync_checksum              BIGINT NOT NULL, -- of the columns and the body as clerksync wrote them
    raw                        TEXT COLLATE "C" -- last, so that SQLite reads the other columns without its overflow pages
);

-- Invitations to organizations. clerk_user_id is the user who accepted.
CREATE TABLE clerk_invitations (
    clerk_invitation_id        TEXT COLLATE "C" PRIMARY KEY,
    clerk_organization_id      TEXT COLLATE "C",
    clerk_user_id              TEXT COLLATE "C",
    inviter_clerk_user_id      TEXT COLLATE "C",
    email                      TEXT COLLATE "C",
    role                       TEXT COLLATE "C",
    status                     TEXT COLLATE "C",
    public_metadata            TEXT COLLATE "C",
    private_metadata           TEXT COLLATE "C",
    expires_at                 BIGINT,
    created_at                 BIGINT,
    updated_at                 BIGINT,
    deleted_at                 BIGINT,
    sync_hidden                SMALLINT NOT NULL,
    sync_hard                  SMALLINT NOT NULL,
    sync_terminal              SMALLINT NOT NULL,
    sync_rank                  SMALLINT NOT NULL,
    sync_updated_at            BIGINT NOT NULL,
    sync_observed_at           BIGINT NOT NULL,
    sync_revision              BIGINT NOT NULL,
    sync_digest                TEXT COLLATE "C" NOT NULL,
    sync_read                  SMALLINT NOT NULL,
    sync_seen_at               BIGINT NOT NULL,
    sync_gone_at               BIGINT NOT NULL,
    sync_hint_at               BIGINT NOT NULL,
    sync_write                 BIGINT NOT NULL,
    sync_erased                SMALLINT NOT NULL,
    sync_verified_at           BIGINT,
    sync_read_after            BIGINT NOT NULL, -- the head's write counter from before the latest read that found it
    sync_checksum              BIGINT NOT NULL, -- of the columns and the body as clerksync wrote them
    raw                        TEXT COLLATE "C" -- last, so that SQLite reads the other columns without its overflow pages
);

-- Domains of organizations.
CREATE TABLE clerk_domains (
    clerk_domain_id            TEXT COLLATE "C" PRIMARY KEY,
    clerk_organization_id      TEXT COLLATE "C",
    name                       TEXT COLLATE "C",
    enrollment_mode            TEXT COLLATE "C",
    created_at                 BIGINT,
    updated_at                 BIGINT,
    deleted_at                 BIGINT,
    sync_hidden                SMALLINT NOT NULL,
    sync_hard                  SMALLINT NOT NULL,
    sync_terminal              SMALLINT NOT NULL,
    sync_rank                  SMALLINT NOT NULL,
    sync_updated_at            BIGINT NOT NULL,
    sync_observed_at           BIGINT NOT NULL,
    sync_revision              BIGINT NOT NULL,
    sync_digest                TEXT COLLATE "C" NOT NULL,
    sync_read                  SMALLINT NOT NULL,
    sync_seen_at               BIGINT NOT NULL,
    sync_gone_at               BIGINT NOT NULL,
    sync_hint_at               BIGINT NOT NULL,
    sync_write                 BIGINT NOT NULL,
    sync_erased                SMALLINT NOT NULL,
    sync_verified_at           BIGINT,
    sync_read_after            BIGINT NOT NULL, -- the head's write counter from before the latest read that found it
    sync_checksum              BIGINT NOT NULL, -- of the columns and the body as clerksync wrote them
    raw                        TEXT COLLATE "C" -- last, so that SQLite reads the other columns without its overflow pages
);

-- Roles of organizations. permissions is a list of ids and keys.
CREATE TABLE clerk_roles (
    clerk_role_id              TEXT COLLATE "C" PRIMARY KEY,
    name                       TEXT COLLATE "C",
    role_key                   TEXT COLLATE "C",
    description                TEXT COLLATE "C",
    is_creator_eligible        SMALLINT NOT NULL,
    permissions                TEXT COLLATE "C",
    created_at                 BIGINT,
    updated_at                 BIGINT,
    deleted_at                 BIGINT,
    sync_hidden                SMALLINT NOT NULL,
    sync_hard                  SMALLINT NOT NULL,
    sync_terminal              SMALLINT NOT NULL,
    sync_rank                  SMALLINT NOT NULL,
    sync_updated_at            BIGINT NOT NULL,
    sync_observed_at           BIGINT NOT NULL,
    sync_revision              BIGINT NOT NULL,
    sync_digest                TEXT COLLATE "C" NOT NULL,
    sync_read                  SMALLINT NOT NULL,
    sync_seen_at               BIGINT NOT NULL,
    sync_gone_at               BIGINT NOT NULL,
    sync_hint_at               BIGINT NOT NULL,
    sync_write                 BIGINT NOT NULL,
    sync_erased                SMALLINT NOT NULL,
    sync_verified_at           BIGINT,
    sync_read_after            BIGINT NOT NULL, -- the head's write counter from before the latest read that found it
    sync_checksum              BIGINT NOT NULL, -- of the columns and the body as clerksync wrote them
    raw                        TEXT COLLATE "C" -- last, so that SQLite reads the other columns without its overflow pages
);

-- Permissions of organizations.
CREATE TABLE clerk_permissions (
    clerk_permission_id        TEXT COLLATE "C" PRIMARY KEY,
    name                       TEXT COLLATE "C",
    permission_key             TEXT COLLATE "C",
    description                TEXT COLLATE "C",
    type                       TEXT COLLATE "C",
    created_at                 BIGINT,
    updated_at                 BIGINT,
    deleted_at                 BIGINT,
    sync_hidden                SMALLINT NOT NULL,
    sync_hard                  SMALLINT NOT NULL,
    sync_terminal              SMALLINT NOT NULL,
    sync_rank                  SMALLINT NOT NULL,
    sync_updated_at            BIGINT NOT NULL,
    sync_observed_at           BIGINT NOT NULL,
    sync_revision              BIGINT NOT NULL,
    sync_digest                TEXT COLLATE "C" NOT NULL,
    sync_read                  SMALLINT NOT NULL,
    sync_seen_at               BIGINT NOT NULL,
    sync_gone_at               BIGINT NOT NULL,
    sync_hint_at               BIGINT NOT NULL,
    sync_write                 BIGINT NOT NULL,
    sync_erased                SMALLINT NOT NULL,
    sync_verified_at           BIGINT,
    sync_read_after            BIGINT NOT NULL, -- the head's write counter from before the latest read that found it
    sync_checksum              BIGINT NOT NULL, -- of the columns and the body as clerksync wrote them
    raw                        TEXT COLLATE "C" -- last, so that SQLite reads the other columns without its overflow pages
);

-- Billing: subscriptions of users and organizations.
CREATE TABLE clerk_subscriptions (
    clerk_subscription_id      TEXT COLLATE "C" PRIMARY KEY,
    clerk_user_id              TEXT COLLATE "C",
    clerk_organization_id      TEXT COLLATE "C",
    payer_id                   TEXT COLLATE "C",
    status                     TEXT COLLATE "C",
    active_at                  BIGINT,
    canceled_at                BIGINT,
    ended_at                   BIGINT,
    past_due_at                BIGINT,
    created_at                 BIGINT,
    updated_at                 BIGINT,
    deleted_at                 BIGINT,
    sync_hidden                SMALLINT NOT NULL,
    sync_hard                  SMALLINT NOT NULL,
    sync_terminal              SMALLINT NOT NULL,
    sync_rank                  SMALLINT NOT NULL,
    sync_updated_at            BIGINT NOT NULL,
    sync_observed_at           BIGINT NOT NULL,
    sync_revision              BIGINT NOT NULL,
    sync_digest                TEXT COLLATE "C" NOT NULL,
    sync_read                  SMALLINT NOT NULL,
    sync_seen_at               BIGINT NOT NULL,
    sync_gone_at               BIGINT NOT NULL,
    sync_hint_at               BIGINT NOT NULL,
    sync_write                 BIGINT NOT NULL,
    sync_erased                SMALLINT NOT NULL,
    sync_verified_at           BIGINT,
    sync_read_after            BIGINT NOT NULL, -- the head's write counter from before the latest read that found it
    sync_checksum              BIGINT NOT NULL, -- of the columns and the body as clerksync wrote them
    raw                        TEXT COLLATE "C" -- last, so that SQLite reads the other columns without its overflow pages
);

-- Billing: the plans of a subscription.
CREATE TABLE clerk_subscription_items (
    clerk_subscription_item_id TEXT COLLATE "C" PRIMARY KEY,
    clerk_subscription_id      TEXT COLLATE "C",
    clerk_user_id              TEXT COLLATE "C",
    clerk_organization_id      TEXT COLLATE "C",
    status                     TEXT COLLATE "C",
    plan_id                    TEXT COLLATE "C",
    plan_slug                  TEXT COLLATE "C",
    billing_interval           TEXT COLLATE "C",
    is_free_trial              SMALLINT NOT NULL,
    period_start               BIGINT,
    period_end                 BIGINT,
    created_at                 BIGINT,
    updated_at                 BIGINT,
    deleted_at                 BIGINT,
    sync_hidden                SMALLINT NOT NULL,
    sync_hard                  SMALLINT NOT NULL,
    sync_terminal              SMALLINT NOT NULL,
    sync_rank                  SMALLINT NOT NULL,
    sync_updated_at            BIGINT NOT NULL,
    sync_observed_at           BIGINT NOT NULL,
    sync_revision              BIGINT NOT NULL,
    sync_digest                TEXT COLLATE "C" NOT NULL,
    sync_read                  SMALLINT NOT NULL,
    sync_seen_at               BIGINT NOT NULL,
    sync_gone_at               BIGINT NOT NULL,
    sync_hint_at               BIGINT NOT NULL,
    sync_write                 BIGINT NOT NULL,
    sync_erased                SMALLINT NOT NULL,
    sync_verified_at           BIGINT,
    sync_read_after            BIGINT NOT NULL, -- the head's write counter from before the latest read that found it
    sync_checksum              BIGINT NOT NULL, -- of the columns and the body as clerksync wrote them
    raw                        TEXT COLLATE "C" -- last, so that SQLite reads the other columns without its overflow pages
);

-- Billing: attempts to pay.
CREATE TABLE clerk_payment_attempts (
    clerk_payment_attempt_id   TEXT COLLATE "C" PRIMARY KEY,
    payment_id                 TEXT COLLATE "C",
    clerk_user_id              TEXT COLLATE "C",
    clerk_organization_id      TEXT COLLATE "C",
    status                     TEXT COLLATE "C",
    charge_type                TEXT COLLATE "C",
    paid_at                    BIGINT,
    failed_at                  BIGINT,
    created_at                 BIGINT,
    updated_at                 BIGINT,
    deleted_at                 BIGINT,
    sync_hidden                SMALLINT NOT NULL,
    sync_hard                  SMALLINT NOT NULL,
    sync_terminal              SMALLINT NOT NULL,
    sync_rank                  SMALLINT NOT NULL,
    sync_updated_at            BIGINT NOT NULL,
    sync_observed_at           BIGINT NOT NULL,
    sync_revision              BIGINT NOT NULL,
    sync_digest                TEXT COLLATE "C" NOT NULL,
    sync_read                  SMALLINT NOT NULL,
    sync_seen_at               BIGINT NOT NULL,
    sync_gone_at               BIGINT NOT NULL,
    sync_hint_at               BIGINT NOT NULL,
    sync_write                 BIGINT NOT NULL,
    sync_erased                SMALLINT NOT NULL,
    sync_verified_at           BIGINT,
    sync_read_after            BIGINT NOT NULL, -- the head's write counter from before the latest read that found it
    sync_checksum              BIGINT NOT NULL, -- of the columns and the body as clerksync wrote them
    raw                        TEXT COLLATE "C" -- last, so that SQLite reads the other columns without its overflow pages
);

-- The waitlist.
CREATE TABLE clerk_waitlist_entries (
    clerk_waitlist_entry_id    TEXT COLLATE "C" PRIMARY KEY,
    email                      TEXT COLLATE "C",
    status                     TEXT COLLATE "C",
    is_locked                  SMALLINT NOT NULL,
    created_at                 BIGINT,
    updated_at                 BIGINT,
    deleted_at                 BIGINT,
    sync_hidden                SMALLINT NOT NULL,
    sync_hard                  SMALLINT NOT NULL,
    sync_terminal              SMALLINT NOT NULL,
    sync_rank                  SMALLINT NOT NULL,
    sync_updated_at            BIGINT NOT NULL,
    sync_observed_at           BIGINT NOT NULL,
    sync_revision              BIGINT NOT NULL,
    sync_digest                TEXT COLLATE "C" NOT NULL,
    sync_read                  SMALLINT NOT NULL,
    sync_seen_at               BIGINT NOT NULL,
    sync_gone_at               BIGINT NOT NULL,
    sync_hint_at               BIGINT NOT NULL,
    sync_write                 BIGINT NOT NULL,
    sync_erased                SMALLINT NOT NULL,
    sync_verified_at           BIGINT,
    sync_read_after            BIGINT NOT NULL, -- the head's write counter from before the latest read that found it
    sync_checksum              BIGINT NOT NULL, -- of the columns and the body as clerksync wrote them
    raw                        TEXT COLLATE "C" -- last, so that SQLite reads the other columns without its overflow pages
);

-- Local overrides: values that an operator set here and that hold instead of what Clerk says. Users and sessions have the fields
-- and values in their column overrides too, so that no row is written or read without them.
CREATE TABLE clerk_overrides (
    kind                       TEXT COLLATE "C" NOT NULL,
    id                         TEXT COLLATE "C" NOT NULL,
    field                      TEXT COLLATE "C" NOT NULL,
    value                      TEXT COLLATE "C" NOT NULL,
    created_at                 BIGINT NOT NULL,
    created_by                 TEXT COLLATE "C",
    reason                     TEXT COLLATE "C",
    PRIMARY KEY (kind, id, field)
);

-- Every key that a version of a role had, with the prefix "org:". It only grows. What arrives with a key that its role no
-- longer has is read again.
CREATE TABLE clerk_role_keys (
    role_key                   TEXT COLLATE "C" NOT NULL,
    clerk_role_id              TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (role_key, clerk_role_id)
);

-- The inbox: one row per webhook message id, written in the transaction that applied the message. problem is what the
-- application's OnChange said, where it refused the changes. seq is the number of the last change before those of that
-- transaction.
CREATE TABLE clerk_inbox (
    message_id                 TEXT COLLATE "C" PRIMARY KEY,
    received_at                BIGINT NOT NULL,
    signed_at                  BIGINT,
    type                       TEXT COLLATE "C",
    instance_id                TEXT COLLATE "C",
    state                      TEXT COLLATE "C" NOT NULL,
    reason                     TEXT COLLATE "C",
    problem                    TEXT COLLATE "C",
    attempts                   BIGINT NOT NULL,
    subjects                   TEXT COLLATE "C" NOT NULL,
    digest                     TEXT COLLATE "C",
    revision                   BIGINT NOT NULL,
    seq                        BIGINT NOT NULL,
    body                       TEXT COLLATE "C"
);

-- The change feed: what changed, and not the new values. at is when, by the clock of the process that wrote it. The user and
-- the organization are those of the object; a user and an organization are their own. origin is what caused it: a message id,
-- or a word such as "read".
CREATE TABLE clerk_changes (
    seq                        BIGINT PRIMARY KEY,
    at                         BIGINT NOT NULL,
    kind                       TEXT COLLATE "C" NOT NULL,
    id                         TEXT COLLATE "C" NOT NULL,
    clerk_user_id              TEXT COLLATE "C",
    clerk_organization_id      TEXT COLLATE "C",
    operation                  TEXT COLLATE "C" NOT NULL,
    version                    TEXT COLLATE "C" NOT NULL,
    fields                     TEXT COLLATE "C" NOT NULL,
    tag                        TEXT COLLATE "C" NOT NULL,
    origin                     TEXT COLLATE "C" NOT NULL
);

-- How far the change feed had come at some times. Its retention finds old entries by it.
CREATE TABLE clerk_feed_marks (
    at                         BIGINT PRIMARY KEY,
    seq                        BIGINT NOT NULL
);

-- Consumers of the change feed. cursor is how far one has come; '' means that it has not begun. seq is the number of that change,
-- or where the feed ended when a snapshot began. edits counts what operators changed of its parked changes. gone says why the
-- feed cannot be continued after the cursor, else it is ''.
CREATE TABLE clerk_consumers (
    name                       TEXT COLLATE "C" PRIMARY KEY,
    cursor                     TEXT COLLATE "C" NOT NULL,
    seq                        BIGINT NOT NULL,
    edits                      BIGINT NOT NULL,
    paused                     SMALLINT NOT NULL,
    gone                       TEXT COLLATE "C" NOT NULL,
    last_error                 TEXT COLLATE "C",
    last_error_at              BIGINT,
    created_at                 BIGINT NOT NULL,
    updated_at                 BIGINT NOT NULL
);

-- Changes that a consumer has passed and not handled: held back until they succeed, or parked. They are copies of the feed's
-- entries and hold ids. error is the text that the application returned.
CREATE TABLE clerk_consumer_parked (
    consumer                   TEXT COLLATE "C" NOT NULL,
    cursor                     TEXT COLLATE "C" NOT NULL,
    seq                        BIGINT NOT NULL,
    parked                     SMALLINT NOT NULL,
    attempts                   BIGINT NOT NULL,
    due_at                     BIGINT NOT NULL,
    failed_at                  BIGINT NOT NULL,
    error                      TEXT COLLATE "C" NOT NULL,
    at                         BIGINT NOT NULL,
    kind                       TEXT COLLATE "C" NOT NULL,
    id                         TEXT COLLATE "C" NOT NULL,
    clerk_user_id              TEXT COLLATE "C",
    clerk_organization_id      TEXT COLLATE "C",
    operation                  TEXT COLLATE "C" NOT NULL,
    version                    TEXT COLLATE "C" NOT NULL,
    fields                     TEXT COLLATE "C" NOT NULL,
    origin                     TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (consumer, cursor)
);

-- The verify queue: objects to be read again from Clerk by id.
CREATE TABLE clerk_verify (
    kind                       TEXT COLLATE "C" NOT NULL,
    id                         TEXT COLLATE "C" NOT NULL,
    reason                     TEXT COLLATE "C" NOT NULL,
    queued_write               BIGINT NOT NULL,
    queued_at                  BIGINT NOT NULL,
    PRIMARY KEY (kind, id, reason)
);

-- Verify-queue entries of rows that their user or organization hides. They return to clerk_verify with it.
CREATE TABLE clerk_verify_hidden (
    kind                       TEXT COLLATE "C" NOT NULL,
    id                         TEXT COLLATE "C" NOT NULL,
    reason                     TEXT COLLATE "C" NOT NULL,
    queued_write               BIGINT NOT NULL,
    queued_at                  BIGINT NOT NULL,
    PRIMARY KEY (kind, id, reason)
);

-- Objects for which one answer from Clerk must be confirmed by a second, and when to ask again.
CREATE TABLE clerk_suspects (
    kind                       TEXT COLLATE "C" NOT NULL,
    id                         TEXT COLLATE "C" NOT NULL,
    reason                     TEXT COLLATE "C" NOT NULL,
    since_write                BIGINT NOT NULL,
    due_at                     BIGINT NOT NULL,
    attempts                   BIGINT NOT NULL,
    PRIMARY KEY (kind, id)
);

-- How each list at Clerk was read last. begun_write, observed_at and begun_by say when the walk under way or the last one began:
-- by the head's write counter, and the bounds by Clerk's clock (an upper bound of 0: Clerk told no time). The columns
-- complete_… say the same of the last complete walk. known_left counts the differences that the last comparison left.
-- rows_total is Clerk's own count, -1 where it gives none. lease_token is that of the last process that walked.
-- refused: Clerk has no such list for this instance. swept_at is when the last successful sweep began.
CREATE TABLE clerk_walks (
    list                       TEXT COLLATE "C" PRIMARY KEY,
    backfilled_at              BIGINT NOT NULL,
    cursor                     TEXT COLLATE "C" NOT NULL,
    watermark                  BIGINT NOT NULL,
    begun_at                   BIGINT NOT NULL,
    ended_at                   BIGINT NOT NULL,
    complete                   SMALLINT NOT NULL,
    complete_at                BIGINT NOT NULL,
    reason                     TEXT COLLATE "C" NOT NULL,
    refused                    SMALLINT NOT NULL,
    rows_read                  BIGINT NOT NULL,
    rows_total                 BIGINT NOT NULL,
    found                      BIGINT NOT NULL,
    repaired                   BIGINT NOT NULL,
    known_left                 BIGINT NOT NULL,
    lease_token                BIGINT NOT NULL,
    swept_at                   BIGINT NOT NULL,
    begun_write                BIGINT NOT NULL,
    observed_at                BIGINT NOT NULL,
    begun_by                   BIGINT NOT NULL,
    complete_write             BIGINT NOT NULL,
    complete_observed_at       BIGINT NOT NULL,
    complete_by                BIGINT NOT NULL
);

-- The drift report: what differed from Clerk. It holds names of fields, never values.
CREATE TABLE clerk_drift (
    kind                       TEXT COLLATE "C" NOT NULL,
    id                         TEXT COLLATE "C" NOT NULL,
    found_at                   BIGINT NOT NULL,
    fields                     TEXT COLLATE "C" NOT NULL,
    cause                      TEXT COLLATE "C" NOT NULL,
    since                      BIGINT NOT NULL,
    repaired                   SMALLINT NOT NULL,
    PRIMARY KEY (kind, id, found_at)
);

-- Which process may walk and repair, works on jobs, and runs a consumer ("consumer:NAME"). The token counts the holders: a holder that
-- was overtaken has an old one.
CREATE TABLE clerk_leases (
    name                       TEXT COLLATE "C" PRIMARY KEY,
    token                      BIGINT NOT NULL,
    holder                     TEXT COLLATE "C" NOT NULL,
    expires_at                 BIGINT NOT NULL
);

-- The processes that run this mirror, each with its last sign of life. A row that a process leaves behind means that it was
-- killed, or that the database is a copy taken while it ran.
CREATE TABLE clerk_runners (
    holder                     TEXT COLLATE "C" PRIMARY KEY,
    alive_at                   BIGINT NOT NULL
);

-- The audit: what was refused, done on behalf of another user, changed in roles, or done by operators. It holds ids, names and
-- the addresses of operators, no other personal values.
CREATE TABLE clerk_audit (
    audit_id                   TEXT COLLATE "C" PRIMARY KEY,
    at                         BIGINT NOT NULL,
    action                     TEXT COLLATE "C" NOT NULL,
    clerk_user_id              TEXT COLLATE "C",
    clerk_session_id           TEXT COLLATE "C",
    clerk_organization_id      TEXT COLLATE "C",
    object                     TEXT COLLATE "C",
    actor                      TEXT COLLATE "C",
    address                    TEXT COLLATE "C",
    origin                     TEXT COLLATE "C",
    was                        TEXT COLLATE "C",
    became                     TEXT COLLATE "C",
    failure                    TEXT COLLATE "C",
    request_id                 TEXT COLLATE "C"
);

-- Named operators. token_digest is the SHA-256 of the token in hexadecimal. A token has 256 random bits, so it cannot be found
-- from its digest: reading this table is not enough to sign in. Anyone who can write it can make operators.
CREATE TABLE clerk_operators (
    name                       TEXT COLLATE "C" PRIMARY KEY,
    token_digest               TEXT COLLATE "C" NOT NULL UNIQUE,
    read_only                  SMALLINT NOT NULL,
    created_at                 BIGINT NOT NULL,
    created_by                 TEXT COLLATE "C",
    expires_at                 BIGINT NOT NULL,
    last_used_at               BIGINT
);

-- Browsers that are signed in to the console, and links that sign one in. digest is the SHA-256 of the cookie or of the link, in
-- hexadecimal; both have 256 random bits. token_digest binds a session to the token of its operator: it ends with that token. It
-- is NULL for a link that names no operator, and for the sessions that such a link begins.
CREATE TABLE clerk_console_sessions (
    digest                     TEXT COLLATE "C" PRIMARY KEY,
    is_link                    SMALLINT NOT NULL,
    operator                   TEXT COLLATE "C",
    token_digest               TEXT COLLATE "C",
    created_at                 BIGINT NOT NULL,
    created_from               TEXT COLLATE "C",
    expires_at                 BIGINT NOT NULL
);
CREATE INDEX clerk_console_sessions_expires_at ON clerk_console_sessions (expires_at);

-- Receipts of erasures, and the progress of the search for copies. search holds what to look for, such as addresses, and is
-- emptied when the search is done.
CREATE TABLE clerk_erasures (
    clerk_user_id              TEXT COLLATE "C" PRIMARY KEY,
    at                         BIGINT NOT NULL,
    cause                      TEXT COLLATE "C" NOT NULL,
    erased_rows                BIGINT NOT NULL,
    bodies                     BIGINT NOT NULL,
    search                     TEXT COLLATE "C" NOT NULL,
    cursor                     TEXT COLLATE "C" NOT NULL,
    done_at                    BIGINT
);

-- Outgoing webhooks: the URLs to which changes are sent. kinds and types are filters, separated by commas; an empty one selects
-- all. The secrets sign messages and are stored as they are: anyone who reads this table can sign. cursor is the place in the
-- change feed up to which messages were queued. revision counts what operators, or the end of an endpoint, changed.
CREATE TABLE clerk_webhook_endpoints (
    endpoint_id                TEXT COLLATE "C" PRIMARY KEY,
    url                        TEXT COLLATE "C" NOT NULL,
    description                TEXT COLLATE "C" NOT NULL,
    kinds                      TEXT COLLATE "C" NOT NULL,
    types                      TEXT COLLATE "C" NOT NULL,
    clerk_organization_id      TEXT COLLATE "C",
    secret                     TEXT COLLATE "C" NOT NULL,
    previous_secret            TEXT COLLATE "C",
    previous_until             BIGINT,
    disabled_at                BIGINT,
    disabled_reason            TEXT COLLATE "C",
    failing_since              BIGINT,
    cursor                     TEXT COLLATE "C" NOT NULL,
    created_at                 BIGINT NOT NULL,
    revision                   BIGINT NOT NULL
);

-- Outgoing webhooks: messages that wait to be sent, and those that failed. What was delivered is removed. due_at is set for one
-- waiting message of each object, so that the others wait for it.
CREATE TABLE clerk_webhook_messages (
    endpoint_id                TEXT COLLATE "C" NOT NULL,
    seq                        BIGINT NOT NULL,
    tag                        TEXT COLLATE "C" NOT NULL,
    at                         BIGINT NOT NULL,
    kind                       TEXT COLLATE "C" NOT NULL,
    id                         TEXT COLLATE "C" NOT NULL,
    operation                  TEXT COLLATE "C" NOT NULL,
    version                    TEXT COLLATE "C" NOT NULL,
    clerk_user_id              TEXT COLLATE "C",
    clerk_organization_id      TEXT COLLATE "C",
    attempts                   BIGINT NOT NULL,
    due_at                     BIGINT,
    failed_at                  BIGINT,
    PRIMARY KEY (endpoint_id, seq)
);

-- Outgoing webhooks: what was sent, and how it ended. reason is NULL where it was delivered.
CREATE TABLE clerk_webhook_attempts (
    attempt_id                 TEXT COLLATE "C" PRIMARY KEY,
    endpoint_id                TEXT COLLATE "C" NOT NULL,
    message_id                 TEXT COLLATE "C" NOT NULL,
    type                       TEXT COLLATE "C" NOT NULL,
    id                         TEXT COLLATE "C" NOT NULL,
    at                         BIGINT NOT NULL,
    attempt                    BIGINT NOT NULL,
    status                     BIGINT NOT NULL,
    duration_ms                BIGINT NOT NULL,
    reason                     TEXT COLLATE "C"
);

-- Jobs: work on many objects in the background. request, plan and progress are JSON. Objects that were created or received
-- after selected_until are not selected: it is the time of the plan, or that of the newest object then. cursor is how far the job has come in the
-- list of its objects, or '' at the beginning. address and request_id are those of who started it last.
CREATE TABLE clerk_jobs (
    job_id                     TEXT COLLATE "C" PRIMARY KEY,
    action                     TEXT COLLATE "C" NOT NULL,
    state                      TEXT COLLATE "C" NOT NULL,
    request                    TEXT COLLATE "C" NOT NULL,
    plan                       TEXT COLLATE "C" NOT NULL,
    selected_until             BIGINT NOT NULL,
    cursor                     TEXT COLLATE "C" NOT NULL,
    done                       BIGINT NOT NULL,
    failed                     BIGINT NOT NULL,
    skipped                    BIGINT NOT NULL,
    progress                   TEXT COLLATE "C" NOT NULL,
    error                      TEXT COLLATE "C",
    created_at                 BIGINT NOT NULL,
    created_by                 TEXT COLLATE "C",
    expires_at                 BIGINT NOT NULL,
    started_at                 BIGINT,
    started_by                 TEXT COLLATE "C",
    address                    TEXT COLLATE "C",
    request_id                 TEXT COLLATE "C",
    cancelled_by               TEXT COLLATE "C",
    updated_at                 BIGINT NOT NULL,
    ended_at                   BIGINT
);

-- Objects that a job could not work on, the first 10,000 of each job.
CREATE TABLE clerk_job_failures (
    job_id                     TEXT COLLATE "C" NOT NULL,
    number                     BIGINT NOT NULL,
    object_id                  TEXT COLLATE "C" NOT NULL,
    reason                     TEXT COLLATE "C" NOT NULL,
    at                         BIGINT NOT NULL,
    PRIMARY KEY (job_id, number)
);

-- What each process stored and refused in a minute. lags counts events by how late they came: pairs of a bucket, whose bounds
-- internal/activity knows, and a number.
CREATE TABLE clerk_minutes (
    minute                     BIGINT NOT NULL,
    holder                     TEXT COLLATE "C" NOT NULL,
    events                     BIGINT NOT NULL,
    refused                    BIGINT NOT NULL,
    lags                       TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (minute, holder)
);

-- API keys and opaque tokens that Clerk has accepted, so that a restart does not ask again. digest is the HMAC-SHA-256 of the token
-- under a key of this database; the token itself is not stored. claims is what the creator of the token stored with it at Clerk.
-- checked_at is when Clerk was asked the last time that it called the token valid, and verified_at when it was asked by the token
-- itself and not by its id.
CREATE TABLE clerk_machine_tokens (
    digest                     TEXT COLLATE "C" PRIMARY KEY,
    kind                       TEXT COLLATE "C" NOT NULL,
    key_id                     TEXT COLLATE "C" NOT NULL,
    subject                    TEXT COLLATE "C" NOT NULL,
    created_by                 TEXT COLLATE "C",
    client_id                  TEXT COLLATE "C",
    scopes                     TEXT COLLATE "C" NOT NULL,
    claims                     TEXT COLLATE "C" NOT NULL,
    issued_at                  BIGINT NOT NULL,
    expires_at                 BIGINT NOT NULL,
    checked_at                 BIGINT NOT NULL,
    verified_at                BIGINT NOT NULL
);

-- API keys and tokens that were revoked here, by the id of the key or the token (the claim jti of a JWT), and subjects whose tokens
-- from before revoked_at count no more. expires_at is when the token ends by itself; 0: that is not known, and the row stays.
CREATE TABLE clerk_revocations (
    id                         TEXT COLLATE "C" PRIMARY KEY,
    is_subject                 SMALLINT NOT NULL,
    revoked_at                 BIGINT NOT NULL,
    expires_at                 BIGINT NOT NULL,
    revoked_write              BIGINT NOT NULL
);

-- The walks of lists that have ended. work is "backfill" or "walk".
CREATE TABLE clerk_walk_history (
    walk_id                    TEXT COLLATE "C" PRIMARY KEY,
    list                       TEXT COLLATE "C" NOT NULL,
    work                       TEXT COLLATE "C" NOT NULL,
    begun_at                   BIGINT NOT NULL,
    ended_at                   BIGINT NOT NULL,
    complete                   SMALLINT NOT NULL,
    refused                    SMALLINT NOT NULL,
    reason                     TEXT COLLATE "C" NOT NULL,
    rows_read                  BIGINT NOT NULL,
    rows_total                 BIGINT NOT NULL,
    found                      BIGINT NOT NULL,
    repaired                   BIGINT NOT NULL
);

-- The head: one row. Every transaction that writes mirrored rows locks it first. settings is the revision of the settings in
-- force, so that each writer sees under the lock whether they have changed.
CREATE TABLE clerk_head (
    one                        INTEGER PRIMARY KEY CHECK (one = 1),
    seq                        BIGINT NOT NULL,
    writes                     BIGINT NOT NULL,
    high_water                 BIGINT NOT NULL,
    last_received_at           BIGINT NOT NULL,
    settings                   BIGINT NOT NULL
);

-- Facts about this database, such as the settings in force and the key of the inbox digests.
CREATE TABLE clerk_meta (
    name                       TEXT COLLATE "C" PRIMARY KEY,
    value                      TEXT COLLATE "C" NOT NULL
);

-- The Clerk instances whose events were received.
CREATE TABLE clerk_instances (
    instance_id                TEXT COLLATE "C" PRIMARY KEY,
    first_seen_at              BIGINT NOT NULL
);

INSERT INTO clerk_head (one, seq, writes, high_water, last_received_at, settings) VALUES (1, 0, 0, 0, 0, 1);

CREATE INDEX clerk_users_created ON clerk_users ((COALESCE(created_at, 0)), clerk_user_id);
CREATE INDEX clerk_users_erasable ON clerk_users (deleted_at) WHERE sync_hard = 1 AND sync_erased = 0;
CREATE INDEX clerk_users_hidden ON clerk_users (clerk_user_id) WHERE sync_hidden = 1;
CREATE INDEX clerk_users_inactive ON clerk_users ((COALESCE(created_at, 0)), clerk_user_id) WHERE is_active = 0;
CREATE INDEX clerk_users_role ON clerk_users (role, (COALESCE(created_at, 0)), clerk_user_id);
CREATE INDEX clerk_users_rejected ON clerk_users (role_rejected) WHERE role_rejected IS NOT NULL;
CREATE INDEX clerk_sessions_created ON clerk_sessions ((COALESCE(created_at, 0)), clerk_session_id);
CREATE INDEX clerk_sessions_user ON clerk_sessions (clerk_user_id, (COALESCE(created_at, 0)), clerk_session_id);
CREATE INDEX clerk_organizations_created ON clerk_organizations ((COALESCE(created_at, 0)), clerk_organization_id);
CREATE INDEX clerk_organizations_hidden ON clerk_organizations (clerk_organization_id) WHERE sync_hidden = 1;
CREATE INDEX clerk_organizations_slug ON clerk_organizations (slug);
CREATE INDEX clerk_memberships_organization ON clerk_memberships
    (clerk_organization_id, (COALESCE(created_at, 0)), clerk_membership_id);
CREATE INDEX clerk_memberships_role ON clerk_memberships (role);
CREATE INDEX clerk_memberships_user ON clerk_memberships (clerk_user_id, (COALESCE(created_at, 0)), clerk_membership_id);
CREATE INDEX clerk_invitations_created ON clerk_invitations ((COALESCE(created_at, 0)), clerk_invitation_id);
CREATE INDEX clerk_invitations_email ON clerk_invitations ((lower(email)), (COALESCE(created_at, 0)), clerk_invitation_id);
CREATE INDEX clerk_invitations_organization ON clerk_invitations
    (clerk_organization_id, (COALESCE(created_at, 0)), clerk_invitation_id);
CREATE INDEX clerk_invitations_role ON clerk_invitations (role);
CREATE INDEX clerk_invitations_user ON clerk_invitations (clerk_user_id) WHERE clerk_user_id IS NOT NULL;
CREATE INDEX clerk_subscription_items_organization ON clerk_subscription_items (clerk_organization_id);
CREATE INDEX clerk_subscription_items_user ON clerk_subscription_items (clerk_user_id);
CREATE INDEX clerk_waitlist_entries_email ON clerk_waitlist_entries ((lower(email)));
CREATE INDEX clerk_overrides_created ON clerk_overrides (created_at, id, field);
CREATE INDEX clerk_overrides_kind ON clerk_overrides (kind, created_at, id, field);
CREATE INDEX clerk_inbox_exceptions ON clerk_inbox (state, received_at, message_id) WHERE state <> 'applied';
CREATE INDEX clerk_inbox_problems ON clerk_inbox (received_at, message_id, state, type, reason) WHERE state IN ('dead', 'quarantined');
CREATE INDEX clerk_inbox_refused ON clerk_inbox (message_id) WHERE state = 'dead' AND reason = 'hook_failed';
CREATE INDEX clerk_inbox_received ON clerk_inbox (received_at, message_id);
CREATE INDEX clerk_inbox_states ON clerk_inbox (state, message_id) WHERE state <> 'applied';
CREATE INDEX clerk_inbox_type ON clerk_inbox (type, received_at, message_id);
CREATE INDEX clerk_changes_user ON clerk_changes (clerk_user_id, seq) WHERE clerk_user_id IS NOT NULL;
CREATE INDEX clerk_verify_queued ON clerk_verify (queued_write);
CREATE INDEX clerk_consumer_parked_order ON clerk_consumer_parked (consumer, parked, seq, cursor);
CREATE INDEX clerk_walk_history_list ON clerk_walk_history (list, walk_id);
CREATE INDEX clerk_drift_found ON clerk_drift (found_at DESC, kind, id);
CREATE INDEX clerk_drift_unannounced ON clerk_drift (kind, found_at) WHERE cause = 'not_subscribed';
CREATE INDEX clerk_jobs_open ON clerk_jobs (started_at, job_id) WHERE ended_at IS NULL;
CREATE INDEX clerk_jobs_ended ON clerk_jobs (ended_at, job_id) WHERE ended_at IS NOT NULL;
CREATE INDEX clerk_job_failures_object ON clerk_job_failures (object_id);
CREATE INDEX clerk_machine_tokens_checked ON clerk_machine_tokens (checked_at);
CREATE INDEX clerk_machine_tokens_key ON clerk_machine_tokens (key_id);
CREATE INDEX clerk_machine_tokens_subject ON clerk_machine_tokens (subject);
CREATE INDEX clerk_machine_tokens_creator ON clerk_machine_tokens (created_by) WHERE created_by IS NOT NULL;
CREATE INDEX clerk_revocations_write ON clerk_revocations (revoked_write);
CREATE INDEX clerk_audit_action ON clerk_audit (action, audit_id);
CREATE INDEX clerk_audit_actor ON clerk_audit (actor, audit_id);
CREATE INDEX clerk_audit_user ON clerk_audit (clerk_user_id, audit_id);
CREATE INDEX clerk_erasures_open ON clerk_erasures (cursor, clerk_user_id) WHERE done_at IS NULL;
CREATE INDEX clerk_webhook_messages_due ON clerk_webhook_messages (endpoint_id, due_at, seq) WHERE due_at IS NOT NULL;
CREATE INDEX clerk_webhook_messages_object ON clerk_webhook_messages (endpoint_id, kind, id, seq) WHERE failed_at IS NULL;
CREATE INDEX clerk_webhook_messages_failed ON clerk_webhook_messages (endpoint_id, failed_at) WHERE failed_at IS NOT NULL;
CREATE INDEX clerk_webhook_attempts_endpoint ON clerk_webhook_attempts (endpoint_id, attempt_id);

-- A search finds users and organizations by the beginning of these texts (internal/store/search.go). A hundred characters are
-- enough, and more could be too long for an index. Addresses are in lower case, nearly all of them: one index has them as they
-- are, for applications too.
CREATE INDEX clerk_users_search_email ON clerk_users (email, clerk_user_id);
CREATE INDEX clerk_users_search_email_lower ON clerk_users ((substr(lower(email), 1, 100)), clerk_user_id) WHERE email <> lower(email);
CREATE INDEX clerk_users_search_phone ON clerk_users ((substr(ltrim(phone, '+'), 1, 100)), clerk_user_id) WHERE phone IS NOT NULL;
CREATE INDEX clerk_users_search_username ON clerk_users ((substr(lower(username), 1, 100)), clerk_user_id) WHERE username IS NOT NULL;
CREATE INDEX clerk_users_search_name ON clerk_users
    ((substr(lower(first_name || ' ' || COALESCE(last_name, '')), 1, 100)), clerk_user_id) WHERE first_name IS NOT NULL;
CREATE INDEX clerk_users_search_last_name ON clerk_users
    ((substr(lower(last_name || ' ' || COALESCE(first_name, '')), 1, 100)), clerk_user_id) WHERE last_name IS NOT NULL;
CREATE INDEX clerk_users_search_first_name_rest ON clerk_users
    ((ltrim(ltrim(substr(lower(first_name), 1, 100), replace(substr(lower(first_name), 1, 100), ' ', '')), ' ')), clerk_user_id)
    WHERE length(first_name) - length(replace(first_name, ' ', '')) > 0;
CREATE INDEX clerk_users_search_first_name_end ON clerk_users
    ((substr(substr(lower(first_name), 1, 100), length(rtrim(substr(lower(first_name), 1, 100), replace(substr(lower(first_name), 1, 100), ' ', ''))) + 1)), clerk_user_id)
    WHERE length(first_name) - length(replace(first_name, ' ', '')) > 1;
CREATE INDEX clerk_users_search_last_name_rest ON clerk_users
    ((ltrim(ltrim(substr(lower(last_name), 1, 100), replace(substr(lower(last_name), 1, 100), ' ', '')), ' ')), clerk_user_id)
    WHERE length(last_name) - length(replace(last_name, ' ', '')) > 0;
CREATE INDEX clerk_users_search_last_name_end ON clerk_users
    ((substr(substr(lower(last_name), 1, 100), length(rtrim(substr(lower(last_name), 1, 100), replace(substr(lower(last_name), 1, 100), ' ', ''))) + 1)), clerk_user_id)
    WHERE length(last_name) - length(replace(last_name, ' ', '')) > 1;
CREATE INDEX clerk_organizations_search_slug ON clerk_organizations ((substr(lower(slug), 1, 100)), clerk_organization_id);
CREATE INDEX clerk_organizations_search_name ON clerk_organizations ((substr(lower(name), 1, 100)), clerk_organization_id);

-- There is no index on sync_verified_at: rows are apart from their bodies here, and each walk would have to write it.

-- Bodies of a few kilobytes stay in their row: compressing each would cost more than the rest of its write. The free space in
-- pages keeps the new version of a row next to the old one, so that a walk, which updates each row, writes no index: it
-- takes two thirds of the time and writes two thirds of the log (a quarter with wal_compression).
ALTER TABLE clerk_users SET (fillfactor = 60, toast_tuple_target = 8160);
ALTER TABLE clerk_sessions SET (fillfactor = 60, toast_tuple_target = 8160);
ALTER TABLE clerk_organizations SET (fillfactor = 60, toast_tuple_target = 8160);
ALTER TABLE clerk_memberships SET (fillfactor = 60, toast_tuple_target = 8160);
ALTER TABLE clerk_invitations SET (fillfactor = 60);
ALTER TABLE clerk_domains SET (fillfactor = 60);
ALTER TABLE clerk_roles SET (fillfactor = 60);
ALTER TABLE clerk_permissions SET (fillfactor = 60);
ALTER TABLE clerk_inbox SET (toast_tuple_target = 8160);

-- Every transaction rewrites the head row: its versions fit on one page.
ALTER TABLE clerk_head SET (fillfactor = 10);

-- So do consumers with their lease and their own row, many times a second.
ALTER TABLE clerk_leases SET (fillfactor = 10);
ALTER TABLE clerk_consumers SET (fillfactor = 10);

-- The live views: rows that are neither deleted nor hidden by a deleted parent.

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
    COALESCE((SELECT r.permissions FROM clerk_roles_live r
        WHERE r.role_key = t.role
        ORDER BY COALESCE(r.created_at, 0) DESC, r.clerk_role_id DESC LIMIT 1),
      (SELECT r.permissions FROM clerk_roles_live r
        WHERE r.role_key = 'org:' || t.role OR 'org:' || r.role_key = t.role
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
    t.phone,
    t.username,
    t.first_name,
    t.last_name,
    t.profile_image_url,
    t.external_id,
    t.role,
    t.role_rejected,
    t.is_active,
    t.banned,
    t.deprovisioned,
    t.locked,
    t.locked_until,
    t.last_login_at,
    t.last_active_at,
    t.public_metadata,
    t.private_metadata,
    t.created_at,
    t.updated_at,
    t.overrides,
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
    t.overrides,
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

-- What jsonb cannot hold, such as the number 1e999999, is NULL, so that one value never fails a whole query.
CREATE FUNCTION clerk_jsonb(body text) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE STRICT AS $$
BEGIN
    RETURN body::jsonb;
EXCEPTION WHEN OTHERS THEN
    RETURN NULL;
END
$$;

-- The typed views: the same rows and columns as the live views, with times, flags and JSON in the types of the engine.

CREATE VIEW clerk_permissions_typed AS
SELECT
    t.clerk_permission_id,
    t.name,
    t.permission_key,
    t.description,
    t.type,
    to_timestamp(NULLIF(t.created_at, 0) / 1000.0) AS created_at,
    to_timestamp(NULLIF(t.updated_at, 0) / 1000.0) AS updated_at,
    clerk_jsonb(t.raw) AS raw,
    t.is_stub = 1 AS is_stub
FROM clerk_permissions_live t;

CREATE VIEW clerk_roles_typed AS
SELECT
    t.clerk_role_id,
    t.name,
    t.role_key,
    t.description,
    t.is_creator_eligible = 1 AS is_creator_eligible,
    clerk_jsonb(t.permissions) AS permissions,
    to_timestamp(NULLIF(t.created_at, 0) / 1000.0) AS created_at,
    to_timestamp(NULLIF(t.updated_at, 0) / 1000.0) AS updated_at,
    clerk_jsonb(t.raw) AS raw,
    t.is_stub = 1 AS is_stub
FROM clerk_roles_live t;

CREATE VIEW clerk_organizations_typed AS
SELECT
    t.clerk_organization_id,
    t.name,
    t.slug,
    t.image_url,
    t.max_allowed_memberships,
    t.created_by,
    clerk_jsonb(t.public_metadata) AS public_metadata,
    clerk_jsonb(t.private_metadata) AS private_metadata,
    to_timestamp(NULLIF(t.created_at, 0) / 1000.0) AS created_at,
    to_timestamp(NULLIF(t.updated_at, 0) / 1000.0) AS updated_at,
    clerk_jsonb(t.raw) AS raw,
    t.is_stub = 1 AS is_stub
FROM clerk_organizations_live t;

CREATE VIEW clerk_memberships_typed AS
SELECT
    t.clerk_membership_id,
    t.clerk_user_id,
    t.clerk_organization_id,
    t.role,
    clerk_jsonb(t.permissions) AS permissions,
    clerk_jsonb(t.public_metadata) AS public_metadata,
    clerk_jsonb(t.private_metadata) AS private_metadata,
    to_timestamp(NULLIF(t.created_at, 0) / 1000.0) AS created_at,
    to_timestamp(NULLIF(t.updated_at, 0) / 1000.0) AS updated_at,
    clerk_jsonb(t.raw) AS raw,
    t.is_stub = 1 AS is_stub
FROM clerk_memberships_live t;

CREATE VIEW clerk_users_typed AS
SELECT
    t.id,
    t.clerk_user_id,
    t.email,
    t.phone,
    t.username,
    t.first_name,
    t.last_name,
    t.profile_image_url,
    t.external_id,
    t.role,
    t.role_rejected,
    t.is_active = 1 AS is_active,
    t.banned = 1 AS banned,
    t.deprovisioned = 1 AS deprovisioned,
    t.locked = 1 AS locked,
    to_timestamp(NULLIF(t.locked_until, 0) / 1000.0) AS locked_until,
    to_timestamp(NULLIF(t.last_login_at, 0) / 1000.0) AS last_login_at,
    to_timestamp(NULLIF(t.last_active_at, 0) / 1000.0) AS last_active_at,
    clerk_jsonb(t.public_metadata) AS public_metadata,
    clerk_jsonb(t.private_metadata) AS private_metadata,
    to_timestamp(NULLIF(t.created_at, 0) / 1000.0) AS created_at,
    to_timestamp(NULLIF(t.updated_at, 0) / 1000.0) AS updated_at,
    clerk_jsonb(t.overrides) AS overrides,
    clerk_jsonb(t.raw) AS raw,
    t.organization_id,
    t.is_stub = 1 AS is_stub
FROM clerk_users_live t;

CREATE VIEW clerk_sessions_typed AS
SELECT
    t.clerk_session_id,
    t.clerk_user_id,
    t.client_id,
    t.status,
    clerk_jsonb(t.actor) AS actor,
    t.clerk_organization_id,
    to_timestamp(NULLIF(t.last_active_at, 0) / 1000.0) AS last_active_at,
    to_timestamp(NULLIF(t.expire_at, 0) / 1000.0) AS expire_at,
    to_timestamp(NULLIF(t.abandon_at, 0) / 1000.0) AS abandon_at,
    to_timestamp(NULLIF(t.created_at, 0) / 1000.0) AS created_at,
    to_timestamp(NULLIF(t.updated_at, 0) / 1000.0) AS updated_at,
    clerk_jsonb(t.overrides) AS overrides,
    clerk_jsonb(t.raw) AS raw,
    t.is_stub = 1 AS is_stub
FROM clerk_sessions_live t;

CREATE VIEW clerk_invitations_typed AS
SELECT
    t.clerk_invitation_id,
    t.clerk_organization_id,
    t.clerk_user_id,
    t.inviter_clerk_user_id,
    t.email,
    t.role,
    t.status,
    clerk_jsonb(t.public_metadata) AS public_metadata,
    clerk_jsonb(t.private_metadata) AS private_metadata,
    to_timestamp(NULLIF(t.expires_at, 0) / 1000.0) AS expires_at,
    to_timestamp(NULLIF(t.created_at, 0) / 1000.0) AS created_at,
    to_timestamp(NULLIF(t.updated_at, 0) / 1000.0) AS updated_at,
    clerk_jsonb(t.raw) AS raw,
    t.is_stub = 1 AS is_stub
FROM clerk_invitations_live t;

CREATE VIEW clerk_domains_typed AS
SELECT
    t.clerk_domain_id,
    t.clerk_organization_id,
    t.name,
    t.enrollment_mode,
    to_timestamp(NULLIF(t.created_at, 0) / 1000.0) AS created_at,
    to_timestamp(NULLIF(t.updated_at, 0) / 1000.0) AS updated_at,
    clerk_jsonb(t.raw) AS raw,
    t.is_stub = 1 AS is_stub
FROM clerk_domains_live t;

CREATE VIEW clerk_subscriptions_typed AS
SELECT
    t.clerk_subscription_id,
    t.clerk_user_id,
    t.clerk_organization_id,
    t.payer_id,
    t.status,
    to_timestamp(NULLIF(t.active_at, 0) / 1000.0) AS active_at,
    to_timestamp(NULLIF(t.canceled_at, 0) / 1000.0) AS canceled_at,
    to_timestamp(NULLIF(t.ended_at, 0) / 1000.0) AS ended_at,
    to_timestamp(NULLIF(t.past_due_at, 0) / 1000.0) AS past_due_at,
    to_timestamp(NULLIF(t.created_at, 0) / 1000.0) AS created_at,
    to_timestamp(NULLIF(t.updated_at, 0) / 1000.0) AS updated_at,
    clerk_jsonb(t.raw) AS raw,
    t.is_stub = 1 AS is_stub
FROM clerk_subscriptions_live t;

CREATE VIEW clerk_subscription_items_typed AS
SELECT
    t.clerk_subscription_item_id,
    t.clerk_subscription_id,
    t.clerk_user_id,
    t.clerk_organization_id,
    t.status,
    t.plan_id,
    t.plan_slug,
    t.billing_interval,
    t.is_free_trial = 1 AS is_free_trial,
    to_timestamp(NULLIF(t.period_start, 0) / 1000.0) AS period_start,
    to_timestamp(NULLIF(t.period_end, 0) / 1000.0) AS period_end,
    to_timestamp(NULLIF(t.created_at, 0) / 1000.0) AS created_at,
    to_timestamp(NULLIF(t.updated_at, 0) / 1000.0) AS updated_at,
    clerk_jsonb(t.raw) AS raw,
    t.is_stub = 1 AS is_stub
FROM clerk_subscription_items_live t;

CREATE VIEW clerk_payment_attempts_typed AS
SELECT
    t.clerk_payment_attempt_id,
    t.payment_id,
    t.clerk_user_id,
    t.clerk_organization_id,
    t.status,
    t.charge_type,
    to_timestamp(NULLIF(t.paid_at, 0) / 1000.0) AS paid_at,
    to_timestamp(NULLIF(t.failed_at, 0) / 1000.0) AS failed_at,
    to_timestamp(NULLIF(t.created_at, 0) / 1000.0) AS created_at,
    to_timestamp(NULLIF(t.updated_at, 0) / 1000.0) AS updated_at,
    clerk_jsonb(t.raw) AS raw,
    t.is_stub = 1 AS is_stub
FROM clerk_payment_attempts_live t;

CREATE VIEW clerk_waitlist_entries_typed AS
SELECT
    t.clerk_waitlist_entry_id,
    t.email,
    t.status,
    t.is_locked = 1 AS is_locked,
    to_timestamp(NULLIF(t.created_at, 0) / 1000.0) AS created_at,
    to_timestamp(NULLIF(t.updated_at, 0) / 1000.0) AS updated_at,
    clerk_jsonb(t.raw) AS raw,
    t.is_stub = 1 AS is_stub
FROM clerk_waitlist_entries_live t;

CREATE VIEW clerk_inbox_typed AS
SELECT
    t.message_id,
    to_timestamp(NULLIF(t.received_at, 0) / 1000.0) AS received_at,
    to_timestamp(NULLIF(t.signed_at, 0) / 1000.0) AS signed_at,
    t.type,
    t.instance_id,
    t.state,
    t.reason,
    t.problem,
    t.attempts,
    t.subjects,
    t.digest,
    t.revision,
    t.seq,
    t.body
FROM clerk_inbox t;

CREATE VIEW clerk_audit_typed AS
SELECT
    t.audit_id,
    to_timestamp(NULLIF(t.at, 0) / 1000.0) AS at,
    t.action,
    t.clerk_user_id,
    t.clerk_session_id,
    t.clerk_organization_id,
    t.object,
    t.actor,
    t.address,
    t.origin,
    t.was,
    t.became,
    t.failure,
    t.request_id
FROM clerk_audit t;

CREATE VIEW clerk_drift_typed AS
SELECT
    t.kind,
    t.id,
    to_timestamp(NULLIF(t.found_at, 0) / 1000.0) AS found_at,
    t.fields,
    t.cause,
    to_timestamp(NULLIF(t.since, 0) / 1000.0) AS since,
    t.repaired = 1 AS repaired
FROM clerk_drift t;


-- What was applied to this database.
CREATE TABLE IF NOT EXISTS clerk_migrations (
    name                       TEXT COLLATE "C" PRIMARY KEY,
    checksum                   TEXT COLLATE "C" NOT NULL,
    applied_at                 BIGINT NOT NULL
);
