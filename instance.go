package clerksync

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/internal/clerkapi"
	"github.com/clerksync/clerksync/internal/doctor"
	"github.com/clerksync/clerksync/internal/reconcile"
	"github.com/clerksync/clerksync/internal/store"
)

// ErrOtherInstance means that the configured keys, or the configured instance, belong to another Clerk instance than the
// one that the database mirrors. A mirror of two instances would be wrong about both.
var ErrOtherInstance = reconcile.ErrOtherInstance

// instances is what is known of the Clerk instances that this process's keys belong to.
type instances struct {
	api     atomic.Pointer[[]string]  // ids of the keys of the secret key's instance, once Clerk told them
	refused atomic.Pointer[string]    // an instance that these very keys were refused for, perhaps by another process
	tokens  atomic.Pointer[tokenKeys] // the keys that verify tokens, as they were judged last
}

// tokenKeys is what the keys that verify tokens are to the database. It holds while neither of the two changes.
type tokenKeys struct {
	generation uint64
	settings   *store.Settings
	foreign    string // the instance of the keys, if it is another one than the database's
}

// foreign names the other Clerk instances whose keys or events meet a database; the zero value is none.
type foreign struct {
	Database string   // the instance that the database mirrors; "" where it is not known yet
	Keys     []string // instances that this process's keys or configuration name, and that are not that one
	Events   []string // instances whose events came here, and that are not that one
}

// Any reports whether there is another instance at all.
func (f foreign) Any() bool { return len(f.Keys)+len(f.Events) > 0 }

// foreign finds the other instances whose keys or events meet the database. While there is one, nothing is in sync.
func (m *Mirror) foreign(ctx context.Context) (f foreign, err error) {
	f.Database = m.db.Settings().Instance
	for _, id := range []string{m.foreignPin(), m.foreignTokenKeys(), m.foreignSecretKey(), m.refusedBefore()} {
		if id != "" && !slices.Contains(f.Keys, id) {
			f.Keys = append(f.Keys, id)
		}
	}
	seen, err := m.db.Instances(ctx)
	if err != nil {
		return f, err
	}
	switch pins := m.pins(); {
	case len(pins) > 0:
		f.Events = slices.DeleteFunc(seen, func(id string) bool { return slices.Contains(pins, id) })
	case len(seen) > 1: // it is not known which of them is the right one
		f.Events = seen
	}
	return f, nil
}

// pins are the instances whose events are applied: the one that the database remembers, else the configured one, else
// those of the keys that verify tokens, if they are known.
func (m *Mirror) pins() []string {
	if known := m.db.Settings().Instance; known != "" {
		return []string{known}
	}
	if m.config.InstanceID != "" {
		return []string{m.config.InstanceID}
	}
	if m.remoteKeys == nil {
		return nil
	}
	return reconcile.Instances(m.remoteKeys.KeyIDs())
}

// foreignPin is the configured instance, where the database remembers another one.
func (m *Mirror) foreignPin() string {
	if known := m.db.Settings().Instance; known != "" && m.config.InstanceID != "" && m.config.InstanceID != known {
		return m.config.InstanceID
	}
	return ""
}

// foreignTokenKeys names the instance of the keys that verify tokens, where the database remembers another one: no token
// that they verify is one of this mirror's.
func (m *Mirror) foreignTokenKeys() string {
	settings := m.db.Settings()
	if settings.Instance == "" || m.remoteKeys == nil {
		return ""
	}
	generation, _ := m.remoteKeys.Generation()
	if k := m.instances.tokens.Load(); k != nil && k.settings == settings && k.generation == generation {
		return k.foreign
	}
	ids := m.remoteKeys.KeyIDs()
	k := &tokenKeys{generation: generation, settings: settings, foreign: foreignOf(ids, settings.Instance)}
	if ids != nil { // else the generation says nothing
		m.instances.tokens.Store(k)
	}
	return k.foreign
}

// foreignSecretKey names the instance that the secret key belongs to, where the database remembers another one and Clerk
// has told it.
func (m *Mirror) foreignSecretKey() string {
	known, ids := m.db.Settings().Instance, m.instances.api.Load()
	if known == "" || ids == nil {
		return ""
	}
	return foreignOf(*ids, known)
}

func foreignOf(ids []string, known string) string {
	if !reconcile.OtherInstance(ids, []string{known}) {
		return ""
	}
	return strings.Join(reconcile.Instances(ids), ", ")
}

// confirmInstance makes the database remember the instance that ids of keys name, if it knows none yet, and refuses those of
// another one. A database that can only be read remembers nothing new.
func (m *Mirror) confirmInstance(ctx context.Context, ids []string) error {
	known := m.db.Settings().Instance
	if known == "" && !m.db.ReadOnly() {
		var err error
		if known, err = m.db.RememberInstance(ctx, reconcile.SoleInstance(ids)); err != nil {
			return err
		}
	}
	if known == "" {
		return nil
	}
	if other := foreignOf(ids, known); other != "" {
		return errors.Join(reconcile.OtherInstanceError(known, other), m.recordRefusal(ctx, other))
	}
	return nil
}

// metaRefusedKeys records which keys were refused last, so that commands that ask Clerk nothing know it too.
const metaRefusedKeys = "refused_keys"

// refusedKeys names keys by a digest, which tells nothing to anyone who does not have them.
type refusedKeys struct {
	Keys     string `json:"keys"`
	Instance string `json:"instance"`
}

