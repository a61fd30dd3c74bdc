-- The service's own tables, next to those of the mirror, which clerksync.New makes before. A larger service has migrations.
-- References to the mirror stay valid: it keeps a row of each user and organization that was deleted or erased.
-- The same text is for SQLite. It takes any name as a type: a uuid is text there.

-- The stages of a new organization.
CREATE TABLE IF NOT EXISTS default_stages (
    name     text PRIMARY KEY,
    position integer NOT NULL
);
INSERT INTO default_stages (name, position)
VALUES ('Sourced', 1), ('Contacted', 2), ('Diligence', 3), ('Negotiation', 4), ('Closed', 5)
ON CONFLICT DO NOTHING;

CREATE TABLE IF NOT EXISTS deal_stages (
    organization_id text NOT NULL REFERENCES clerk_organizations (clerk_organization_id),
    name            text NOT NULL,
    position        integer NOT NULL,
    PRIMARY KEY (organization_id, name)
);

CREATE TABLE IF NOT EXISTS deals (
    id              uuid PRIMARY KEY, -- version 7: sorts by the time of its creation
    organization_id text NOT NULL,
    stage           text NOT NULL,
    title           text NOT NULL,
    value_usd       bigint NOT NULL,
    owner           uuid NOT NULL REFERENCES clerk_users (id),
    version         bigint NOT NULL,
    updated_at      text NOT NULL, -- RFC 3339, UTC
    FOREIGN KEY (organization_id, stage) REFERENCES deal_stages (organization_id, name)
);
CREATE INDEX IF NOT EXISTS deals_of_organization ON deals (organization_id, id);

-- Organizations that were mirrored before this service came. New ones get their stages by addStages, in react.go.
INSERT INTO deal_stages (organization_id, name, position)
SELECT o.clerk_organization_id, s.name, s.position
FROM clerk_organizations_live o CROSS JOIN default_stages s
WHERE NOT EXISTS (SELECT 1 FROM deal_stages d WHERE d.organization_id = o.clerk_organization_id)
ON CONFLICT DO NOTHING;
