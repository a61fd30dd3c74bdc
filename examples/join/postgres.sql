-- The application's own table, made after clerksync.New has made those of the mirror. The foreign key holds when the user
-- is deleted at Clerk, and when the user is erased: the mirror keeps an empty row with the id.
CREATE TABLE deals (
  title text NOT NULL,
  owner uuid NOT NULL REFERENCES clerk_users (id)
);
