// Package join shows how to join the application's own tables with the mirror. This file does it
// with database/sql, and pgx.go with pgx. More queries are in docs/sql.md.
package join

import (
	"context"
	"database/sql"
)

// Deal is a row of the application, with a column of the mirror.
type Deal struct {
	Title      string
	OwnerEmail string // empty for none
}

// DealsWithSQL returns the deals of users who are neither deleted nor banned. It works on SQLite
// and Postgres. With SQLite, open the file of the mirror a second time for the application:
//
//	db, err := sql.Open("sqlite", "file:app.db?_pragma=foreign_keys(1)&_pragma=busy_timeout(10000)")
//
// Package clerksync/sqlite brings the driver.
func DealsWithSQL(ctx context.Context, db *sql.DB) (deals []Deal, err error) {
	rows, err := db.QueryContext(ctx, `
		SELECT d.title, COALESCE(u.email, '')
		FROM deals d
		JOIN clerk_users_typed u ON u.id = d.owner
		WHERE u.is_active
		ORDER BY d.title`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var deal Deal
		if err := rows.Scan(&deal.Title, &deal.OwnerEmail); err != nil {
			return nil, err
		}
		deals = append(deals, deal)
	}
	return deals, rows.Err()
}
