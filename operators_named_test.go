package clerksync_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/internal/driver"
	"github.com/clerksync/clerksync/internal/testenv"
	"github.com/clerksync/clerksync/internal/testkit"
	"github.com/clerksync/clerksync/internal/web"
	"github.com/clerksync/clerksync/mirror"
)

const configuredToken = "configured-configured-configured"

// office is a database with mirrors that operators use, each as in a process of its own.
type office struct {
	*testing.T
	d     *testkit.Database
	logs  testenv.Logs
	moved atomic.Int64 // how far the clock is ahead
}

func (o *office) open() *clerksync.Mirror {
	o.Helper()
	m, err := clerksync.New(o.Context(), driver.NewHandle(o.d.Connect(o)), clerksync.Config{
		Logger: o.logs.Logger(), Test: clerksync.TestConfig{Now: func() time.Time { return time.Now().Add(time.Duration(o.moved.Load())) }},
	})
	if err != nil {
		o.Fatal(err)
	}
	o.Cleanup(func() { _ = m.Close() })
	return m
}

func (o *office) add(m *clerksync.Mirror, n clerksync.NewOperator) string {
	o.Helper()
	_, token, err := m.Operators().Add(o.Context(), n)
	if err != nil {
		o.Fatal(err)
	}
	return token
}

// routes are the routes of operators, and one that changes something and writes the name of the
// operator.
func (o *office) routes(m *clerksync.Mirror) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", m.OperatorHandler(clerksync.OperatorOptions{Token: configuredToken}))
	mux.Handle("/change", m.Operators().Require(configuredToken)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		operator, ok := clerksync.OperatorFromContext(r.Context())
		fmt.Fprintf(w, "%q %v", operator.Name, ok)
	})))
	return web.Standard(web.Config{Logger: o.logs.Logger()}, mux)
}

func eachOffice(t *testing.T, test func(*office)) {
	t.Helper()
	testkit.EachEngine(t, func(t *testing.T, d *testkit.Database) { test(&office{T: t, d: d}) })
}

// changed returns a token with another letter at a place.
func changed(token string, i int) string {
	letter := "A"
	if token[i] == 'A' {
		letter = "B"
	}
	return token[:i] + letter + token[i+1:]
}

// Who may call which route of operators, and as whom.
func TestOperatorsByTheirTokens(t *testing.T) {
	t.Parallel()
	eachOffice(t, func(o *office) {
		m := o.open()
		h := o.routes(m)
		ada, reader := o.add(m, clerksync.NewOperator{Name: "ada"}), o.add(m, clerksync.NewOperator{Name: "reader", ReadOnly: true})
		short := o.add(m, clerksync.NewOperator{Name: "short", ValidFor: time.Minute})
		o.moved.Store(int64(time.Minute)) // the end itself
		for _, c := range []struct {
			name, method, path, token string
			status                    int
			body                      string
		}{
			{"an operator reads", "GET", "/health", ada, 200, `"counts":`},
			{"an operator changes", "POST", "/change", ada, 200, `"ada" true`},
			{"a read-only operator reads", "GET", "/health", reader, 200, `"counts":`},
			{"a read-only operator looks", "GET", "/change", reader, 200, `"reader" true`},
			{"a read-only operator looks at the headers", "HEAD", "/change", reader, 200, ""},
			{"a read-only operator posts", "POST", "/change", reader, 403, "operator_read_only"},
			{"a read-only operator puts", "PUT", "/change", reader, 403, "operator_read_only"},
			{"a read-only operator deletes", "DELETE", "/change", reader, 403, "operator_read_only"},
			{"a read-only operator invents a method", "get", "/change", reader, 403, "operator_read_only"},
			{"a read-only operator changes elsewhere", "DELETE", "/health", reader, 403, "operator_read_only"},
			{"the configured token", "POST", "/change", configuredToken, 200, `"" true`},
			{"an expired token", "GET", "/health", short, 401, "operator_token_expired"},
			{"an expired token changes", "POST", "/change", short, 401, "operator_token_expired"},
			{"no token", "GET", "/health", "", 401, "authentication_required"},
			{"no token changes", "POST", "/change", "", 401, "authentication_required"},
			{"a part of a token", "GET", "/health", ada[:len(ada)-1], 401, "authentication_required"},
			{"more than a token", "GET", "/health", ada + "A", 401, "authentication_required"},
			{"no prefix", "GET", "/health", strings.TrimPrefix(ada, "cso_"), 401, "authentication_required"},
			{"another prefix", "GET", "/health", "csx_" + strings.TrimPrefix(ada, "cso_"), 401, "authentication_required"},
			{"the prefix in capitals", "GET", "/health", "CSO_" + strings.TrimPrefix(ada, "cso_"), 401, "authentication_required"},
			{"another first letter", "GET", "/health", changed(ada, 4), 401, "authentication_required"},
			{"another letter", "GET", "/health", changed(ada, 20), 401, "authentication_required"},
			{"a name", "GET", "/health", "ada", 401, "authentication_required"},
		} {
			w := ask(o.T, h, c.method, c.path, c.token, "")
			if w.Code != c.status || c.method != "HEAD" && !strings.Contains(w.Body.String(), c.body) {
				o.Errorf("%s: %d %s", c.name, w.Code, w.Body)
			}
			if w.Code == http.StatusUnauthorized && !strings.HasPrefix(w.Header().Get("Www-Authenticate"), "Bearer") {
				o.Errorf("%s: the challenge is %q", c.name, w.Header().Get("Www-Authenticate"))
			}
		}
		closed := m.OperatorHandler(clerksync.OperatorOptions{})
		if w := ask(o.T, closed, "GET", "/health", ada, ""); w.Code != http.StatusOK {
			o.Errorf("without a configured token: %d %s", w.Code, w.Body)
		}
		if w := ask(o.T, closed, "GET", "/health", configuredToken, ""); w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "operator_token_unset") {
			o.Errorf("without a configured token: %d %s", w.Code, w.Body)
		}
		for _, token := range []string{ada, reader, short} {
			o.logs.MustNotContain(o, token, token[4:])
		}
		o.storesNo(ada)
	})
}

