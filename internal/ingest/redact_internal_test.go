package ingest

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/converge"
	"github.com/clerksync/clerksync/internal/privacy"
	"github.com/clerksync/clerksync/internal/store"
)

func configured(t *testing.T, paths ...string) *Ingest {
	t.Helper()
	redaction, err := privacy.ParseRedaction(paths)
	if err != nil {
		t.Fatal(err)
	}
	db, log := store.Open(store.SQLite, nil, nil), slog.New(slog.DiscardHandler)
	return &Ingest{db: db, Redactor: privacy.NewRedactor(db, log, redaction), allowedInstances: func() []string { return nil }}
}

// TestRedactionOfAllPayloads: redacting twice is redacting once, the stored body gives the
// operations of the delivered one, and a read of the same object has the same digest.
func TestRedactionOfAllPayloads(t *testing.T) {
	t.Parallel()
	in := configured(t, "private_metadata", "public_metadata.plan", "user.first_name", "email_addresses.email_address", "unsafe_metadata.*", "slug")
	files, err := filepath.Glob("../../clerk/testdata/events/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		envelope, err := clerk.Parse(body)
		if err != nil {
			t.Fatal(err)
		}
		once, _ := in.Redact(envelope)
		if twice, changed := in.Redact(once); !twice.Equal(once) || changed && !strings.Contains(once.JSON(), "_metadata") {
			t.Errorf("%s: redacted twice it is %s", file, twice.JSON())
		}
		if s := once.JSON(); strings.Contains(s, "203.0.113.24") || strings.Contains(s, "ticket=") {
			t.Errorf("%s: %s", file, s)
		}
		if isMessage(envelope) {
			continue
		}
		delivered, err1 := in.read(envelope)
		stored, err2 := in.read(once)
		if err1 != nil || err2 != nil || len(delivered.ops) != len(stored.ops) {
			t.Fatalf("%s: %v %v", file, err1, err2)
		}
		for i, op := range delivered.ops {
			if again := stored.ops[i]; again.Raw != op.Raw || again.Version != op.Version || again.Key != op.Key {
				t.Errorf("%s: operation %d differs when replayed", file, i)
			}
		}
		if op := delivered.ops[0]; op.Action == converge.Upsert {
			page := in.PreparePage(Page{Kind: op.Key.Kind, Rows: []clerk.Value{envelope.Get("data")}}).rows
			if page[0].object.Digest != op.Digest {
				t.Errorf("%s: a read has another digest than the event", file)
			}
		}
	}
}
