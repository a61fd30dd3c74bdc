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
	fetchTimeout       = 5 * time.Second
	maxSetSize         = 1 << 20          // bytes
	unknownKeyInterval = 10 * time.Second // the least time between two fetches for unknown keys
	missingFor         = 30 * time.Second // how long a key id that a fetch did not bring is refused
	maxMissing         = 1024             // such key ids at a time
	maxBackoff         = 30 * time.Second // the longest pause after a failed fetch

	defaultRefresh  = 5 * time.Minute
	defaultMaxStale = 24 * time.Hour
)

// RemoteKeySetConfig configures a [RemoteKeySet].
type RemoteKeySetConfig struct {
	// URL is the URL of the JWK set: https, or http to a loopback address. Redirects are not
	// followed. Required.
	URL string

	// SecretKey is sent as a bearer token, unless it is empty. Clerk's Backend API (/v1/jwks) needs
	// it. The Frontend API (/.well-known/jwks.json) does not.
	SecretKey string

	// HTTPClient provides the transport. Its redirect policy, cookies and timeout are not used. nil
	// means [http.DefaultTransport].
	HTTPClient *http.Client

	// Refresh is the age at which keys are fetched again, at least one second. 0 means 5 minutes.
	Refresh time.Duration

	// MaxStale is the age up to which keys are used while new ones cannot be fetched. 0 means 24
	// hours.
	MaxStale time.Duration

	// Store keeps the last good set across restarts. nil means that it is not kept.
	Store KeyStore

	// Now returns the current time. nil means [time.Now].
	Now func() time.Time

	// Logger gets a line when the key ids change and when a fetch fails. nil discards them.
	Logger *slog.Logger
}

// RemoteKeySet is a [KeySet] of the RSA keys of a JWK set. It fetches the set over the network and
// keeps it in memory. It is safe for concurrent use.
//
// Fetches happen on demand. There is at most one at a time, and all callers share it. It takes at
// most 5 seconds, and does not end with the context of a caller. Between fetches no goroutine runs,
// so there is nothing to close.
//
// No caller waits while there are keys younger than twice Refresh. A key that was removed from the
// set is refused after the first fetch that follows Refresh. Failed fetches are repeated at growing
// intervals of up to 30 seconds. Until MaxStale the last good set is used meanwhile.
//
// Some keys must not be used: weak ones, those meant for something else, those published with their
// private parts, and those with the id of another key. They are skipped and logged, once per change
// of the set. The other keys stay usable.
//
// A token with an unknown key id, or with a signature that the key did not make, is either forged
// or the first one after a rotation. It causes a fetch only if the last one for such a token began
// at least 10 seconds ago. So forged tokens cause at most six fetches a minute, and a rotation is
// noticed in spite of them: at once if there are none. A key id that a fetch did not bring is
// refused for 30 seconds without another fetch.
type RemoteKeySet struct {
	config RemoteKeySetConfig
	client *http.Client
	set    atomic.Pointer[jwkSet] // the last good one, or nil
	stored storedKeys

	mu       sync.Mutex
	current  *fetch    // the one in progress, or nil
	asked    time.Time // when the last fetch for an unknown key began
	failures int       // since the last good fetch
	retryAt  time.Time // the earliest time of the next fetch after a failure
	lastErr  error     // of the last fetch
	stats    KeyStats
	missing  map[string]time.Time // key ids that a fetch did not bring, refused until then
}

// fetch is a fetch in progress. Read set and err after done is closed.
type fetch struct {
	done chan struct{}
	set  *jwkSet
	err  error
}

// wait returns the result of the fetch. If ctx ends first, it returns the error of ctx, and the
// fetch continues.
func (f *fetch) wait(ctx context.Context) (*jwkSet, error) {
	select {
	case <-f.done:
		return f.set, f.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// NewRemoteKeySet returns a key set for a configuration. The error lists everything that is wrong
// with the configuration. NewRemoteKeySet fetches nothing. The first token does, or
// [RemoteKeySet.Refresh].
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
		// A redirect could lead to keys of someone else.
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
	case err != nil || u.Host == "": // url.Parse's error quotes the text, which may contain a password
		return errors.New("auth: keys: the URL is invalid")
	case u.User != nil:
		return errors.New("auth: keys: the URL must not contain a user or password")
	case u.Scheme == "https", u.Scheme == "http" && isLoopback(u.Hostname()):
		return nil
	default:
		return errors.New("auth: keys: the URL must be https; http only to a loopback address")
	}
}

func isLoopback(host string) bool {
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}

// Algorithm returns [RS256].
func (r *RemoteKeySet) Algorithm() string { return RS256 }

// KeyIDs returns the ids of the usable keys of the last good set, sorted. It returns nil before the
// first one. Clerk's key ids are instance ids (ins_…).
func (r *RemoteKeySet) KeyIDs() []string {
	set := r.set.Load()
	if set == nil {
		return nil
	}
	return set.ids()
}

// Generation implements [VersionedKeySet]. Like a verification, it starts a fetch if the keys are
// older than Refresh. Otherwise a server that gets only remembered tokens would not notice that a
// key was removed.
func (r *RemoteKeySet) Generation() (generation uint64, usable bool) {
	set, age := r.load()
	if set == nil {
		return 0, false
	}
	if age >= r.config.Refresh {
		_, failing, _ := r.begin()
		usable = r.usableWhileRefreshing(age, failing)
		return set.generation, usable
	}
	return set.generation, true
}

// Refresh fetches the keys now, or waits for a fetch that is already in progress. The context
// bounds the wait, not the fetch. If Refresh fails before the first good fetch, the keys of the
// store are in use, if it has any.
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

