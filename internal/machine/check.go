package machine

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/internal/clerkapi"
)

var errPaused = errors.New("Clerk did not answer a moment ago, or asked for a pause") //nolint:staticcheck // a name

// apiKind returns Clerk's name of a kind.
func apiKind(kind auth.Kind) clerkapi.TokenKind {
	switch kind {
	case auth.OAuth:
		return clerkapi.OAuthToken
	case auth.M2M:
		return clerkapi.M2MToken
	default:
		return clerkapi.APIKey
	}
}

// verify pays Clerk for an answer about a token. known says that Clerk has accepted it before. An
// [*auth.Error] refuses the token; with a [*clerkapi.Error] nothing is known.
func (v *Verifier) verify(ctx context.Context, key digest, token auth.OpaqueToken, known bool) (*auth.Claims, error) {
	asked := v.config.Now()
	answer, err := v.config.API.VerifyToken(ctx, apiKind(token.Kind), token.Token, known)
	if failed, ok := errors.AsType[*clerkapi.Error](err); !ok || failed.Attempts > 0 {
		v.Stats.paid(token.Kind).Add(1)
	}
	if err != nil {
		return nil, v.refusedBy(key, token.Kind, err)
	}
	return v.settle(key, token.Kind, &answer, &entry{checked: asked, verified: asked})
}

// refusedBy returns the refusal of a token that Clerk does not know, or the error unchanged.
func (v *Verifier) refusedBy(key digest, kind auth.Kind, err error) error {
	failed, ok := errors.AsType[*clerkapi.Error](err)
	if !ok {
		return err
	}
	switch {
	case errors.Is(failed, clerkapi.ErrNotFound):
		v.drop(key, auth.ReasonUnknown)
		return refuse(auth.ReasonUnknown, err)
	case errors.Is(failed, clerkapi.ErrRefused) && failed.Status != http.StatusForbidden && failed.Status != http.StatusPaymentRequired:
		v.drop(key, "") // a 400 need not mean this token, so it is not remembered
		return refuse(auth.ReasonUnknown, err)
	case failed.Status == http.StatusTooManyRequests: // not our own budget, which junk uses up
		v.pause(kind, v.config.Now().Add(failed.RetryAfter))
	}
	return err
}

// settle remembers what Clerk says of a token.
func (v *Verifier) settle(key digest, kind auth.Kind, answer *clerkapi.MachineToken, e *entry) (*auth.Claims, error) {
	e.claims = v.claimsOf(kind, answer)
	switch {
	case answer.Revoked:
		v.drop(key, auth.ReasonRevoked)
		return nil, refuse(auth.ReasonRevoked, nil)
	case answer.Expired || answer.ExpiresAt != 0 && !e.checked.Before(answer.ExpiresAt.Time()):
		v.drop(key, auth.ReasonExpired)
		return nil, refuse(auth.ReasonExpired, nil)
	}
	if !v.keep(key, e) {
		return nil, refuse(auth.ReasonRevoked, nil)
	}
	v.saver.save(key, e)
	return e.claims, nil
}

// drop forgets a token that is valid no more. The reason is remembered for a while, if there is
// one.
func (v *Verifier) drop(key digest, reason string) {
	v.mu.Lock()
	_, known := v.entries.get(key)
	v.entries.remove(key)
	switch now := v.config.Now(); reason {
	case "":
	case auth.ReasonRevoked:
		v.refused.put(key, refusal{reason, now.Add(revokedFor)})
	default:
		v.refused.put(key, refusal{reason, now.Add(unknownFor)})
	}
	v.mu.Unlock()
	if known {
		v.saver.remove(key)
	}
}

// checkAgain asks Clerk about a token that is known. Where its id is enough, Clerk is not paid.
func (v *Verifier) checkAgain(ctx context.Context, key digest, e *entry, token auth.OpaqueToken) (*auth.Claims, error) {
	asked := v.config.Now()
	if asked.Sub(e.verified) < trustIDs {
		answer, err := v.read(ctx, e.claims)
		switch {
		case err == nil:
			v.Stats.Reads.Add(1)
			return v.settle(key, token.Kind, &answer, &entry{checked: asked, verified: e.verified})
		case errors.Is(err, clerkapi.ErrBudget) && v.fresh(e, asked): // there is time for another read, which costs nothing
			return nil, err
		}
	}
	if wait := v.paused(token.Kind, asked); wait > 0 {
		return nil, &clerkapi.Error{Op: "verify", Reason: clerkapi.ErrBudget, RetryAfter: wait}
	}
	return v.verify(ctx, key, token, true)
}

// errUnread means that a read says nothing about a token.
var errUnread = errors.New("the token was not found by its id")

// read asks for a token by its id. After an error it must be verified: only an object that Clerk
// returns proves something.
func (v *Verifier) read(ctx context.Context, c *auth.Claims) (answer clerkapi.MachineToken, err error) {
	switch c.Kind {
	case auth.APIKey:
		answer, err = v.config.API.ReadAPIKey(ctx, c.KeyID)
		if err == nil && answer.Subject != c.Subject {
			err = errUnread
		}
		return answer, err
	case auth.M2M:
		return v.readListed(ctx, c)
	default: // Clerk has no such read for OAuth access tokens
		return answer, errUnread
	}
}

// readListed looks for an M2M token in the list of its machine. A token that is not in the pages
// that are read is not found: it may be behind them, or no longer valid, and only a
// verification can tell which.
func (v *Verifier) readListed(ctx context.Context, c *auth.Claims) (clerkapi.MachineToken, error) {
	for offset := 0; offset < maxListed; {
		page, total, err := v.config.API.TokensOf(ctx, c.Subject, offset, clerkapi.NoWait)
		if err != nil {
			return clerkapi.MachineToken{}, err
		}
		for i := range page {
			if page[i].ID == c.KeyID {
				return page[i], nil
			}
		}
		offset += len(page)
		if len(page) == 0 || offset >= total || total > maxListed {
			break
		}
	}
	return clerkapi.MachineToken{}, errUnread
}

// paused returns how long Clerk does not want to be asked about a kind.
func (v *Verifier) paused(kind auth.Kind, now time.Time) time.Duration {
	v.mu.Lock()
	defer v.mu.Unlock()
	return max(0, v.pauses[kind%pausedKinds].Sub(now))
}

func (v *Verifier) pause(kind auth.Kind, until time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.pauses[kind%pausedKinds] = until
}

// claimsOf returns the claims of a token.
func (v *Verifier) claimsOf(kind auth.Kind, t *clerkapi.MachineToken) *auth.Claims {
	c := &auth.Claims{
		Kind: kind, Subject: t.Subject, KeyID: t.ID, ClientID: t.ClientID, CreatedBy: t.CreatedBy, Scopes: t.Scopes, Raw: json.RawMessage("null"),
		IssuedAt: t.CreatedAt.Time().Truncate(time.Second), ExpiresAt: t.ExpiresAt.Time().Truncate(time.Second),
	}
	if t.Claims.Exists() {
		c.Raw = json.RawMessage(t.Claims.JSON())
	}
	v.complete(c)
	return c
}

// complete sets the claims that follow from others and from the configuration.
func (v *Verifier) complete(c *auth.Claims) {
	if strings.HasPrefix(c.Subject, "org_") {
		c.Organization = &auth.ActiveOrganization{ID: c.Subject}
	}
	if c.Kind == auth.M2M { // its scopes at Clerk are the machines that may receive it
		c.MachineID, c.Audience, c.Scopes = c.Subject, c.Scopes, v.config.Callers[c.Subject]
	}
}
