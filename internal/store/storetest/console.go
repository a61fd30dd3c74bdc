package storetest

import (
	"crypto/sha256"
	"errors"
	"testing"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// consoleSessions demands that a session is kept, that it has an operator only while the operator
// has the token with which it began, and that a link works once.
func consoleSessions(t *testing.T, db *store.DB) {
	now := clerk.TimeOf(time.Now()).Time()
	ada := newOperator("ada", now)
	if err := db.AddOperator(t.Context(), ada, mirror.By{}); err != nil {
		t.Fatal(err)
	}
	session := store.ConsoleSession{
		Digest: sha256.Sum256([]byte("cookie")), Operator: "ada", Token: ada.Digest.String(), CreatedAt: now, From: "192.0.2.7", ExpiresAt: now.Add(time.Hour),
	}
	signedIn := mirror.AuditEntry{Action: mirror.AuditOperator, Actor: "ada", Became: "signed in"}
	if err := db.AddConsoleSession(t.Context(), &session, signedIn); err != nil {
		t.Fatal(err)
	}
	got, operator, err := db.ConsoleSession(t.Context(), session.Digest)
	if err != nil || got != session || operator == nil || *operator != ada.Operator {
		t.Fatalf("%+v of %+v, %v", got, operator, err)
	}
	link := store.ConsoleSession{Digest: sha256.Sum256([]byte("link")), IsLink: true, CreatedAt: now, ExpiresAt: now.Add(time.Minute)}
	if err := db.AddConsoleSession(t.Context(), &link, signedIn); err != nil {
		t.Fatal(err)
	}
	if _, _, err := db.ConsoleSession(t.Context(), link.Digest); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a link is a session: %v", err)
	}
	other := store.ConsoleSession{Digest: sha256.Sum256([]byte("other")), CreatedAt: now, ExpiresAt: now.Add(time.Hour)}
	use := func(store.ConsoleSession) (*store.ConsoleSession, mirror.AuditEntry, error) {
		return &other, signedIn, nil
	}
	if err := db.UseConsoleLink(t.Context(), link.Digest, use); err != nil {
		t.Fatal(err)
	}
	if err := db.UseConsoleLink(t.Context(), link.Digest, use); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a link is used twice: %v", err)
	}
	if got, operator, err := db.ConsoleSession(t.Context(), other.Digest); err != nil || got != other || operator != nil {
		t.Errorf("%+v of %+v, %v", got, operator, err)
	}
	if err := db.RevokeOperator(t.Context(), "ada", mirror.By{}); err != nil {
		t.Fatal(err)
	}
	again := newOperator("ada", now)
	again.Digest = sha256.Sum256([]byte("another token"))
	if err := db.AddOperator(t.Context(), again, mirror.By{}); err != nil {
		t.Fatal(err)
	}
	if _, operator, err := db.ConsoleSession(t.Context(), session.Digest); err != nil || operator != nil {
		t.Errorf("the session outlives the token: %+v, %v", operator, err)
	}
	if err := db.EndConsoleSession(t.Context(), other.Digest); err != nil {
		t.Fatal(err)
	}
	if _, _, err := db.ConsoleSession(t.Context(), other.Digest); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the session did not end: %v", err)
	}
	late := other
	late.CreatedAt = now.Add(2 * time.Hour)
	late.ExpiresAt = late.CreatedAt.Add(time.Hour)
	if err := db.AddConsoleSession(t.Context(), &late, signedIn); err != nil {
		t.Fatal(err)
	}
	if _, _, err := db.ConsoleSession(t.Context(), session.Digest); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an expired session is kept: %v", err)
	}
}
