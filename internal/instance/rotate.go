package instance

import (
	"context"
	"errors"
	"fmt"

	"github.com/clerksync/clerksync/internal/reconcile"
)

// ErrNoSecretKey means that there is no secret key to replace.
var ErrNoSecretKey = errors.New("no secret key of Clerk's is in use")

func (g *Guard) secretKey() string { return (*g.secret.Load())() }

func (g *Guard) setSecretKey(key string) {
	secret := func() string { return key }
	g.secret.Store(&secret)
}

// SetSecretKey replaces the secret key, once Clerk accepts the new one and it is of the instance
// that the database mirrors. Else the key before stays in use. Errors are [ErrNoSecretKey] where
// there was none before, clerkapi.ErrUnauthorized, mirror.ErrOtherInstance, and those of a Clerk
// that cannot be asked.
func (g *Guard) SetSecretKey(ctx context.Context, key string) error {
	if g.api == nil {
		return ErrNoSecretKey
	}
	if key == g.secretKey() {
		return nil
	}
	ids, err := g.api.TrySecretKey(ctx, key)
	if err != nil {
		return fmt.Errorf("the new secret key cannot be checked: %w", err)
	}
	if known := g.db.Settings().Instance; known != "" {
		if other := foreignOf(ids, known); other != "" {
			return reconcile.OtherInstanceError(known, other)
		}
	}
	if err := g.api.SetSecretKey(key); err != nil {
		return err
	}
	g.setSecretKey(key)
	g.LearnSecretKey(ids)
	g.secretKeyTried(true)
	return nil
}

// SetMachineSecretKey replaces the secret key of the application's own machine, once Clerk accepts
// the new one. Else the key before stays in use. Errors are [ErrNoSecretKey] where there was none
// before, clerkapi.ErrUnauthorized, and those of a Clerk that cannot be asked.
func (g *Guard) SetMachineSecretKey(ctx context.Context, key string) error {
	if g.api == nil || !g.api.HasMachineSecretKey() {
		return ErrNoSecretKey
	}
	if err := g.api.SetMachineSecretKey(ctx, key); err != nil {
		return fmt.Errorf("the new secret key of the machine cannot be checked: %w", err)
	}
	return nil
}