// Usable reports whether there are keys to verify with: fetched or stored ones that are younger
// than MaxStale. It starts nothing.
func (r *RemoteKeySet) Usable() bool {
	set, age := r.load()
	return set != nil && age < r.config.MaxStale
}

// Prepare reports whether there are keys. If there are none, it starts to load the stored ones and
// to fetch new ones, and does not wait. After failures, fetches come at growing intervals, as they
// do for tokens.
func (r *RemoteKeySet) Prepare() (found bool) {
	if r.set.Load() != nil {
		return true
	}
	r.startRestore()
	r.begin() //nolint:errcheck // the error is that of an earlier fetch
	return false
}

// VerifySignature implements [KeySet].
func (r *RemoteKeySet) VerifySignature(ctx context.Context, keyID string, signed, signature []byte) error {
	if keyID == "" || len(keyID) > maxKeyIDSize {
		return ErrUnknownKey
	}
	began := r.config.Now()
	set, err := r.usableSet(ctx)
	if err != nil {
		return err
	}
	key, refusal := set.keys[keyID], ErrUnknownKey
	if key != nil {
		if refusal = key.verify(signed, signature); refusal == nil {
			return nil
		}
	}
	if !set.fetched.Before(began) { // the keys are newer than the question
		return refusal
	}
	// The instance may have a new key since then, under a new id or the old one.
	newer := r.refreshForUnknownKey(ctx, keyID, key == nil)
	if newer == nil {
		return refusal
	}
	if renewed := newer.keys[keyID]; renewed != nil && (key == nil || !renewed.key.Equal(key.key)) {
		return renewed.verify(signed, signature)
	}
	return refusal
}

// usableSet returns the keys to verify with. It waits for a fetch only if there are no keys, or if
// they are too old because no token has caused a fetch for a long time.
func (r *RemoteKeySet) usableSet(ctx context.Context) (*jwkSet, error) {
	r.restore(ctx)
	set, age := r.load()
	if set != nil && age < r.config.Refresh {
		return set, nil
	}
	f, failing, lastErr := r.begin()
	if set != nil && r.usableWhileRefreshing(age, failing) {
		return set, nil
	}
	if f != nil {
		var newer *jwkSet
		if newer, lastErr = f.wait(ctx); lastErr == nil {
			return newer, nil
		}
	}
	// Old keys are used if new ones cannot be fetched, but not because the caller stopped waiting.
	if set, age = r.load(); set != nil && age < r.config.MaxStale && ctx.Err() == nil {
		return set, nil
	}
	return nil, fmt.Errorf("no keys to verify with: %w", lastErr)
}

// usableWhileRefreshing reports whether keys that are older than Refresh may be used without
// waiting for the fetch.
func (r *RemoteKeySet) usableWhileRefreshing(age time.Duration, failing bool) bool {
	return age < r.config.MaxStale && (age < 2*r.config.Refresh || failing)
}

// load returns the last good set, or nil, and its age.
func (r *RemoteKeySet) load() (set *jwkSet, age time.Duration) {
	if set = r.set.Load(); set != nil {
		age = r.config.Now().Sub(set.fetched)
	}
	return set, age
}

// refreshForUnknownKey fetches the keys because of a token that may be forged. It returns nil if
// that is not allowed now, or if the fetch failed.
func (r *RemoteKeySet) refreshForUnknownKey(ctx context.Context, keyID string, unknown bool) *jwkSet {
	if unknown && r.isMissing(keyID) {
		return nil
	}
	f := r.beginForUnknownKey()
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

// setMissing notes that a fetch did not bring a key id. It does not extend an existing note.
// Otherwise a key id in constant use would stay unknown permanently.
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

// begin returns the fetch in progress. If there is none, it starts one, unless the last one failed
// too recently. Then it returns nil.
func (r *RemoteKeySet) begin() (f *fetch, failing bool, lastErr error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.current == nil && !r.config.Now().Before(r.retryAt) {
		r.start()
	}
	return r.current, r.failures > 0, r.lastErr
}

// beginForUnknownKey is begin for a token that may be forged. It starts a fetch only if the last
// one that it started began long enough ago.
func (r *RemoteKeySet) beginForUnknownKey() *fetch {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.config.Now()
	if r.current == nil && !now.Before(r.retryAt) && !now.Before(r.asked.Add(unknownKeyInterval)) {
		r.asked = now
		r.start()
	}
	return r.current
}

// start starts a fetch. The caller holds mu and has checked that none is in progress.
func (r *RemoteKeySet) start() {
	now := r.config.Now()
	f := &fetch{done: make(chan struct{})}
	r.current = f
	go func() {
		f.set, f.err = r.fetch(now)
		old, backoff := r.finish(f)
		if f.err != nil {
			r.config.Logger.Warn("fetching the token keys failed", "error", f.err, "retry_after", backoff.String())
			return
		}
		r.logChange(old, f.set)
		r.save(f.set)
	}()
}

// logChange logs which keys are used and which are skipped, if that has changed.
func (r *RemoteKeySet) logChange(old, set *jwkSet) {
	if old == nil {
		old = &jwkSet{}
	}
	if !slices.Equal(old.ids(), set.ids()) {
		r.config.Logger.Info("token keys", "key_ids", set.ids())
	}
	if len(set.skipped) > 0 && !slices.Equal(old.skipped, set.skipped) {
		r.config.Logger.Warn("some keys of the key set are not used; tokens that they signed are refused",
			"skipped", set.skipped)
	}
}

// finish stores the result of a fetch and wakes the callers that wait for it. It returns the set
// that was replaced, and after a failure the pause before the next attempt.
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

// fetch requests and reads the key set. Its errors do not contain the secret key.
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