// storesNo demands that no table of operators or of the audit, and no list, has a token.
func (o *office) storesNo(token string) {
	o.Helper()
	m := o.open()
	list, err := m.Operators().List(o.Context())
	if err != nil {
		o.Fatal(err)
	}
	text, err := json.Marshal(list)
	if err != nil {
		o.Fatal(err)
	}
	audit, err := m.Audit().List(o.Context(), mirror.AuditFilter{})
	if err != nil || len(audit.Items) != 3 {
		o.Fatalf("%+v, %v", audit, err)
	}
	all := fmt.Sprint(string(text), audit.Items)
	var digest string
	rows, err := o.d.SQL(o).QueryContext(o.Context(), "SELECT name, token_digest FROM clerk_operators ORDER BY name DESC")
	if err != nil {
		o.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name, &digest); err != nil {
			o.Fatal(err)
		}
		if strings.Contains(token, digest) || len(digest) != 64 {
			o.Errorf("of %s is stored %s", name, digest)
		}
	}
	if err := rows.Err(); err != nil || digest == "" {
		o.Fatal(digest, err)
	}
	for _, secret := range []string{token, token[4:], digest, "digest"} {
		if strings.Contains(all, secret) {
			o.Errorf("a list has %s: %s", secret, all)
		}
	}
}

// A token that one process revokes is refused by it at once, and by another one within a second,
// under requests that keep the token in its memory.
func TestOperatorsAreRevokedWithinASecond(t *testing.T) {
	t.Parallel()
	eachOffice(t, func(o *office) {
		here, there := o.open(), o.open()
		ada, bob := o.add(here, clerksync.NewOperator{Name: "ada"}), o.add(here, clerksync.NewOperator{Name: "bob"})
		near, far := o.routes(here), o.routes(there)
		for _, h := range []http.Handler{near, far} {
			if w := ask(o.T, h, "GET", "/change", ada, ""); w.Code != http.StatusOK {
				o.Fatalf("before: %d %s", w.Code, w.Body)
			}
		}
		if err := here.Operators().Revoke(o.Context(), "ada", mirror.By{Actor: "cli:eve"}); err != nil {
			o.Fatal(err)
		}
		revoked := time.Now()
		if w := ask(o.T, near, "GET", "/change", ada, ""); w.Code != http.StatusUnauthorized {
			o.Errorf("the process that revoked it answers %d", w.Code)
		}
		accepted := 0
		for {
			asked := time.Now()
			if w := ask(o.T, far, "GET", "/change", ada, ""); w.Code == http.StatusUnauthorized {
				break
			}
			if accepted++; asked.Sub(revoked) > time.Second {
				o.Fatalf("another process accepts the token %v after it was revoked", asked.Sub(revoked))
			}
			<-time.After(time.Millisecond)
		}
		o.Logf("another process accepted %d requests in %v", accepted, time.Since(revoked))
		if w := ask(o.T, far, "GET", "/change", bob, ""); w.Code != http.StatusOK {
			o.Errorf("another operator: %d %s", w.Code, w.Body)
		}
		if err := here.Operators().Revoke(o.Context(), "ada", mirror.By{}); !errors.Is(err, clerksync.ErrNotFound) {
			o.Errorf("revoked twice: %v", err)
		}
		again := o.add(here, clerksync.NewOperator{Name: "ada"})
		if w := ask(o.T, near, "GET", "/change", ada, ""); w.Code != http.StatusUnauthorized || again == ada {
			o.Errorf("the old token of a name that was given again: %d", w.Code)
		}
		if w := ask(o.T, near, "GET", "/change", again, ""); w.Code != http.StatusOK {
			o.Errorf("the new token at once: %d", w.Code)
		}
	})
}

