-- What keeps a claim of being in sync from being more than is known.

-- Differences that the last comparison of a list found and left, a dry run's or a partial run's too.
ALTER TABLE clerk_walks ADD COLUMN known_left BIGINT NOT NULL DEFAULT 0;

-- The processes that keep this mirror up to date (Mirror.Run), each with its last sign of life. A row that
-- is left behind by a process that is gone says that it was killed, or that this database is a copy that was
-- taken while it ran.
CREATE TABLE clerk_runners (
    holder           TEXT COLLATE "C" PRIMARY KEY,
    alive_at         BIGINT NOT NULL
);
