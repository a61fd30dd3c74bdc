-- The application's table next to those of the mirror, which clerksync makes and writes. The reference holds when the
-- user is deleted at Clerk, and when the user is erased: the mirror keeps an empty row with the id.
CREATE TABLE IF NOT EXISTS deals (
    id              integer PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    organization_id text NOT NULL,
    owner_id        uuid NOT NULL REFERENCES clerk_users (id),
    title           text NOT NULL,
    value_usd       integer NOT NULL
);
CREATE INDEX IF NOT EXISTS deals_of_organization ON deals (organization_id, id);
