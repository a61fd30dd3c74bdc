package access

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

const (
	// knownFor is how old the list of operators may be in which a token is found. What another
	// process revokes is refused within a second, with the time of a read.
	knownFor = 800 * time.Millisecond
	// unknownFor is how old the list may be in which a token is not found: an operator who was just
	// added does not wait, and guesses cost ten reads a second at most.
	unknownFor = 100 * time.Millisecond
	// listTimeout bounds a read of the list.
	listTimeout = time.Second
	// usedWithin is how exactly the last use of a token is stored: one write an hour.
	usedWithin = time.Hour
	// usedAgain is when a write that failed is tried again.
	usedAgain = time.Minute
)

// Operators adds and revokes named operators, and checks their tokens. It remembers all of them for
// less than a second. It is safe for concurrent use.
type Operators struct {
	config  *Config
	reading chan struct{} // full while the list is read: others wait for that read

	mu        sync.Mutex
	list      operatorList
	changedAt time.Time // when this process last changed an operator: older lists do not count
	usedAt    map[store.TokenDigest]time.Time
	closed    bool
	writes    sync.WaitGroup
}

// operatorList is what a read returned. Its age counts from the beginning of the read.
type operatorList struct {
	at     time.Time
	tokens []store.OperatorToken
	err    error
}

func newOperators(config *Config) *Operators {
	return &Operators{config: config, reading: make(chan struct{}, 1), usedAt: map[store.TokenDigest]time.Time{}}
}

// close waits for the writes that are under way.
func (o *Operators) close() {
	o.mu.Lock()
	o.closed = true
	o.mu.Unlock()
	o.writes.Wait()
}

// named returns the operator with a token.
func (o *Operators) named(ctx context.Context, digest store.TokenDigest) (found store.OperatorToken, known bool, err error) {
	for _, age := range []time.Duration{knownFor, unknownFor} {
		tokens, err := o.tokens(ctx, age)
		if err != nil {
			return found, false, err
		}
		if i := find(tokens, digest); i >= 0 {
			return tokens[i], true, nil
		}
	}
	return found, false, nil
}

// find returns the index of the operator with a digest, or -1. It compares with all of them, each
// in constant time, so that its time shows nothing of a digest that is stored.
func find(tokens []store.OperatorToken, digest store.TokenDigest) int {
	at := -1
	for i := range tokens {
		at = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(tokens[i].Digest[:], digest[:]), i, at)
	}
	return at
}

// tokens returns the operators as they were no longer ago than age, or when the caller asked. One
// read serves all who wait for it, also if it fails.
func (o *Operators) tokens(ctx context.Context, age time.Duration) ([]store.OperatorToken, error) {
	asked := time.Now()
	if list, fresh := o.remembered(asked, age); fresh {
		return list.tokens, list.err
	}
	select {
	case o.reading <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-o.reading }()
	if list, fresh := o.remembered(asked, age); fresh {
		return list.tokens, list.err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), listTimeout) // others wait for it too
	defer cancel()
	list := operatorList{at: time.Now()}
	list.tokens, list.err = o.config.DB.OperatorTokens(ctx)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.list = list
	return list.tokens, list.err
}

// remembered returns the last list, and whether it is young enough. A failure is remembered for a
// moment only.
func (o *Operators) remembered(asked time.Time, age time.Duration) (list operatorList, fresh bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.list.err != nil {
		age = min(age, unknownFor)
	}
	young := !o.list.at.IsZero() && (asked.Sub(o.list.at) < age || o.list.at.After(asked))
	return o.list, young && o.list.at.After(o.changedAt)
}

