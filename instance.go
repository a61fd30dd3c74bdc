package clerksync

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/clerkapi"
	"github.com/clerksync/clerksync/internal/driver"
	"github.com/clerksync/clerksync/internal/instance"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/status"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// InstanceOf returns which Clerk instance a database mirrors, and asks Clerk which one the
// configured keys belong to. It changes nothing, works on a database that was opened read-only, and
// does not close the database. If Clerk cannot be asked, the state is complete but for Configured,
// and comes with the error.
func InstanceOf(ctx context.Context, database DB, config Config) (mirror.InstanceState, error) {
	c, err := newInstanceChange(ctx, database, config)
	if err != nil {
		return mirror.InstanceState{}, fmt.Errorf("clerksync: %w", err)
	}
	state, err := c.state(ctx)
	if err != nil {
		err = fmt.Errorf("clerksync: %w", err)
	}
	return state, err
}

// AdoptInstance makes a database mirror the Clerk instance of the configured keys, and keeps its
// rows. It is for a database that remembers a wrong instance, or none. Where the database has rows,
// some users are read from Clerk with the secret key: if Clerk does not have most of them, the rows
// are those of another instance, and the error is mirror.ErrOtherData. It is an entry of the audit.
// The database is not closed.
//
// The next walk compares everything. Until then nothing counts as in sync.
func AdoptInstance(ctx context.Context, database DB, config Config, by mirror.By) (mirror.InstanceState, error) {
	c, state, id, err := beginInstanceChange(ctx, database, config)
	if err == nil && id != state.Database {
		if err = c.checkRows(ctx, &state); err == nil {
			entry := by.Entry(mirror.AuditInstance)
			entry.Object = "adopt"
			err = c.db.PinInstance(ctx, id, entry)
		}
	}
	if err != nil {
		return state, fmt.Errorf("clerksync: %w", err)
	}
	state.Database = id
	return state, nil
}

// ResetInstance deletes everything that a database holds of the Clerk instance that it mirrors, and
// makes it mirror the instance of the configured keys. Rows, deliveries, changes, drift, jobs and
// the queue of outgoing webhooks are deleted; the audit, the receipts of erasures, operators,
// endpoints of outgoing webhooks, the role ladder and the redaction stay. Readers of the change
// feed and consumers are told that their place is gone.
//
// While a process keeps the mirror up to date, the error is mirror.ErrServerRunning, unless force
// is set. Rows of the application that refer to mirrored rows are mirror.ErrReferenced, and then
// nothing is deleted. It is an entry of the audit. The database is not closed, and not copied
// before.
func ResetInstance(ctx context.Context, database DB, config Config, force bool, by mirror.By) (mirror.InstanceState, error) {
	c, state, id, err := beginInstanceChange(ctx, database, config)
	if err == nil && state.Running > 0 && !force {
		err = mirror.ErrServerRunning
	}
	if err == nil {
		entry := by.Entry(mirror.AuditInstance)
		entry.Object = "reset"
		state.Rows, err = c.db.ResetInstance(ctx, id, entry)
	}
	if err != nil {
		return state, fmt.Errorf("clerksync: %w", err)
	}
	state.Database = id
	return state, nil
}

// instanceChange is a look at the instances of a database and of the configured keys, and a change.
type instanceChange struct {
	db    *store.DB
	guard *instance.Guard
	api   *clerkapi.Client // nil: without a secret key no row can be checked
	now   func() time.Time
}

// newInstanceChange opens no mirror: one refuses the keys of another instance.
func newInstanceChange(ctx context.Context, database DB, config Config) (*instanceChange, error) {
	db, err := driver.Of(database)
	if err != nil {
		return nil, err
	}
	config = config.withDefaults()
	c := &instanceChange{db: db, now: config.Test.Now}
	c.guard, _, err = instance.New(instance.Config{
		DB: db, ID: config.InstanceID, Now: config.Test.Now, Logger: config.Logger, Unstored: true,
		Keys: instance.KeyConfig{
			Algorithm: config.JWTAlgorithm, JWTKey: config.JWTKey, JWKSURL: config.JWKSURL, SecretKey: config.SecretKey, APIURL: config.APIURL,
			FrontendAPI: config.FrontendAPI,
		},
	})
	if err != nil {
		return nil, fmt.Errorf("token keys: %w", err)
	}
	if config.hasAPIKey() {
		c.api, err = clerkapi.New(clerkapi.Config{
			SecretKey: config.SecretKey, URL: config.APIURL, Logger: config.Logger,
			ReadFence: func(context.Context) (row.ReadFence, error) { return row.ReadFence{}, nil }, // nothing that is read is stored
		})
		if err != nil {
			return nil, err
		}
		c.guard.UseAPI(c.api)
	}
	if db.ReadOnly() {
		err = db.CheckSchema(ctx)
	} else {
		err = db.Migrate(ctx)
	}
	if err == nil {
		_, err = db.LoadSettings(ctx)
	}
	return c, err
}

// beginInstanceChange returns the instance that the configured keys name, which must be a single
// one.
func beginInstanceChange(ctx context.Context, database DB, config Config) (c *instanceChange, s mirror.InstanceState, id string, err error) {
	if c, err = newInstanceChange(ctx, database, config); err != nil {
		return c, s, "", err
	}
	if s, err = c.state(ctx); err != nil {
		return c, s, "", err
	}
	switch len(s.Configured) {
	case 0:
		return c, s, "", mirror.ErrInstanceUnknown
	case 1:
		return c, s, s.Configured[0], nil
	}
	return c, s, "", fmt.Errorf("%w: they are those of %s; use the keys of one", mirror.ErrOtherInstance, strings.Join(s.Configured, " and "))
}

func (c *instanceChange) state(ctx context.Context) (s mirror.InstanceState, err error) {
	s.Database, s.Configured = c.db.Settings().Instance, []string{}
	if s.Events, err = c.db.Instances(ctx); err != nil {
		return s, err
	}
	if s.Rows, err = c.db.CountMirrored(ctx); err != nil {
		return s, err
	}
	runners, err := c.db.Runners(ctx)
	if err != nil {
		return s, err
	}
	now, err := c.db.Clock(ctx, clerk.TimeOf(c.now()))
	if err != nil {
		return s, err
	}
	gone, _ := status.Abandoned(runners, 0, now)
	s.Running = len(runners) - len(gone)
	configured, err := c.guard.Configured(ctx)
	if err == nil && configured != nil {
		s.Configured = configured
	}
	return s, err
}

// sampledUsers is how many users are read from Clerk to see whose rows a database has.
const sampledUsers = 10

// checkRows makes sure that the rows of the database are those of the configured keys' instance.
func (c *instanceChange) checkRows(ctx context.Context, s *mirror.InstanceState) error {
	if s.Rows == 0 {
		return nil
	}
	if c.api == nil {
		return fmt.Errorf("%w, so that it cannot be seen whose rows these are", ErrNoSecretKey)
	}
	ids, err := c.db.SampleUsers(ctx, sampledUsers)
	if err != nil {
		return err
	}
	found := 0
	for _, id := range ids {
		switch _, err := c.api.Object(ctx, clerkapi.Ref{Kind: clerk.KindUser, ID: id}, clerkapi.Background); {
		case err == nil:
			found++
		case !errors.Is(err, clerkapi.ErrNotFound):
			return err
		}
	}
	if 2*found <= len(ids) {
		return fmt.Errorf("%w: of the last %d users here, Clerk has %d", mirror.ErrOtherData, len(ids), found)
	}
	return nil
}
