-- The application's own table. Its foreign key holds through the deletion and the erasure of a user.
CREATE TABLE deals (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  owner uuid NOT NULL REFERENCES clerk_users (id),
  title text NOT NULL
);
