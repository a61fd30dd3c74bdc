package privacy

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/store"
)

func configured(t testing.TB, paths ...string) *Redactor {
	t.Helper()
	redaction, err := ParseRedaction(paths)
	if err != nil {
		t.Fatal(err)
	}
	return NewRedactor(store.Open(store.SQLite, nil, nil), slog.New(slog.DiscardHandler), redaction)
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
		redacted, _ := configured(t, c.path).Redact(v)
		if s := redacted.JSON(); !strings.Contains(s, c.has) || strings.Contains(s, c.lacks) {
			t.Errorf("%s: %s", c.path, s)
		}
	}
}

// TestIndispensableFieldsAreNotRedacted: a mirror without them would be wrong, and no one would
// notice.
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
		redactor := NewRedactor(store.Open(store.SQLite, nil, nil), slog.New(slog.DiscardHandler), r)
		once, _ := redactor.Redact(v)
		if twice, _ := redactor.Redact(once); !twice.Equal(once) {
			t.Errorf("%s by %q is %s, and then %s", body, path, once.JSON(), twice.JSON())
		}
	})
}
