-- What was refused, done in another's name, or changed in roles. Ids and names alone: no personal values.
CREATE TABLE clerk_audit (
    audit_id         TEXT PRIMARY KEY,
    at               BIGINT NOT NULL,
    action           TEXT NOT NULL,
    clerk_user_id    TEXT,
    clerk_session_id TEXT,
    clerk_organization_id TEXT,
    actor            TEXT,
    origin           TEXT,
    was              TEXT,
    became           TEXT,
    request_id       TEXT
);

CREATE INDEX clerk_audit_user ON clerk_audit (clerk_user_id, audit_id);
CREATE INDEX clerk_subscription_items_user ON clerk_subscription_items (clerk_user_id);
CREATE INDEX clerk_subscription_items_organization ON clerk_subscription_items (clerk_organization_id);
