package instance

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/internal/clerkapi"
	"github.com/clerksync/clerksync/internal/metrics"
	"github.com/clerksync/clerksync/internal/reconcile"
	"github.com/clerksync/clerksync/internal/store"
)

// KeyConfig says where the keys that verify tokens come from. The first source that is set counts.
type KeyConfig struct {
	Algorithm   string // RS256 or HS256
	JWTKey      string // PEM of the public key, or the HS256 secret
	JWKSURL     string
	SecretKey   string // fetches the keys from the Backend API
	APIURL      string // of the Backend API, without /v1
	FrontendAPI string
}

// newKeySet makes the key set of the first source that is set, nil when there is none.
func (g *Guard) newKeySet() (auth.KeySet, error) {
	c := g.config.Keys
	if c.Algorithm == auth.HS256 {
		secret := c.JWTKey
		if secret == "" {
			secret = c.SecretKey
		}
		return auth.HMACKey(secret)
	}
	if c.JWTKey != "" {
		key, err := auth.ParsePublicKey(c.JWTKey)
		if err != nil {
			return nil, err
		}
		return auth.StaticKey(key), nil
	}
	transport := g.config.Clock.Transport(http.DefaultTransport) //nolint:forbidigo // auth.RemoteKeySet bounds each fetch
	remote := auth.RemoteKeySetConfig{Now: g.config.Now, Logger: g.config.Logger, HTTPClient: &http.Client{Transport: transport}}
	if !g.config.Unstored {
		remote.Store = keyStore{g.db, g.confirm}
	}
	switch {
	case c.JWKSURL != "":
		remote.URL = c.JWKSURL
	case c.SecretKey != "":
		remote.URL = c.APIURL + "/v1/jwks"
		remote.HTTPClient.Transport = keyTransport{g, transport}
	case c.FrontendAPI != "":
		remote.URL = frontendKeys(c.FrontendAPI)
	default:
		return nil, nil
	}
	keys, err := auth.NewRemoteKeySet(remote)
	if err != nil {
		return nil, err
	}
	g.remote = keys
	return keys, nil
}

// KeysReady reports whether the first keys are there, where they are fetched. It starts to fetch
// them if they are not: requests do so as well, but a load balancer sends none before the server
// is ready.
func (g *Guard) KeysReady() bool { return g.remote == nil || g.remote.Prepare() }

// FetchKeys asks Clerk for the keys that verify tokens, and for the instance of the secret key.
// Keys of another instance than the database's are mirror.ErrOtherInstance.
func (g *Guard) FetchKeys(ctx context.Context) error {
	if g.remote != nil {
		if err := g.remote.Refresh(ctx); err != nil {
			return errors.Join(err, g.CheckSecretKey(ctx, clerkapi.NoWait))
		}
	}
	return g.confirmKeys(ctx)
}

// LearnKeys makes sure that the keys are those of the instance which the database mirrors. It
// asks Clerk only for what is not known yet.
func (g *Guard) LearnKeys(ctx context.Context) error {
	if g.remote != nil && g.remote.KeyIDs() == nil {
		return g.FetchKeys(ctx)
	}
	return g.confirmKeys(ctx)
}

// confirmKeys checks the keys that are there.
func (g *Guard) confirmKeys(ctx context.Context) (err error) {
	if g.remote != nil {
		err = g.confirm(ctx, g.remote.KeyIDs())
	}
	return errors.Join(err, g.CheckSecretKey(ctx, clerkapi.NoWait))
}

// CheckSecretKey makes sure that the secret key belongs to the instance that the database
// mirrors: what is read with the key is stored. It asks Clerk once.
func (g *Guard) CheckSecretKey(ctx context.Context, p clerkapi.Priority) error {
	if g.api == nil {
		return nil
	}
	if g.secretKeyIDs.Load() == nil {
		ids := g.fetchedWithSecretKey()
		if ids == nil {
			var err error
			if ids, err = g.api.KeyIDs(ctx, p); err != nil {
				return err
			}
		}
		g.LearnSecretKey(ids)
	}
	return g.confirm(ctx, *g.secretKeyIDs.Load())
}

// fetchedWithSecretKey returns the ids of the keys that verify tokens, where they were fetched
// with the secret key.
func (g *Guard) fetchedWithSecretKey() []string {
	if g.remote == nil || g.keysArePublic.Load() || g.config.Keys.JWKSURL != "" || g.secretKey() == "" || g.config.Keys.Algorithm == auth.HS256 {
		return nil
	}
	return g.remote.KeyIDs()
}

// LearnSecretKey sets the key ids of the secret key's instance, as Clerk returned them.
func (g *Guard) LearnSecretKey(ids []string) { g.secretKeyIDs.Store(&ids) }

// keyStore stores the instance's public keys in the database, for a start while Clerk is out of
// reach. Keys of another instance than the database's are not stored.
type keyStore struct {
	db      *store.DB
	confirm func(ctx context.Context, ids []string) error // see [Guard.confirm]
}

const metaKeys = "jwks"

// keptKeys is the form in which they are stored.
type keptKeys struct {
	Fetched time.Time       `json:"fetched"`
	Set     json.RawMessage `json:"set"`
}

// LoadKeys implements [auth.KeyStore].
func (s keyStore) LoadKeys(ctx context.Context) (set []byte, fetched time.Time, err error) {
	text, err := s.db.Meta(ctx, metaKeys)
	if errors.Is(err, store.ErrNotFound) {
		return nil, time.Time{}, nil
	}
	var kept keptKeys
	if err == nil {
		err = json.Unmarshal([]byte(text), &kept)
	}
	return kept.Set, kept.Fetched, err
}

// SaveKeys implements [auth.KeyStore].
func (s keyStore) SaveKeys(ctx context.Context, set []byte, fetched time.Time) error {
	if s.db.ReadOnly() {
		return nil
	}
	if err := s.confirm(ctx, keyIDs(set)); err != nil {
		return err
	}
	text, err := json.Marshal(keptKeys{fetched, set})
	if err != nil {
		return err
	}
	return s.db.SetMeta(ctx, metaKeys, string(text))
}

// keptInstance returns the instance of the keys that are stored in the database.
func keptInstance(ctx context.Context, db *store.DB) (string, error) {
	set, _, err := keyStore{db: db}.LoadKeys(ctx)
	if err != nil || set == nil {
		return "", err
	}
	return reconcile.SoleInstance(keyIDs(set)), nil
}

// keyIDs returns the ids of the keys in a JWK set.
func keyIDs(set []byte) (ids []string) {
	var parsed struct {
		Keys []struct {
			ID string `json:"kid"`
		} `json:"keys"`
	}
	_ = json.Unmarshal(set, &parsed) // what is no key set names nothing
	for _, key := range parsed.Keys {
		ids = append(ids, key.ID)
	}
	return ids
}

// KeysMissing reports whether no key is usable now, because the keys could not be fetched.
func (g *Guard) KeysMissing() bool {
	return g.remote != nil && !g.remote.Usable() && g.remote.Stats().Failures > 0
}

// Collect observes how the keys were fetched.
func (g *Guard) Collect(o metrics.Observe) {
	if g.remote == nil {
		return
	}
	stats := g.remote.Stats()
	o(metrics.KeysFetched, metrics.Seconds(stats.Fetched))
	o(metrics.KeysFetches, float64(stats.Fetches))
	o(metrics.KeysFailures, float64(stats.Failures))
}
