package access

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"net/http"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

const (
	// consoleLife is how long a browser stays signed in to the console.
	consoleLife = 12 * time.Hour
	// consoleLinkLife is how long a link signs a browser in.
	consoleLinkLife = 10 * time.Minute
)

// CodeConsoleSignedOut is the code of a request of the console whose browser is not signed in.
const CodeConsoleSignedOut = "console_signed_out"

// ConsoleSession is a browser that is signed in to the console.
type ConsoleSession struct {
	Operator  mirror.Operator // the zero value is the unnamed operator
	CreatedAt time.Time
	ExpiresAt time.Time
}

// unnamedOperator is the name of the unnamed operator in the audit.
const unnamedOperator = "operator"

// SignIn starts a session for the operator with a token, and returns it with the text that a cookie
// keeps, which is not stored. Every error is a [*Denial].
func (o *Operators) SignIn(ctx context.Context, token, configured string, by mirror.By) (ConsoleSession, string, error) {
	operator, err := o.operatorOf(ctx, token, configured)
	if err != nil {
		return ConsoleSession{}, "", err
	}
	secret := newSecret()
	s := o.newConsoleSession(secret, operator.Name, by.Address)
	if s.Operator == "" {
		s.Token = boundToken(secret, configured)
	} else {
		s.Token = store.TokenDigest(sha256.Sum256([]byte(token))).String()
		s.ExpiresAt = earlier(s.ExpiresAt, operator.ExpiresAt)
	}
	if err := o.config.DB.AddConsoleSession(ctx, &s, signedIn(&s, "token", by)); err != nil {
		return ConsoleSession{}, "", unreadable(err)
	}
	return ConsoleSession{operator, s.CreatedAt, s.ExpiresAt}, secret, nil
}

// ConsoleLink makes a link that signs a browser in once, within ten minutes: as the named operator,
// or as the unnamed one if name is empty. The error is [store.ErrNotFound] if there is no operator
// of the name.
func (o *Operators) ConsoleLink(ctx context.Context, name string, by mirror.By) (link string, err error) {
	link = newSecret()
	s := o.newConsoleSession(link, name, "")
	s.IsLink, s.ExpiresAt = true, s.CreatedAt.Add(consoleLinkLife)
	if name != "" {
		tokens, err := o.config.DB.OperatorTokens(ctx)
		if err != nil {
			return "", err
		}
		for i := range tokens {
			if tokens[i].Name == name {
				s.Token = tokens[i].Digest.String()
			}
		}
		if s.Token == "" {
			return "", store.ErrNotFound
		}
	}
	audited := by.Entry(mirror.AuditSignIn)
	audited.Object, audited.Became = "link", "made for "+actorName(name)
	return link, o.config.DB.AddConsoleSession(ctx, &s, audited)
}

// UseConsoleLink starts a session with a link. A session of the unnamed operator ends when another
// token is configured, as one that began with the token. Every error is a [*Denial].
func (o *Operators) UseConsoleLink(ctx context.Context, link, configured string, by mirror.By) (ConsoleSession, string, error) {
	gone := &Denial{
		Status: http.StatusUnauthorized, Code: CodeConsoleSignedOut,
		Detail: "This link has been used or has expired: a link works once, for ten minutes",
	}
	if !isSecret(link) {
		return ConsoleSession{}, "", gone
	}
	secret := newSecret()
	err := o.config.DB.UseConsoleLink(ctx, sha256.Sum256([]byte(link)),
		func(l store.ConsoleSession) (*store.ConsoleSession, mirror.AuditEntry, error) {
			s := o.newConsoleSession(secret, l.Operator, by.Address)
			if s.Token = l.Token; s.Operator == "" {
				s.Token = boundToken(secret, configured)
			}
			if !s.CreatedAt.Before(l.ExpiresAt) {
				return nil, mirror.AuditEntry{}, gone
			}
			return &s, signedIn(&s, "link", by), nil
		})
	switch {
	case errors.Is(err, store.ErrNotFound), errors.Is(err, error(gone)):
		return ConsoleSession{}, "", gone
	case err != nil:
		return ConsoleSession{}, "", unreadable(err)
	}
	s, err := o.ConsoleSession(ctx, secret, configured)
	return s, secret, err
}