// While the operators cannot be read, named ones are refused and the configured token works.
func TestOperatorsWithoutADatabase(t *testing.T) {
	t.Parallel()
	eachOffice(t, func(o *office) {
		m := o.open()
		h := o.routes(m)
		ada := o.add(m, clerksync.NewOperator{Name: "ada"})
		status := func(want int) {
			o.Helper()
			var w *httptest.ResponseRecorder
			for end := time.Now().Add(5 * time.Second); ; <-time.After(10 * time.Millisecond) {
				if w = ask(o.T, h, "GET", "/change", ada, ""); w.Code == want {
					break
				}
				if time.Now().After(end) {
					o.Fatalf("answered %d %s, want %d", w.Code, w.Body, want)
				}
			}
			if want == 503 && (!strings.Contains(w.Body.String(), "storage_unavailable") || w.Header().Get("Retry-After") != "1") {
				o.Errorf("%v %s", w.Header(), w.Body)
			}
			if w := ask(o.T, h, "POST", "/change", configuredToken, ""); w.Code != http.StatusOK {
				o.Errorf("the configured token: %d %s", w.Code, w.Body)
			}
			if w := ask(o.T, h, "GET", "/change", "wrong", ""); w.Code != http.StatusUnauthorized {
				o.Errorf("no token of an operator: %d %s", w.Code, w.Body)
			}
		}
		status(200)
		raw := o.d.SQL(o)
		for want, text := range []string{"ALTER TABLE clerk_operators RENAME TO elsewhere", "ALTER TABLE elsewhere RENAME TO clerk_operators"} {
			if _, err := raw.ExecContext(o.Context(), text); err != nil {
				o.Fatal(err)
			}
			status([]int{503, 200}[want])
		}
		if o.d.Engine != "postgres" {
			return
		}
		tx, err := raw.BeginTx(o.Context(), nil) // a database that does not answer
		if err != nil {
			o.Fatal(err)
		}
		defer func() { _ = tx.Rollback() }()
		if _, err := tx.ExecContext(o.Context(), "LOCK TABLE clerk_operators IN ACCESS EXCLUSIVE MODE"); err != nil {
			o.Fatal(err)
		}
		status(503)
		began := time.Now()
		if w := ask(o.T, h, "GET", "/change", configuredToken, ""); w.Code != http.StatusOK || time.Since(began) > 500*time.Millisecond {
			o.Errorf("the configured token waits for the database: %d after %v", w.Code, time.Since(began))
		}
		_ = tx.Rollback()
		status(200)
	})
}

// The last use is stored once an hour, however many requests there are.
func TestLastUseOfOperators(t *testing.T) {
	t.Parallel()
	eachOffice(t, func(o *office) {
		m := o.open()
		h := o.routes(m)
		ada := o.add(m, clerksync.NewOperator{Name: "ada"})
		_ = o.add(m, clerksync.NewOperator{Name: "bob"})
		used := func() (at time.Time) {
			o.Helper()
			list, err := m.Operators().List(o.Context())
			if err != nil || len(list) != 2 || !list[1].LastUsedAt.IsZero() {
				o.Fatalf("%+v, %v", list, err)
			}
			return list[0].LastUsedAt
		}
		if !used().IsZero() {
			o.Fatal("used before it was used")
		}
		var stored time.Time
		for _, c := range []struct {
			moved time.Duration
			write bool
		}{{0, true}, {59 * time.Minute, false}, {61 * time.Minute, true}, {100 * time.Minute, false}, {122 * time.Minute, true}} {
			o.moved.Store(int64(c.moved))
			for range 20 {
				if w := ask(o.T, h, "GET", "/change", ada, ""); w.Code != http.StatusOK {
					o.Fatalf("%d %s", w.Code, w.Body)
				}
			}
			want := time.Now().Add(c.moved)
			for end := time.Now().Add(5 * time.Second); c.write && want.Sub(used()).Abs() > 30*time.Second; <-time.After(5 * time.Millisecond) {
				if time.Now().After(end) {
					o.Fatalf("after %v it was last used at %v", c.moved, used())
				}
			}
			if c.write {
				stored = used()
			}
			<-time.After(100 * time.Millisecond) // for a write that must not be
			if got := used(); !got.Equal(stored) {
				o.Errorf("after %v the last use is %v, and was %v", c.moved, got, stored)
			}
		}
	})
}