// recordRefusal notes that the configured keys belong to another instance.
func (m *Mirror) recordRefusal(ctx context.Context, other string) error {
	if before := m.instances.refused.Swap(&other); before != nil && *before == other || m.db.ReadOnly() {
		return nil
	}
	keys, err := m.keysDigest(ctx)
	if err != nil {
		return err
	}
	text, err := json.Marshal(refusedKeys{keys, other})
	if err != nil {
		return err
	}
	return m.db.SetMeta(ctx, metaRefusedKeys, string(text))
}

// recallRefusal learns whether the configured keys were refused before.
func (m *Mirror) recallRefusal(ctx context.Context) error {
	text, err := m.db.Meta(ctx, metaRefusedKeys)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	var r refusedKeys
	if err == nil {
		err = json.Unmarshal([]byte(text), &r)
	}
	if err != nil {
		return err
	}
	if keys, err := m.keysDigest(ctx); err != nil || keys != r.Keys {
		return err
	}
	m.instances.refused.Store(&r.Instance)
	return nil
}

// refusedBefore is the instance for which these keys were refused, where the database still mirrors another one.
func (m *Mirror) refusedBefore() string {
	known, other := m.db.Settings().Instance, m.instances.refused.Load()
	if known == "" || other == nil || *other == known {
		return ""
	}
	return *other
}

// keysDigest identifies the configured keys, by a secret of this database.
func (m *Mirror) keysDigest(ctx context.Context) (string, error) {
	key, err := m.db.InboxKey(ctx)
	if err != nil {
		return "", err
	}
	c, mac := m.config, hmac.New(sha256.New, key)
	for _, part := range []string{c.SecretKey, c.JWTKey, c.JWKSURL, c.FrontendAPI} {
		mac.Write([]byte(part + "\n"))
	}
	return hex.EncodeToString(mac.Sum(nil)), nil
}

// openInstance settles which instance the database mirrors, as far as that is known without asking Clerk: the one that it
// remembers, else that of the keys which an older version kept here, else the configured one. Another configured one is
// refused.
func openInstance(ctx context.Context, db *store.DB, configured string) error {
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

// keptInstance is the instance of the keys that are kept in the database.
func keptInstance(ctx context.Context, db *store.DB) (string, error) {
	set, _, err := keyStore{db: db}.LoadKeys(ctx)
	if err != nil || set == nil {
		return "", err
	}
	return reconcile.SoleInstance(keyIDs(set)), nil
}

// keyIDs are the ids of the keys in a JWK set.
func keyIDs(set []byte) (ids []string) {
	var parsed struct {
		Keys []struct {
			ID string `json:"kid"`
		} `json:"keys"`
	}
	_ = json.Unmarshal(set, &parsed) // a set that is none names nothing
	for _, key := range parsed.Keys {
		ids = append(ids, key.ID)
	}
	return ids
}

// FetchKeys asks Clerk now for the keys that verify tokens, rather than with the first token, and which instance the secret
// key belongs to. If it fails, the mirror still works and fetches them later. Keys of another instance than the database
// mirrors are [ErrOtherInstance]: do not go on with them.
func (m *Mirror) FetchKeys(ctx context.Context) error {
	if m.remoteKeys != nil {
		if err := m.remoteKeys.Refresh(ctx); err != nil {
			return errors.Join(err, m.checkSecret(ctx, clerkapi.NoWait))
		}
	}
	return m.confirmKeys(ctx)
}

// learnKeys makes sure that the keys are those of the instance which the database mirrors. It asks Clerk only for what
// is not known yet.
func (m *Mirror) learnKeys(ctx context.Context) error {
	if m.remoteKeys != nil && m.remoteKeys.KeyIDs() == nil {
		return m.FetchKeys(ctx)
	}
	return m.confirmKeys(ctx)
}

// confirmKeys is learnKeys with the keys that are there.
func (m *Mirror) confirmKeys(ctx context.Context) (err error) {
	if m.remoteKeys != nil {
		err = m.confirmInstance(ctx, m.remoteKeys.KeyIDs())
	}
	return errors.Join(err, m.checkSecret(ctx, clerkapi.NoWait))
}

// checkSecret makes sure once that the secret key belongs to the instance that the database mirrors: what is read with it
// is stored.
func (m *Mirror) checkSecret(ctx context.Context, p clerkapi.Priority) error {
	if m.proofs.api == nil {
		return nil
	}
	if m.instances.api.Load() == nil {
		ids := m.secretKeyIDs()
		if ids == nil {
			var err error
			if ids, err = m.proofs.api.KeyIDs(ctx, p); err != nil {
				return err
			}
		}
		m.learnedSecret(ids)
	}
	return m.confirmInstance(ctx, *m.instances.api.Load())
}

// secretKeyIDs are the ids of the keys that verify tokens, where they were fetched with the secret key.
func (m *Mirror) secretKeyIDs() []string {
	if m.remoteKeys == nil || m.config.JWKSURL != "" || m.config.SecretKey == "" || m.config.JWTAlgorithm == auth.HS256 {
		return nil
	}
	return m.remoteKeys.KeyIDs()
}

func (m *Mirror) learnedSecret(ids []string) { m.instances.api.Store(&ids) }

// checkInstance is a check of [Diagnose]: whether the configured keys are those of the database's instance.
func (m *Mirror) checkInstance(ctx context.Context) []Finding {
	err := m.FetchKeys(ctx)
	if !errors.Is(err, ErrOtherInstance) {
		return nil // other checks say what is wrong with the keys
	}
	known := m.db.Settings().Instance
	return []Finding{doctor.Fail("Use another database, or the keys of "+known+".", "%v.", err)}
}
