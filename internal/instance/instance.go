package instance

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/internal/clerkapi"
	"github.com/clerksync/clerksync/internal/reach"
	"github.com/clerksync/clerksync/internal/reconcile"
	"github.com/clerksync/clerksync/internal/store"
)

// Config configures a [Guard].
type Config struct {
	DB *store.DB
	// ID is the configured instance (ins_…); "" means that the keys name it.
	ID   string
	Keys KeyConfig
	// Unstored keeps what is learned about keys out of the database, for a look at which instance
	// they belong to.
	Unstored bool
	// SecretKeyTried, if set, is called with whether Clerk accepted the secret key when token
	// keys were fetched with it.
	SecretKeyTried func(accepted bool)
	Clock          *reach.Clock // compared with the dates of the answers that bring keys; it may be nil
	Now            func() time.Time
	Logger         *slog.Logger
}

// Guard keeps the keys, the events and the database of a mirror to one Clerk instance.
type Guard struct {
	config Config
	db     *store.DB
	remote *auth.RemoteKeySet // nil: the keys that verify tokens are not fetched
	api    *clerkapi.Client   // nil: without a secret key Clerk cannot be asked

	secret        atomic.Pointer[func() string] // the secret key; a function, so that no verb of fmt prints it
	secretKeyIDs  atomic.Pointer[[]string]      // ids of the keys of the secret key's instance, once Clerk returned them
	keysArePublic atomic.Bool                   // the keys were fetched from the Frontend API last, because Clerk refused the secret key
	refused       atomic.Pointer[string]        // an instance that these very keys were refused for, perhaps by another process
	tokenKeys     atomic.Pointer[tokenKeys]     // the last check of the keys that verify tokens
}

// New makes a guard and the keys that verify tokens. The keys are nil when no source of keys is
// configured.
func New(config Config) (*Guard, auth.KeySet, error) {
	g := &Guard{config: config, db: config.DB}
	g.setSecretKey(config.Keys.SecretKey)
	keys, err := g.newKeySet()
	return g, keys, err
}

// UseAPI sets the client with which Clerk is asked for the instance of the secret key. Call it
// before any other method.
func (g *Guard) UseAPI(api *clerkapi.Client) { g.api = api }

// RemoteKeys returns the keys that are fetched to verify tokens, nil if none are.
func (g *Guard) RemoteKeys() *auth.RemoteKeySet { return g.remote }

// tokenKeys is the result of a check of the keys that verify tokens. It holds while neither the
// keys nor the settings change.
type tokenKeys struct {
	generation uint64
	settings   *store.Settings
	foreign    string // the instance of the keys, if it is another one than the database's
}

// Foreign names the other Clerk instances whose keys or events meet a database; the zero value is
// none.
type Foreign struct {
	Database string   // the instance that the database mirrors; "" where it is not known yet
	Keys     []string // instances that this process's keys or configuration name, and that are not that one
	Events   []string // instances whose events came here, and that are not that one
}

// Any reports whether there is another instance at all.
func (f Foreign) Any() bool { return len(f.Keys)+len(f.Events) > 0 }

// Foreign finds the other instances whose keys or events meet the database. While there is one,
// nothing is in sync.
func (g *Guard) Foreign(ctx context.Context) (f Foreign, err error) {
	f.Database = g.db.Settings().Instance
	for _, id := range []string{g.foreignPin(), g.ForeignTokenKeys(), g.foreignSecretKey(), g.refusedBefore()} {
		if id != "" && !slices.Contains(f.Keys, id) {
			f.Keys = append(f.Keys, id)
		}
	}
	seen, err := g.db.Instances(ctx)
	if err != nil {
		return f, err
	}
	switch allowed := g.AllowedInstances(); {
	case len(allowed) > 0:
		f.Events = slices.DeleteFunc(seen, func(id string) bool { return slices.Contains(allowed, id) })
	case len(seen) > 1: // it is not known which of them is the right one
		f.Events = seen
	}
	return f, nil
}

// AllowedInstances returns the instances whose events are applied: the one that the database
// remembers, else the configured one, else those of the keys that verify tokens, if they are
// known. None means that events of any instance are applied.
func (g *Guard) AllowedInstances() []string {
	if known := g.db.Settings().Instance; known != "" {
		return []string{known}
	}
	if g.config.ID != "" {
		return []string{g.config.ID}
	}
	if g.remote == nil {
		return nil
	}
	return reconcile.Instances(g.remote.KeyIDs())
}

// foreignPin returns the configured instance, where the database remembers another one.
func (g *Guard) foreignPin() string {
	if known := g.db.Settings().Instance; known != "" && g.config.ID != "" && g.config.ID != known {
		return g.config.ID
	}
	return ""
}

// ForeignTokenKeys returns the instance of the keys that verify tokens, where the database
// remembers another one: the tokens that they verify belong to another mirror. "" means that
// there is no such conflict.
func (g *Guard) ForeignTokenKeys() string {
	settings := g.db.Settings()
	if settings.Instance == "" || g.remote == nil {
		return ""
	}
	generation, _ := g.remote.Generation()
	if k := g.tokenKeys.Load(); k != nil && k.settings == settings && k.generation == generation {
		return k.foreign
	}
	ids := g.remote.KeyIDs()
	k := &tokenKeys{generation: generation, settings: settings, foreign: foreignOf(ids, settings.Instance)}
	if ids != nil { // else the generation says nothing
		g.tokenKeys.Store(k)
	}
	return k.foreign
}

// foreignSecretKey returns the instance that the secret key belongs to, where the database
// remembers another one. It is known once Clerk was asked.
func (g *Guard) foreignSecretKey() string {
	known, ids := g.db.Settings().Instance, g.secretKeyIDs.Load()
	if known == "" || ids == nil {
		return ""
	}
	return foreignOf(*ids, known)
}

// foreignOf returns the instances of key ids, if they are not the known one.
func foreignOf(ids []string, known string) string {
	if !reconcile.OtherInstance(ids, []string{known}) {
		return ""
	}
	return strings.Join(reconcile.Instances(ids), ", ")
}

// confirm makes the database remember the instance that ids of keys name, if it knows none yet,
// and refuses those of another one. A database that can only be read remembers nothing new.
func (g *Guard) confirm(ctx context.Context, ids []string) error {
	known := g.db.Settings().Instance
	if known == "" && !g.db.ReadOnly() {
		var err error
		if known, err = g.db.RememberInstance(ctx, reconcile.SoleInstance(ids)); err != nil {
			return err
		}
	}
	if known == "" {
		return nil
	}
	if other := foreignOf(ids, known); other != "" {
		return errors.Join(reconcile.OtherInstanceError(known, other), g.recordRefusal(ctx, other))
	}
	return nil
}

// Open settles which instance the database mirrors, as far as that is known without asking Clerk:
// the one that it remembers, else that of the keys which an older version kept here, else the
// configured one. It refuses another configured one.
func Open(ctx context.Context, db *store.DB, configured string) error {
	known := db.Settings().Instance
	if known == "" && !db.ReadOnly() {
		kept, err := keptInstance(ctx, db)
		if err == nil && kept == "" {
			kept = configured
		}
		if err == nil {
			known, err = db.RememberInstance(ctx, kept)
		}
		if err != nil {
			return err
		}
	}
	if known != "" && configured != "" && known != configured {
		return reconcile.OtherInstanceError(known, configured)
	}
	return nil
}
