-- What was refused, done in another's name, or changed in roles. Ids and names alone: no personal values.
CREATE TABLE clerk_audit (
    audit_id         TEXT COLLATE "C" PRIMARY KEY,
    at               BIGINT NOT NULL,
    action           TEXT COLLATE "C" NOT NULL,
    clerk_user_id    TEXT COLLATE "C",
    clerk_session_id TEXT COLLATE "C",
    clerk_organization_id TEXT COLLATE "C",
    actor            TEXT COLLATE "C",
    origin           TEXT COLLATE "C",
    was              TEXT COLLATE "C",
    became           TEXT COLLATE "C",
    request_id       TEXT COLLATE "C"
);

CREATE INDEX clerk_audit_user ON clerk_audit (clerk_user_id, audit_id);
CREATE INDEX clerk_subscription_items_user ON clerk_subscription_items (clerk_user_id);
CREATE INDEX clerk_subscription_items_organization ON clerk_subscription_items (clerk_organization_id);
