package auth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	fetchTimeout  = 5 * time.Second
	maxSetSize    = 1 << 20
	guessInterval = 10 * time.Second // least time between the last fetch and one that a doubtful token asks for
	missingFor    = 30 * time.Second
	maxMissing    = 1024
	maxBackoff    = 30 * time.Second

	defaultRefresh  = 5 * time.Minute
	defaultMaxStale = 24 * time.Hour
)

// RemoteKeySetConfig says where keys come from and how old they may become.
type RemoteKeySetConfig struct {
	// URL of the JWK set: https, or http to a loopback address. Redirects are not followed.
	URL string

	// SecretKey is sent as bearer token, if set. Clerk's Backend API (/v1/jwks) wants it, the Frontend API
	// (/.well-known/jwks.json) does not.
	SecretKey string

	// HTTPClient is the client to use, less its redirect policy, cookies and timeout. nil: one like http.DefaultClient.
	HTTPClient *http.Client

	// Refresh is the age at which keys are fetched anew, 5 minutes if 0, at least one second.
	Refresh time.Duration

	// MaxStale is the age up to which keys are used while they cannot be fetched, 24 hours if 0.
	MaxStale time.Duration

	// Store keeps the last good set across restarts. nil: nobody does.
	Store KeyStore

	// Now is the clock, time.Now if nil.
	Now func() time.Time

	// Logger gets changes of the key ids and failed fetches. nil: nobody.
	Logger *slog.Logger
}

// RemoteKeySet is a [KeySet] of the RSA keys in a JWK set that is fetched over the network and kept in memory.
//
// Fetches are made on demand and shared: one at a time, each for at most 5 seconds, whatever the contexts of those who
// wait for it. No goroutine lives between them, so there is nothing to close. Nobody waits while keys younger than
// twice Refresh are at hand; a key that was removed from the set stops working with the first fetch after Refresh has
// passed. Failed fetches are repeated at growing intervals up to 30 seconds, and the last good set serves until
// MaxStale.
//
// A key of the set that must not be used (weak, meant for something else, published with its private parts, or with an
// id that another key has as well) is skipped and logged once per change of the set; the other keys serve on.
//
// A token with an unknown key id, or with a signature that the key of that id did not make, may be the first sign of a
// rotation, or forged. It starts a fetch only if the last one began 10 seconds ago or more, so a flood of forged tokens
// costs at most six fetches a minute, and a rotation is noticed during the flood as well. An id that a fetch did not
// bring is refused for 30 seconds without asking again.
type RemoteKeySet struct {
	config RemoteKeySetConfig
	client *http.Client
	set    atomic.Pointer[jwkSet] // the last good one, nil before it
	stored storedKeys

	mu       sync.Mutex
	current  *fetch    // the one under way, nil if there is none
	started  time.Time // when the last fetch began
	failures int       // since the last good fetch
	retryAt  time.Time // after failures: not before this
	lastErr  error     // of the last fetch
	stats    KeyStats
	missing  map[string]time.Time // key ids that a fetch did not bring: refused until then
}

// fetch is one fetch under way. set and err are to be read after done is closed.
type fetch struct {
	done chan struct{}
	set  *jwkSet
	err  error
}

