package machine

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/internal/clerkapi"
	"github.com/clerksync/clerksync/internal/incident"
	"github.com/clerksync/clerksync/internal/store"
)

// Config configures a [Verifier].
type Config struct {
	DB          *store.DB
	API         *clerkapi.Client
	Revocations *Revocations

	// Callers are the scopes of machines, as in [auth.MachineConfig]. Claims have them from the
	// start, so that a request does not need a copy with them.
	Callers map[string][]string

	TTL            time.Duration // how long an answer of Clerk counts
	MaxStale       time.Duration // how much longer it counts while Clerk cannot be asked
	CallsPerMinute int           // verifications that unknown tokens may cost
	Price          float64       // of a verification, in US dollars, for metrics

	Now       func() time.Time
	Incidents *incident.Log
}

const (
	maxEntries  = 10_000 // tokens in memory
	maxUnknown  = 10_000 // tokens that Clerk has refused
	unknownFor  = 30 * time.Second
	revokedFor  = time.Hour // no revocation is taken back
	maxRefreshs = 64        // under way in the background

	// refreshAt is the part of the TTL after which a token in use is asked about in the background.
	refreshAt = 0.75
)

// Verifier verifies API keys and opaque tokens. It is safe for concurrent use. It implements
// [auth.OpaqueVerifier].
type Verifier struct {
	config    Config
	digester  *digester
	addresses *addresses
	calls     *perMinute
	looks     singleflight.Group // by digest
	saver     saver

	mu      sync.Mutex
	entries *recent[digest, *entry]
	refused *recent[digest, refusal]
	pauses  [pausedKinds]time.Time // until when Clerk does not want to be asked about a kind
	refresh int                    // looks under way in the background

	Stats Stats
}

const pausedKinds = 4 // kinds of auth

// entry is a token that Clerk has accepted. The verifier's mutex guards it, but claims never
// change.
type entry struct {
	claims   *auth.Claims
	checked  time.Time // when Clerk was asked the last time that it called the token valid
	verified time.Time // likewise, but by the token itself and not by its id
	again    time.Time // when to ask Clerk again after an attempt that failed
	looking  bool      // Clerk is asked in the background
}

// refusal is a token that Clerk has refused for good.
type refusal struct {
	reason string
	until  time.Time
}

// New returns a verifier, which must be opened. It starts nothing.
func New(c Config) *Verifier {
	v := &Verifier{
		config: c, addresses: newAddresses(), calls: newPerMinute(c.CallsPerMinute),
		entries: newRecent[digest, *entry](maxEntries), refused: newRecent[digest, refusal](maxUnknown),
	}
	v.saver.init(&v.config)
	c.Revocations.changed = v.forgetRevoked
	return v
}

// Open reads what the verifier needs of a migrated database: its key, and the latest tokens, so
// that no flood of unknown ones keeps these from being looked up.
func (v *Verifier) Open(ctx context.Context) error {
	secret, err := v.config.DB.InboxKey(ctx)
	if err != nil {
		return err
	}
	v.digester = newDigester(secret)
	list, err := v.config.DB.LatestMachineTokens(ctx, maxEntries)
	for _, stored := range slices.Backward(list) {
		kind, _ := auth.ParseKind(stored.Kind)
		if key, ok := parseDigest(stored.Digest); ok && kind != auth.Session {
			v.keep(key, v.entryOf(&stored, kind))
		}
	}
	return err
}

// forgetRevoked forgets the tokens that were revoked here, and remembers them as refused for a
// while: during an outage, nothing else would say what they are.
func (v *Verifier) forgetRevoked() {
	r := v.config.Revocations
	r.mu.RLock()
	defer r.mu.RUnlock()
	v.mu.Lock()
	defer v.mu.Unlock()
	until := v.config.Now().Add(revokedFor)
	for _, key := range v.entries.removeIf(func(e *entry) bool { return r.covers(e.claims) }) {
		v.refused.put(key, refusal{auth.ReasonRevoked, until})
		v.saver.remove(key) // it may be about to be stored
	}
}

// Close stores what is not stored yet.
func (v *Verifier) Close() { v.saver.close() }

// VerifyOpaque implements [auth.OpaqueVerifier].
func (v *Verifier) VerifyOpaque(ctx context.Context, token auth.OpaqueToken) (*auth.Claims, error) {
	key, now := v.digester.of(token.Token), v.config.Now()
	v.mu.Lock()
	e, found := v.entries.get(key)
	if found && v.fresh(e, now) {
		claims := e.claims
		begin := v.beginRefresh(e, now)
		v.mu.Unlock()
		v.Stats.Hits.Add(1)
		if begin {
			v.refreshLater(ctx, key, token)
		}
		return claims, nil
	}
	refused, known := v.refused.get(key)
	v.mu.Unlock()
	if !found && known && now.Before(refused.until) {
		v.Stats.Remembered.Add(1)
		return nil, refuse(refused.reason, nil)
	}
	v.Stats.Misses.Add(1)
	return v.wait(ctx, key, token)
}

// fresh reports whether an entry counts without another question to Clerk.
func (v *Verifier) fresh(e *entry, now time.Time) bool { return counts(e, now, v.config.TTL) }

// counts reports whether an entry counts for a time after Clerk was asked.
func counts(e *entry, now time.Time, during time.Duration) bool {
	expires := e.claims.ExpiresAt
	age := now.Sub(e.checked)
	return age >= 0 && age < during && (expires.IsZero() || now.Before(expires))
}

// beginRefresh reports whether the caller must ask Clerk in the background, so that no request
// waits when the TTL ends.
func (v *Verifier) beginRefresh(e *entry, now time.Time) bool {
	due := now.Sub(e.checked) >= time.Duration(refreshAt*float64(v.config.TTL)) && !now.Before(e.again)
	if !due || e.looking || v.refresh >= maxRefreshs {
		return false
	}
	e.looking = true
	v.refresh++
	return true
}

// refreshLater asks Clerk about a known token without anyone waiting.
func (v *Verifier) refreshLater(ctx context.Context, key digest, token auth.OpaqueToken) {
	ctx = context.WithoutCancel(ctx)
	v.saver.background.Go(func() {
		_, _ = v.wait(ctx, key, token)
		v.mu.Lock()
		defer v.mu.Unlock()
		v.refresh--
		if e, found := v.entries.get(key); found {
			e.looking = false
		}
	})
}

// wait looks a token up, once for all who ask for it at a time. A caller who leaves does not end
// that.
func (v *Verifier) wait(ctx context.Context, key digest, token auth.OpaqueToken) (*auth.Claims, error) {
	inner := context.WithoutCancel(ctx)
	look := v.looks.DoChan(string(key[:]), func() (any, error) { return v.resolve(inner, key, token) })
	select {
	case result := <-look:
		claims, _ := result.Val.(*auth.Claims)
		return claims, result.Err
	case <-ctx.Done():
		return nil, &auth.UnavailableError{Err: ctx.Err()}
	}
}

func refuse(reason string, cause error) error {
	return &auth.Error{Code: auth.CodeInvalidToken, Reason: reason, Detail: "Invalid authentication token", Err: cause}
}

// unavailable returns the error for a token that cannot be decided about, and logs the cause.
func (v *Verifier) unavailable(after time.Duration, cause error) error {
	if !errors.Is(cause, errBudget) {
		v.config.Incidents.Report(slog.LevelWarn, "machine_tokens", "API keys and tokens cannot be verified at Clerk", slog.Any("error", cause))
	}
	return &auth.UnavailableError{RetryAfter: after, Err: cause}
}