// used stores that a token was used, in the background: no request waits for it.
func (o *Operators) used(t store.OperatorToken, now time.Time) {
	if o.config.DB.ReadOnly() || now.Sub(t.LastUsedAt) < usedWithin {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if last, ok := o.usedAt[t.Digest]; o.closed || ok && now.Sub(last) < usedWithin {
		return
	}
	if len(o.usedAt) >= 2*store.MaxOperators { // most of them were revoked
		clear(o.usedAt)
	}
	o.usedAt[t.Digest] = now
	o.writes.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), auditTimeout)
		defer cancel()
		err := o.config.DB.OperatorUsed(ctx, t.Digest, now, usedWithin)
		if err == nil {
			return
		}
		o.config.Incidents.Report(slog.LevelWarn, "operator_used", "the last use of an operator's token cannot be stored", slog.Any("error", err))
		o.mu.Lock()
		defer o.mu.Unlock()
		o.usedAt[t.Digest] = now.Add(usedAgain - usedWithin)
	})
}

// NewOperator describes an operator to be added.
type NewOperator struct {
	Name     string
	ReadOnly bool
	ValidFor time.Duration // DefaultTokenLife if it is 0
	By       mirror.By
}

// The life of a token.
const (
	DefaultTokenLife = 90 * 24 * time.Hour
	minTokenLife     = time.Minute
	maxTokenLife     = 5 * 365 * 24 * time.Hour
)

// tokenEncoding is strict: each token has one form.
var tokenEncoding = base64.RawURLEncoding.Strict()

// Add adds an operator and returns it with its token, which is not stored.
func (o *Operators) Add(ctx context.Context, n NewOperator) (mirror.Operator, string, error) {
	if err := checkOperatorName(n.Name); err != nil {
		return mirror.Operator{}, "", err
	}
	if n.ValidFor == 0 {
		n.ValidFor = DefaultTokenLife
	}
	if n.ValidFor < minTokenLife || n.ValidFor > maxTokenLife {
		return mirror.Operator{}, "", fmt.Errorf("%w: a token lives from a minute to five years", mirror.ErrInvalidOperator)
	}
	random := make([]byte, tokenBytes)
	_, _ = rand.Read(random) // never fails
	token := tokenPrefix + tokenEncoding.EncodeToString(random)
	now := clerk.TimeOf(o.config.Now()).Time()
	t := store.OperatorToken{Digest: sha256.Sum256([]byte(token)), Operator: mirror.Operator{
		Name: n.Name, ReadOnly: n.ReadOnly, CreatedAt: now, CreatedBy: n.By.Actor, ExpiresAt: clerk.TimeOf(now.Add(n.ValidFor)).Time(),
	}}
	err := o.config.DB.AddOperator(ctx, &t, n.By)
	o.changed()
	if err != nil {
		return mirror.Operator{}, "", err
	}
	return t.Operator, token, nil
}

// maxOperatorName is the greatest length of a name.
const maxOperatorName = 64

// checkOperatorName returns what is wrong with a name. Names never differ in case alone, and need
// no quotes in a shell, a URL or a log.
func checkOperatorName(name string) error {
	ok := name != "" && len(name) <= maxOperatorName
	for i := range len(name) {
		c := name[i]
		letter := 'a' <= c && c <= 'z' || '0' <= c && c <= '9'
		ok = ok && (letter || i > 0 && (c == '.' || c == '_' || c == '-'))
	}
	if !ok {
		return fmt.Errorf("%w: a name has 1 to 64 lower-case letters, digits, dots, hyphens and underscores, and begins with a letter or digit",
			mirror.ErrInvalidOperator)
	}
	return nil
}

// List lists the operators by name, expired ones too.
func (o *Operators) List(ctx context.Context) ([]mirror.Operator, error) {
	tokens, err := o.config.DB.OperatorTokens(ctx)
	list := make([]mirror.Operator, len(tokens))
	for i := range tokens {
		list[i] = tokens[i].Operator
	}
	return list, err
}

// Revoke removes an operator. This process refuses the token at once, others within a second.
func (o *Operators) Revoke(ctx context.Context, name string, by mirror.By) error {
	err := o.config.DB.RevokeOperator(ctx, name, by)
	o.changed()
	return err
}

// changed makes requests read the list again.
func (o *Operators) changed() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.changedAt = time.Now()
}
