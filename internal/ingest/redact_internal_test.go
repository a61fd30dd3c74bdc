package ingest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/store"
)

func configured(t testing.TB, paths ...string) *Ingest {
	t.Helper()
	r, err := ParseRedaction(paths)
	if err != nil {
		t.Fatal(err)
	}
	return &Ingest{db: store.Open(store.SQLite, nil, nil), redaction: r, pins: func() []string { return nil }}
}

// TestRedactionOfAllPayloads: redacting twice is redacting once, the stored body gives the operations of the delivered
// one, and a read of the same object has the same digest.
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
		once, _ := in.redact(envelope)
		if twice, changed := in.redact(once); !twice.Equal(once) || changed && !strings.Contains(once.JSON(), "_metadata") {
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
			if again := stored.ops[i]; again.raw != op.raw || again.Version != op.Version || again.key != op.key {
				t.Errorf("%s: operation %d differs when replayed", file, i)
			}
		}
		if op := delivered.ops[0]; op.do == upsert {
			page := in.PreparePage(Page{Kind: op.key.Kind, Rows: []clerk.Value{envelope.Get("data")}}).rows
			if page[0].whole.Digest != op.Digest {
				t.Errorf("%s: a read has another digest than the event", file)
			}
		}
	}
}

func TestRedactionByPath(t *testing.T) {
	t.Parallel()
	const body = `{"data":{"id":"sess_1","object":"session","user":{"id":"user_1","object":"user","private_metadata":{"a":1,"b":2},
		"public_metadata":{"ssn":"x","list":[{"n":1},{"n":2}],"private_metadata":{"a":5}},"phones":[{"number":"1"},{"number":"2"}]}},"object":"event"}`
	for _, c := range []struct{ path, has, lacks string }{
		{"private_metadata", `"private_metadata":null`, `"b":2`},
		{"private_metadata", `"private_metadata":{"a":5}`, `"b":2`}, // the application's own word in its own metadata
		{"private_metadata.a", `"private_metadata":{"a":null,"b":2}`, `{"a":1`},
		{"private_metadata.*", `"private_metadata":{"a":null,"b":null}`, `{"a":1`},
		{"public_metadata.ssn", `"ssn":null`, `"x"`},
		{"public_metadata.list.n", `"list":[{"n":null},{"n":null}]`, `"n":1`},
		{"user.phones", `"phones":null`, "number"},
		{"phones.number", `{"number":null}`, `"number":"`},
		{"session.phones", `"number":"1"`, `null`},
		{"session.user.phones", `"phones":null`, "number"},
		{"nowhere.at.all", `"number":"1"`, "null"},
	} {
		v, err := clerk.Parse([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		redacted, _ := configured(t, c.path).redact(v)
		if s := redacted.JSON(); !strings.Contains(s, c.has) || strings.Contains(s, c.lacks) {
			t.Errorf("%s: %s", c.path, s)
		}
	}
}

// TestIndispensableFieldsAreNotRedacted: a mirror without them would be wrong, and nobody would notice.
func TestIndispensableFieldsAreNotRedacted(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"id", "user.id", "data", "updated_at", "session.status", "user.*", "*", "organization", "a..b", ""} {
		if _, err := ParseRedaction([]string{"slug", path}); err == nil {
			t.Errorf("%q is taken", path)
		}
	}
	if _, err := ParseRedaction([]string{"public_metadata.id", "user.private_metadata.*"}); err != nil {
		t.Error(err)
	}
}

func FuzzRedaction(f *testing.F) {
	f.Add(`{"data":{"url":"x","private_metadata":{"a":[{"b":1}]}}}`, "private_metadata.a.b")
	f.Fuzz(func(t *testing.T, body, path string) {
		v, err := clerk.Parse([]byte(body))
		r, err2 := ParseRedaction([]string{path})
		if err != nil || err2 != nil {
			return
		}
		in := &Ingest{db: store.Open(store.SQLite, nil, nil), redaction: r}
		once, _ := in.redact(v)
		if twice, _ := in.redact(once); !twice.Equal(once) {
			t.Errorf("%s by %q is %s, and then %s", body, path, once.JSON(), twice.JSON())
		}
	})
}
