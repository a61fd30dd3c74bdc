-- Who may walk and repair, one row a name. The token counts holders: one that was overtaken is told by it, not by a clock.
CREATE TABLE clerk_leases (
    name             TEXT PRIMARY KEY,
    token            BIGINT NOT NULL,
    holder           TEXT NOT NULL,
    expires_at       BIGINT NOT NULL
);

-- How lists at Clerk were walked last: one row a list.
CREATE TABLE clerk_walks (
    list             TEXT PRIMARY KEY,
    backfilled_at    BIGINT NOT NULL,
    cursor           TEXT NOT NULL,
    watermark        BIGINT NOT NULL,
    begun_at         BIGINT NOT NULL,
    ended_at         BIGINT NOT NULL,
    complete         SMALLINT NOT NULL,
    complete_at      BIGINT NOT NULL,
    reason           TEXT NOT NULL,
    rows_read        BIGINT NOT NULL,
    found            BIGINT NOT NULL,
    repaired         BIGINT NOT NULL
);

-- What was found to differ from Clerk: names of fields, never values.
CREATE TABLE clerk_drift (
    kind             TEXT NOT NULL,
    id               TEXT NOT NULL,
    found_at         BIGINT NOT NULL,
    fields           TEXT NOT NULL,
    cause            TEXT NOT NULL,
    since            BIGINT NOT NULL,
    repaired         SMALLINT NOT NULL,
    PRIMARY KEY (kind, id, found_at)
);

CREATE INDEX clerk_drift_found ON clerk_drift (found_at);
