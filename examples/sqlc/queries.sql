-- name: CreateDeal :one
-- CreateDeal stores a deal of a user and returns its id. The owner is the ID of a mirror.User.
INSERT INTO deals (owner, title)
VALUES ($1, $2)
RETURNING id;

-- name: ListDeals :many
-- ListDeals returns the deals of active users with a role, and who owns them.
SELECT d.id, d.title, u.clerk_user_id, u.email
FROM deals d
JOIN clerk_users_typed u ON u.id = d.owner
WHERE u.is_active AND u.role = $1
ORDER BY d.id;
