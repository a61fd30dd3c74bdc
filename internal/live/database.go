package live

import (
	"context"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// database is what this package reads of a *store.DB.
//
//nolint:interfacebloat // there is one such type; the interface is for tests that hold it up
type database interface {
	UserByClerkID(ctx context.Context, clerkUserID string) (mirror.User, error)
	UserDeleted(ctx context.Context, clerkUserID string) (bool, error)
	UserQueued(ctx context.Context, clerkUserID string) (write int64, err error)
	Session(ctx context.Context, id string) (mirror.Session, error)
	Membership(ctx context.Context, clerkUserID, clerkOrganizationID string) (mirror.Membership, error)
	MembershipLost(ctx context.Context, clerkUserID, clerkOrganizationID string) (clerk.Time, error)
	MembershipQueued(ctx context.Context, clerkUserID, clerkOrganizationID string) ([]store.Queued, error)
	Organization(ctx context.Context, id string) (mirror.Organization, error)
	OrganizationDeleted(ctx context.Context, id string) (bool, error)
	Plans(ctx context.Context, clerkUserID, clerkOrganizationID string) (slugs []string, known bool, err error)

	Head(ctx context.Context) (store.Head, error)
	ChangeRefsFrom(ctx context.Context, seq int64, limit int) ([]row.ChangeRef, error)
	QueuedAfter(ctx context.Context, after int64, limit int) (store.QueuedRefs, error)
	Clock(ctx context.Context, ours clerk.Time) (clerk.Time, error)
	Walks(ctx context.Context) (map[string]store.Walk, error)
	Life(ctx context.Context) (store.Life, error)
	Settings() *store.Settings
	LoadSettings(ctx context.Context) (*store.Settings, error)
}
