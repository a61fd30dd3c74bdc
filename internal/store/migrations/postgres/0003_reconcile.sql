-- Who may walk and repair, one row a name. The token counts holders: one that was overtaken is told by it, not by a clock.
CREATE TABLE clerk_leases (
    name             TEXT COLLATE "C" PRIMARY KEY,
    token            BIGINT NOT NULL,
    holder           TEXT COLLATE "C" NOT NULL,
    expires_at       BIGINT NOT NULL
);

-- How lists at Clerk were walked last: one row a list.
CREATE TABLE clerk_walks (
    list             TEXT COLLATE "C" PRIMARY KEY,
    backfilled_at    BIGINT NOT NULL,
    cursor           TEXT COLLATE "C" NOT NULL,
    watermark        BIGINT NOT NULL,
    begun_at         BIGINT NOT NULL,
    ended_at         BIGINT NOT NULL,
    complete         SMALLINT NOT NULL,
    complete_at      BIGINT NOT NULL,
    reason           TEXT COLLATE "C" NOT NULL,
    rows_read        BIGINT NOT NULL,
    found            BIGINT NOT NULL,
    repaired         BIGINT NOT NULL
);

-- What was found to differ from Clerk: names of fields, never values.
CREATE TABLE clerk_drift (
    kind             TEXT COLLATE "C" NOT NULL,
    id               TEXT COLLATE "C" NOT NULL,
    found_at         BIGINT NOT NULL,
    fields           TEXT COLLATE "C" NOT NULL,
    cause            TEXT COLLATE "C" NOT NULL,
    since            BIGINT NOT NULL,
    repaired         SMALLINT NOT NULL,
    PRIMARY KEY (kind, id, found_at)
);

CREATE INDEX clerk_drift_found ON clerk_drift (found_at);
