-- On Postgres this leaves room in pages for new versions of rows. SQLite changes rows where they are.
SELECT 1;