// Names, lives and the number of operators are checked before anything is stored.
func TestNamesOfOperators(t *testing.T) {
	t.Parallel()
	eachOffice(t, func(o *office) {
		m := o.open()
		good := []string{"a", "0", "ada", "ada.lovelace", "ci-7", "x_y", strings.Repeat("a", 64)}
		for _, name := range good {
			op, token, err := m.Operators().Add(o.Context(), clerksync.NewOperator{Name: name, By: mirror.By{Actor: "cli:eve"}})
			if err != nil || op.Name != name || op.CreatedBy != "cli:eve" || len(token) != 47 || op.ExpiresAt.Sub(op.CreatedAt) != 90*24*time.Hour {
				o.Errorf("%q: %+v, %v", name, op, err)
			}
		}
		for _, name := range []string{
			"", ".a", "-a", "_a", "Ada", "a b", "a/b", "a\n", "a\x00", "ä", "a@b", "a'b", "а", strings.Repeat("a", 65), "--read-only",
		} {
			_, token, err := m.Operators().Add(o.Context(), clerksync.NewOperator{Name: name})
			if !errors.Is(err, clerksync.ErrInvalidOperator) || token != "" || clerksync.ErrorCode(err) != "invalid_operator" {
				o.Errorf("%q: %v", name, err)
			}
		}
		for _, life := range []time.Duration{-time.Hour, time.Second, time.Minute - 1, 5*365*24*time.Hour + 1} {
			if _, _, err := m.Operators().Add(o.Context(), clerksync.NewOperator{Name: "b", ValidFor: life}); !errors.Is(err, clerksync.ErrInvalidOperator) {
				o.Errorf("a life of %v: %v", life, err)
			}
		}
		if _, token, err := m.Operators().Add(o.Context(), clerksync.NewOperator{Name: "ada"}); clerksync.ErrorCode(err) != "operator_exists" || token != "" {
			o.Errorf("the name is given twice: %v", err)
		}
		list, err := m.Operators().List(o.Context())
		var names []string
		for i := range list {
			names = append(names, list[i].Name)
		}
		slices.Sort(good)
		if err != nil || !slices.Equal(names, good) {
			o.Errorf("%v, %v", names, err)
		}
	})
}

// Of many processes that add an operator of the same name at once, one succeeds, and only its token
// works.
func TestOneProcessAddsAName(t *testing.T) {
	t.Parallel()
	eachOffice(t, func(o *office) {
		mirrors := []*clerksync.Mirror{o.open(), o.open()}
		tokens := make(chan string, 8)
		var all sync.WaitGroup
		for i := range cap(tokens) {
			all.Go(func() {
				_, token, err := mirrors[i%2].Operators().Add(o.Context(), clerksync.NewOperator{Name: "ada"})
				if (token == "") == (err == nil) || err != nil && !errors.Is(err, clerksync.ErrOperatorExists) {
					o.Errorf("%q, %v", token, err)
				}
				if token != "" {
					tokens <- token
				}
			})
		}
		all.Wait()
		close(tokens)
		if len(tokens) != 1 {
			o.Fatalf("%d tokens of one name", len(tokens))
		}
		ada := <-tokens
		for _, m := range mirrors {
			if w := ask(o.T, o.routes(m), "GET", "/change", ada, ""); w.Code != http.StatusOK {
				o.Errorf("%d %s", w.Code, w.Body)
			}
		}
	})
}

// The warnings of a production instance are shown to named operators on the public listener.
func TestHealthForNamedOperators(t *testing.T) {
	t.Parallel()
	o := &office{T: t, d: testkit.NewDatabase(t, "sqlite")}
	m, err := clerksync.New(t.Context(), driver.NewHandle(o.d.Connect(t)), clerksync.Config{PublishableKey: "pk_live_Y2xlcmsuZXhhbXBsZS5jb20k"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	reader := o.add(m, clerksync.NewOperator{Name: "reader", ReadOnly: true})
	h := m.Handler(clerksync.HandlerOptions{})
	for token, want := range map[string]bool{reader: true, changed(reader, 9): false, "": false} {
		w := ask(t, h, "GET", "/health", token, "")
		body, _ := io.ReadAll(w.Body)
		if shown := strings.Contains(string(body), `"warnings"`); shown != want || w.Code != http.StatusOK {
			t.Errorf("%d %s", w.Code, body)
		}
	}
}
