package instance

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"

	"github.com/clerksync/clerksync/internal/store"
)

// metaRefusedKeys is the name under which the database keeps which keys were refused last. With
// it, commands that do not ask Clerk know it too.
const metaRefusedKeys = "refused_keys"

// refusedKeys names keys by a digest. Only a process that has the keys can recognize it.
type refusedKeys struct {
	Keys     string `json:"keys"`
	Instance string `json:"instance"`
}

// recordRefusal stores that the configured keys belong to another instance.
func (g *Guard) recordRefusal(ctx context.Context, other string) error {
	if before := g.refused.Swap(&other); before != nil && *before == other || g.db.ReadOnly() {
		return nil
	}
	keys, err := g.keysDigest(ctx)
	if err != nil {
		return err
	}
	text, err := json.Marshal(refusedKeys{keys, other})
	if err != nil {
		return err
	}
	return g.db.SetMeta(ctx, metaRefusedKeys, string(text))
}

// LoadRefusal reads whether the configured keys were refused before.
func (g *Guard) LoadRefusal(ctx context.Context) error {
	text, err := g.db.Meta(ctx, metaRefusedKeys)
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
	if keys, err := g.keysDigest(ctx); err != nil || keys != r.Keys {
		return err
	}
	g.refused.Store(&r.Instance)
	return nil
}

// refusedBefore returns the instance for which these keys were refused, where the database still
// mirrors another one.
func (g *Guard) refusedBefore() string {
	known, other := g.db.Settings().Instance, g.refused.Load()
	if known == "" || other == nil || *other == known {
		return ""
	}
	return *other
}

// keysDigest identifies the configured keys, by a secret of this database.
func (g *Guard) keysDigest(ctx context.Context) (string, error) {
	key, err := g.db.InboxKey(ctx)
	if err != nil {
		return "", err
	}
	c, mac := g.config.Keys, hmac.New(sha256.New, key)
	for _, part := range []string{g.secretKey(), c.JWTKey, c.JWKSURL, c.FrontendAPI} {
		mac.Write([]byte(part + "\n"))
	}
	return hex.EncodeToString(mac.Sum(nil)), nil
}
