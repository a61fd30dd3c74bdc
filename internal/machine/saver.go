package machine

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/store"
)

const (
	saveAfter   = 500 * time.Millisecond // so that what is verified at about the same time shares a transaction
	saveAgain   = 10 * time.Second       // after a failure
	saveTimeout = 5 * time.Second
	maxUnsaved  = maxEntries
)

// saver writes to the database what was verified, some time later. What is lost in a crash is
// verified again.
type saver struct {
	config     *Config
	background sync.WaitGroup

	writing sync.Mutex // held while a batch is written, so that a later batch comes later

	mu      sync.Mutex
	unsaved map[digest]*entry // nil: the token is to be removed
	due     *time.Timer       // nil: nothing is to be saved
	closed  bool
}

func (s *saver) init(c *Config) { s.config, s.unsaved = c, map[digest]*entry{} }

func (s *saver) save(key digest, e *entry) { s.put(key, e) }

func (s *saver) remove(key digest) { s.put(key, nil) }

func (s *saver) put(key digest, e *entry) {
	if s.config.DB.ReadOnly() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.unsaved) >= maxUnsaved {
		return
	}
	s.unsaved[key] = e
	s.schedule(saveAfter)
}

// schedule makes what is unsaved be saved after a time. The caller holds mu.
func (s *saver) schedule(after time.Duration) {
	if s.due != nil || s.closed {
		return
	}
	s.due = time.AfterFunc(after, func() {
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			return
		}
		s.background.Add(1)
		s.due = nil
		s.mu.Unlock()
		defer s.background.Done()
		s.flush()
	})
}

// flush writes what is unsaved.
func (s *saver) flush() {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.mu.Lock()
	batch := s.unsaved
	s.unsaved = map[digest]*entry{}
	s.mu.Unlock()
	if len(batch) == 0 {
		return
	}
	var list []store.MachineToken
	var gone []string
	for key, e := range batch {
		if e == nil {
			gone = append(gone, key.String())
		} else {
			list = append(list, e.record(key))
		}
	}
	slices.Sort(gone)
	ctx, cancel := context.WithTimeout(context.Background(), saveTimeout)
	defer cancel()
	err := s.config.DB.SaveMachineTokens(ctx, list, gone)
	if err == nil {
		return
	}
	s.config.Incidents.Report(slog.LevelWarn, "machine_tokens_saved", "verified API keys and tokens cannot be stored", slog.Any("error", err))
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.Copy(batch, s.unsaved) // what came meanwhile is newer
	s.unsaved = batch
	s.schedule(saveAgain)
}

// close waits for what is under way, and writes what is left.
func (s *saver) close() {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	s.closed = true
	if s.due != nil {
		s.due.Stop()
	}
	s.mu.Unlock()
	s.background.Wait()
	s.flush()
}

// String returns a digest as it is stored.
func (d digest) String() string { return hex.EncodeToString(d[:]) }

// parseDigest reads a digest as it is stored.
func parseDigest(text string) (d digest, ok bool) {
	raw, err := hex.DecodeString(text)
	return d, err == nil && copy(d[:], raw) == len(d) && len(raw) == len(d)
}

// record returns an entry as it is stored.
func (e *entry) record(key digest) store.MachineToken {
	c := e.claims
	t := store.MachineToken{
		Digest: key.String(), Kind: c.Kind.String(), KeyID: c.KeyID, Subject: c.Subject, CreatedBy: c.CreatedBy, ClientID: c.ClientID,
		Scopes: c.Scopes, Claims: string(c.Raw), IssuedAt: clerk.TimeOf(c.IssuedAt), ExpiresAt: clerk.TimeOf(c.ExpiresAt),
		CheckedAt: clerk.TimeOf(e.checked), VerifiedAt: clerk.TimeOf(e.verified),
	}
	if c.Kind == auth.M2M {
		t.Scopes = c.Audience
	}
	return t
}

// entryOf returns the entry of a stored token, or nil if it is of another kind than the token that
// was sent.
func (v *Verifier) entryOf(t *store.MachineToken, kind auth.Kind) *entry {
	if t.Kind != kind.String() {
		return nil
	}
	c := &auth.Claims{
		Kind: kind, Subject: t.Subject, KeyID: t.KeyID, ClientID: t.ClientID, CreatedBy: t.CreatedBy, Scopes: t.Scopes, Raw: json.RawMessage(t.Claims),
		IssuedAt: t.IssuedAt.Time(), ExpiresAt: t.ExpiresAt.Time(),
	}
	v.complete(c)
	return &entry{claims: c, checked: t.CheckedAt.Time(), verified: t.VerifiedAt.Time()}
}
