package api

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/clerktest"
	"github.com/clerksync/clerksync/mirror"
)

// A named operator reads, a read-only one too, and what is wrong with a token is said even where a
// session would do.
func TestNamedOperators(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Rule: adminRule()})
	add := func(name string, readOnly bool, life time.Duration) string {
		_, token, err := s.m.Operators().Add(t.Context(), clerksync.NewOperator{Name: name, ReadOnly: readOnly, ValidFor: life})
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	raw := s.file.SQL(t)
	ada, reader := add("ada", false, 0), add("reader", true, 0)
	s.user("eve@example.com", "solo")
	for _, token := range []string{ada, reader} {
		for _, target := range []string{"/api/changes?after=0", "/api/users"} {
			if a := s.ask(target, token); a.status != http.StatusOK {
				t.Errorf("%s: %d %s", target, a.status, a.body)
			}
		}
		if a := s.ask("/api/users", token, func(r *http.Request) { r.Method = http.MethodDelete }); a.status < 400 {
			t.Errorf("DELETE: %d %s", a.status, a.body)
		}
	}
	if a := s.ask("/api/users", ada[:len(ada)-1]); a.status != http.StatusUnauthorized {
		t.Errorf("a part of a token: %d %s", a.status, a.body)
	}
	if _, err := raw.ExecContext(t.Context(), "UPDATE clerk_operators SET expires_at = 1 WHERE name = 'reader'"); err != nil {
		t.Fatal(err)
	}
	<-time.After(time.Second) // as in another process
	if a := s.ask("/api/users", reader); a.status != http.StatusUnauthorized || a.fault.Code != clerksync.CodeOperatorTokenExpired {
		t.Errorf("an expired token: %d %s", a.status, a.body)
	}
	if _, err := raw.ExecContext(t.Context(), "DROP TABLE clerk_operators"); err != nil {
		t.Fatal(err)
	}
	<-time.After(time.Second)
	if a := s.ask("/api/users", ada); a.status != http.StatusServiceUnavailable || a.fault.Code != clerksync.CodeUnavailable {
		t.Errorf("without a table: %d %s", a.status, a.body)
	}
	if a := s.ask("/api/users", operatorToken); a.status != http.StatusOK {
		t.Errorf("the configured token: %d %s", a.status, a.body)
	}
}

// A stream sends nothing to an operator who was revoked, though its heartbeat is not due.
func TestStreamOfARevokedOperatorEnds(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	_, token, err := s.m.Operators().Add(t.Context(), clerksync.NewOperator{Name: "ada", ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	url, _ := serve(t, s.h)
	stream := connectAs(t, url+"/api/changes?type=user.created", "", token).started(t)
	first, _ := s.user("before@example.com", "")
	if e := stream.event(t); !strings.Contains(e.data, first) {
		t.Fatalf("before: %+v", e)
	}
	if err := s.m.Operators().Revoke(t.Context(), "ada", mirror.By{}); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	second := s.clerk.CreateUser(clerktest.User{Email: "after@example.com"})
	s.clerk.Settle()
	for {
		b, err := stream.next()
		if strings.Contains(b.data, second) {
			t.Fatalf("the operator gets %+v", b)
		}
		if err != nil {
			break
		}
	}
	if took := time.Since(began); took > heartbeatEvery/2 {
		t.Errorf("the stream ends after %v", took)
	}
}
