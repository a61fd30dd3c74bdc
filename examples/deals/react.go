package main

import (
	"context"
	"errors"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/mirror"
)

// addStages gives each new organization its stages, in the transaction that stores the organization
// (Config.OnChange): no one sees it without them.
func addStages(ctx context.Context, tx *clerksync.Tx, changes []mirror.Change) error {
	for _, change := range changes {
		if change.Type() != "organization.created" {
			continue
		}
		if _, err := tx.Exec(ctx, `
			INSERT INTO deal_stages (organization_id, name, position)
			SELECT $1, name, position FROM default_stages WHERE true -- SQLite needs a WHERE here
			ON CONFLICT DO NOTHING`, change.ID); err != nil {
			return err
		}
	}
	return nil
}

// welcome mails new users until the context ends. One of the processes that share the database does
// it. It may mail a user twice after a crash, and tries again if it returns an error.
func (s *service) welcome(ctx context.Context) error {
	return s.mirror.Consume(ctx, "welcome", func(ctx context.Context, change mirror.Change) error {
		user, err := s.mirror.Users().ByClerkID(ctx, change.ID)
		switch {
		case errors.Is(err, clerksync.ErrNotFound): // deleted since
			return nil
		case err != nil:
			return err
		case change.At.Sub(user.CreatedAt) > time.Hour: // not new: a backfill read the user from Clerk
			return nil
		}
		s.logger.InfoContext(ctx, "Mail: Welcome to Deals!", "to", user.ClerkUserID) // your mail service comes here
		return nil
	}, clerksync.OnlyTypes("user.created"), clerksync.ParkAfter(10))
}
