package join

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// DealsWithPgx returns the deals of users who were created after a time, with pgx. The typed views
// have times, flags and JSON in the types of Postgres, so that ordinary SQL works on them.
func DealsWithPgx(ctx context.Context, pool *pgxpool.Pool, after time.Time) ([]RecentDeal, error) {
	rows, err := pool.Query(ctx, `
		SELECT d.title, u.public_metadata ->> 'plan' AS plan, u.created_at AS owner_since
		FROM deals d
		JOIN clerk_users_typed u ON u.id = d.owner
		WHERE u.is_active AND u.created_at > $1
		ORDER BY d.title`, after)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[RecentDeal])
}

// RecentDeal is a row of the application, with columns of the mirror. These may be null.
type RecentDeal struct {
	Title      string
	Plan       *string
	OwnerSince *time.Time
}
