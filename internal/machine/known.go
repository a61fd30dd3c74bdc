package machine

import (
	"context"
	"errors"
	"fmt"

	"github.com/clerksync/clerksync/auth"
)

// errNotAsked is the cause where only Clerk could answer.
var errNotAsked = errors.New("the token is not remembered here, and Clerk was not asked")

// known is a verifier of what is remembered.
type known struct{ v *Verifier }

// Known returns a verifier that never asks Clerk. A token that neither this process nor the
// database remembers as one that still counts is an [*auth.UnavailableError].
func (v *Verifier) Known() auth.OpaqueVerifier { return known{v} }

// VerifyOpaque implements [auth.OpaqueVerifier].
func (k known) VerifyOpaque(ctx context.Context, token auth.OpaqueToken) (*auth.Claims, error) {
	v := k.v
	key, now := v.digester.of(token.Token), v.config.Now()
	e := v.held(key)
	if e == nil || !v.fresh(e, now) {
		stored, err := v.load(ctx, key, token.Kind)
		if err != nil {
			return nil, v.unavailable(0, fmt.Errorf("look the token up: %w", err))
		}
		e = stored
	}
	if e == nil || !v.fresh(e, now) {
		return nil, v.unavailable(0, errNotAsked)
	}
	return e.claims, nil
}