// wait returns what the fetch brought, or the error of ctx if that ends first. The fetch goes on then.
func (f *fetch) wait(ctx context.Context) (*jwkSet, error) {
	select {
	case <-f.done:
		return f.set, f.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// NewRemoteKeySet checks the configuration and reports all its faults together. It fetches nothing: the first token does,
// or [RemoteKeySet.Refresh] before it.
func NewRemoteKeySet(config RemoteKeySetConfig) (*RemoteKeySet, error) {
	if config.Refresh == 0 {
		config.Refresh = defaultRefresh
	}
	if config.MaxStale == 0 {
		config.MaxStale = max(defaultMaxStale, config.Refresh)
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	faults := []error{checkKeysURL(config.URL)}
	if config.Refresh < time.Second {
		faults = append(faults, fmt.Errorf("auth: keys: refresh %s is less than a second", config.Refresh))
	}
	if config.MaxStale < config.Refresh {
		faults = append(faults,
			fmt.Errorf("auth: keys: max stale %s is less than refresh %s", config.MaxStale, config.Refresh))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	client := &http.Client{
		// An answer from elsewhere would be keys from elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if config.HTTPClient != nil {
		client.Transport = config.HTTPClient.Transport
	}
	return &RemoteKeySet{
		config: config, client: client, missing: make(map[string]time.Time),
		stored: storedKeys{store: config.Store, loaded: make(chan struct{})},
	}, nil
}

func checkKeysURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "": // the error of url.Parse quotes the text, which may hold a password
		return errors.New("auth: keys: the URL is not one")
	case u.User != nil:
		return errors.New("auth: keys: the URL must not hold a user or password")
	case u.Scheme == "https", u.Scheme == "http" && isLoopback(u.Hostname()):
		return nil
	default:
		return errors.New("auth: keys: the URL must be https; http only to a loopback address")
	}
}

func isLoopback(host string) bool {
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}

// Algorithm is RS256.
func (r *RemoteKeySet) Algorithm() string { return RS256 }

// KeyIDs returns the sorted ids of the usable keys of the last good set; nil before there is one. Clerk names its keys
// after the instance (ins_…).
func (r *RemoteKeySet) KeyIDs() []string {
	set := r.set.Load()
	if set == nil {
		return nil
	}
	return set.ids()
}

// Generation implements [VersionedKeySet]. Like a verification, it starts a fetch when the keys are due for one: a server
// that meets only tokens which it remembers would otherwise never notice that a key was removed.
func (r *RemoteKeySet) Generation() (generation uint64, usable bool) {
	set, age := r.load()
	if set == nil {
		return 0, false
	}
	if age >= r.config.Refresh {
		_, failing, _ := r.begin(0)
		usable = r.usableWhileRefreshing(age, failing)
		return set.generation, usable
	}
	return set.generation, true
}

// Refresh fetches the keys now, or waits for a fetch that is already under way. The context bounds the wait; the fetch
// itself goes on. If it fails at start, the stored keys are in place where there are any.
func (r *RemoteKeySet) Refresh(ctx context.Context) error {
	r.mu.Lock()
	if r.current == nil {
		r.start()
	}
	f := r.current
	r.mu.Unlock()
	r.startRestore()
	_, err := f.wait(ctx)
	if err != nil {
		r.restore(ctx)
	}
	return err
}

// VerifySignature implements [KeySet].
func (r *RemoteKeySet) VerifySignature(ctx context.Context, keyID string, signed, signature []byte) error {
	if keyID == "" || len(keyID) > maxKeyIDSize {
		return ErrUnknownKey
	}
	set, err := r.usableSet(ctx)
	if err != nil {
		return err
	}
	key, refusal := set.keys[keyID], ErrUnknownKey
	if key != nil {
		if refusal = verifyRS256(key, signed, signature); refusal == nil {
			return nil
		}
	}
	// The key may have been rotated since, to a new id or under the old one.
	newer := r.refreshForUnknownKey(ctx, keyID, key == nil)
	if newer == nil {
		return refusal
	}
	if renewed := newer.keys[keyID]; renewed != nil && (key == nil || !renewed.Equal(key)) {
		return verifyRS256(renewed, signed, signature)
	}
	return refusal
}

// usableSet returns the keys to verify with. It waits for a fetch only if there are none, or if so much time went by
// without a token that they were not even tried to refresh.
func (r *RemoteKeySet) usableSet(ctx context.Context) (*jwkSet, error) {
	r.restore(ctx)
	set, age := r.load()
	if set != nil && age < r.config.Refresh {
		return set, nil
	}
	f, failing, lastErr := r.begin(0)
	if set != nil && r.usableWhileRefreshing(age, failing) {
		return set, nil
	}
	if f != nil {
		var newer *jwkSet
		if newer, lastErr = f.wait(ctx); lastErr == nil {
			return newer, nil
		}
	}
	// Old keys serve where new ones cannot be had, not where somebody would not wait for them.
	if set, age = r.load(); set != nil && age < r.config.MaxStale && ctx.Err() == nil {
		return set, nil
	}
	return nil, fmt.Errorf("no keys to verify with: %w", lastErr)
}

// usableWhileRefreshing tells whether keys that are due for a fetch serve on without waiting for it.
func (r *RemoteKeySet) usableWhileRefreshing(age time.Duration, failing bool) bool {
	return age < r.config.MaxStale && (age < 2*r.config.Refresh || failing)
}

func (r *RemoteKeySet) load() (set *jwkSet, age time.Duration) {
	if set = r.set.Load(); set != nil {
		age = r.config.Now().Sub(set.fetched)
	}
	return set, age
}

// guess fetches the keys because of a token that may be forged, if that is allowed now; nil if not, or if it failed.
func (r *RemoteKeySet) refreshForUnknownKey(ctx context.Context, keyID string, unknown bool) *jwkSet {
	if unknown && r.isMissing(keyID) {
		return nil
	}
	f, _, _ := r.begin(guessInterval)
	if f == nil {
		return nil
	}
	set, err := f.wait(ctx)
	if err != nil {
		return nil
	}
	if unknown && set.keys[keyID] == nil {
		r.setMissing(keyID)
	}
	return set
}

func (r *RemoteKeySet) isMissing(keyID string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.config.Now().Before(r.missing[keyID])
}

// setMissing does not prolong an entry, or a key id that is asked for all the time would stay unknown for ever.
func (r *RemoteKeySet) setMissing(keyID string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.config.Now()
	if len(r.missing) >= maxMissing {
		maps.DeleteFunc(r.missing, func(_ string, until time.Time) bool { return !now.Before(until) })
	}
	if !now.Before(r.missing[keyID]) && len(r.missing) < maxMissing {
		r.missing[keyID] = now.Add(missingFor)
	}
}

// begin returns the fetch under way. If there is none it starts one, unless the last began less than gap ago or has
// failed too recently; then it returns nil.
func (r *RemoteKeySet) begin(gap time.Duration) (f *fetch, failing bool, lastErr error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.config.Now()
	if r.current == nil && !now.Before(r.retryAt) && (gap == 0 || !now.Before(r.started.Add(gap))) {
		r.start()
	}
	return r.current, r.failures > 0, r.lastErr
}

// start is called with mu held and no fetch under way.
func (r *RemoteKeySet) start() {
	now := r.config.Now()
	f := &fetch{done: make(chan struct{})}
	r.current, r.started = f, now
	go func() {
		f.set, f.err = r.fetch(now)
		old, backoff := r.finish(f)
		if f.err != nil {
			r.config.Logger.Warn("fetching the token keys failed", "error", f.err, "retry_after", backoff)
			return
		}
		r.logChange(old, f.set)
		r.save(f.set)
	}()
}

// logChange logs which keys are used and which are skipped, if that is not as it was.
func (r *RemoteKeySet) logChange(old, set *jwkSet) {
	if old == nil {
		old = &jwkSet{}
	}
	if !slices.Equal(old.ids(), set.ids()) {
		r.config.Logger.Info("token keys", "key_ids", set.ids())
	}
	if len(set.skipped) > 0 && !slices.Equal(old.skipped, set.skipped) {
		r.config.Logger.Warn("some keys of the key set are not used; tokens that they signed are refused", "skipped", set.skipped)
	}
}

// finish puts the outcome of a fetch in place and wakes those who wait for it. It returns the set that was replaced,
// and for a failure how long to wait before the next attempt.
func (r *RemoteKeySet) finish(f *fetch) (old *jwkSet, backoff time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer close(f.done)
	r.current, r.lastErr = nil, f.err
	r.stats.Fetches++
	if f.err != nil {
		r.stats.Failures++
		backoff = min(time.Second<<min(r.failures, 10), maxBackoff)
		r.failures++
		r.retryAt = r.config.Now().Add(backoff)
		return nil, backoff
	}
	r.failures, r.retryAt = 0, time.Time{}
	if old = r.set.Load(); old != nil {
		f.set.generation = old.generation
		if !f.set.sameKeys(old) {
			f.set.generation++
		}
	}
	r.set.Store(f.set)
	return old, 0
}

// fetch gets and reads the key set. No error of it holds the secret key.
func (r *RemoteKeySet) fetch(started time.Time) (*jwkSet, error) {
	ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.config.URL, nil)
	if err != nil {
		return nil, fmt.Errorf("token keys: %w", err)
	}
	request.Header.Set("Accept", "application/json")
	if r.config.SecretKey != "" {
		request.Header.Set("Authorization", "Bearer "+r.config.SecretKey)
	}
	response, err := r.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("token keys: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("token keys: status %d", response.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxSetSize+1))
	if err != nil {
		return nil, fmt.Errorf("token keys: %w", err)
	}
	if len(body) > maxSetSize {
		return nil, fmt.Errorf("token keys: more than %d bytes", maxSetSize)
	}
	set, err := parseJWKSet(body)
	if err != nil {
		return nil, fmt.Errorf("token keys: %w", err)
	}
	set.fetched = started
	return set, nil
}