// ConsoleSession returns the session that a cookie keeps. It reads the database each time, so that
// a session ends in every process at once: when the browser signs out, when its operator is revoked
// or expires, and when another token is configured. Every error is a [*Denial].
func (o *Operators) ConsoleSession(ctx context.Context, secret, configured string) (ConsoleSession, error) {
	signedOut := &Denial{Status: http.StatusUnauthorized, Code: CodeConsoleSignedOut, Detail: "Sign in again"}
	if !isSecret(secret) {
		return ConsoleSession{}, signedOut
	}
	s, operator, err := o.config.DB.ConsoleSession(ctx, sha256.Sum256([]byte(secret)))
	switch {
	case errors.Is(err, store.ErrNotFound):
		return ConsoleSession{}, signedOut
	case err != nil:
		return ConsoleSession{}, unreadable(err)
	}
	now := o.config.Now()
	session := ConsoleSession{CreatedAt: s.CreatedAt, ExpiresAt: s.ExpiresAt}
	switch {
	case !now.Before(s.ExpiresAt):
		return session, signedOut
	case s.Operator != "":
		if operator == nil || !now.Before(operator.ExpiresAt) {
			return session, signedOut
		}
		session.Operator = *operator
	case !sameDigest(s.Token, boundToken(secret, configured)):
		return session, signedOut
	}
	return session, nil
}

// SignOut ends the session that a cookie keeps. It writes only if there is one: anyone can send a
// cookie.
func (o *Operators) SignOut(ctx context.Context, secret string) error {
	if !isSecret(secret) {
		return nil
	}
	switch _, _, err := o.config.DB.ConsoleSession(ctx, sha256.Sum256([]byte(secret))); {
	case errors.Is(err, store.ErrNotFound):
		return nil
	case err != nil:
		return unreadable(err)
	}
	return o.config.DB.EndConsoleSession(ctx, sha256.Sum256([]byte(secret)))
}

func (o *Operators) newConsoleSession(secret, name, from string) store.ConsoleSession {
	now := clerk.TimeOf(o.config.Now()).Time()
	return store.ConsoleSession{
		Digest: sha256.Sum256([]byte(secret)), Operator: name, CreatedAt: now, From: from, ExpiresAt: now.Add(consoleLife),
	}
}

func signedIn(s *store.ConsoleSession, with string, by mirror.By) mirror.AuditEntry {
	by.Actor = actorName(s.Operator)
	e := by.Entry(mirror.AuditSignIn)
	e.Object, e.Became = with, "signed in"
	return e
}

func actorName(operator string) string {
	if operator == "" {
		return unnamedOperator
	}
	return operator
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// newSecret returns the text of a cookie or of a link.
func newSecret() string {
	random := make([]byte, tokenBytes)
	_, _ = rand.Read(random) // never fails
	return tokenEncoding.EncodeToString(random)
}

// isSecret reports whether a text has the form of a cookie or of a link. Other texts never cause a
// read of the database.
func isSecret(text string) bool {
	random, err := tokenEncoding.DecodeString(text)
	return err == nil && len(random) == tokenBytes
}

// boundToken returns a digest of the configured token with the text of the cookie, so that who
// reads the database learns nothing about a configured token that can be guessed.
func boundToken(secret, configured string) string {
	sum := sha256.Sum256([]byte(secret + "\n" + configured))
	return hex.EncodeToString(sum[:])
}

func sameDigest(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// unreadable is the denial of a request while the database does not respond.
func unreadable(err error) error {
	return &Denial{
		Status: http.StatusServiceUnavailable, Code: CodeUnavailable, Err: err,
		Detail: "The tokens and sessions of operators cannot be read from the database at the moment",
	}
}
