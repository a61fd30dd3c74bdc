package clerksync_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/clerktest"
	"github.com/clerksync/clerksync/internal/driver"
	"github.com/clerksync/clerksync/internal/testkit"
	"github.com/clerksync/clerksync/mirror"
)

// soon makes a request until it has the answer, for as long as another process may take to learn of
// a change.
func (g *gate) soon(token string, rule auth.Rule, status int) {
	g.Helper()
	for until := time.Now().Add(2 * time.Second); ; {
		w, problem := g.try(token, rule, nil)
		if w.Code == status {
			return
		}
		if time.Now().After(until) {
			g.Fatalf("answered %d %v, want %d", w.Code, problem, status)
		}
	}
}

// Without a secret key, what an operator changes of a user or a session holds here: every process
// that uses the database decides by it, whatever Clerk says meanwhile. A process with a secret key
// ends the override by making the change at Clerk.
func TestOverridesWithoutASecretKey(t *testing.T) {
	t.Parallel()
	testkit.EachEngine(t, func(t *testing.T, d *testkit.Database) {
		c := clerktest.New(t)
		open := func(change func(*clerksync.Config)) *gate {
			config := c.Config()
			config.StalePolicy, config.Roles = clerksync.StaleTrust, []string{"solo", "growth", "admin"}
			change(&config)
			m, err := clerksync.New(t.Context(), driver.NewHandle(d.Connect(t)), config)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = m.Close() })
			return &gate{t, c, m}
		}
		here := open(func(c *clerksync.Config) { c.SecretKey = "" })
		other := open(func(*clerksync.Config) {})
		c.SendTo(other.m.WebhookHandler())
		ada := c.CreateUser(clerktest.User{Email: "ada@example.com", Role: "solo"})
		session := c.SignIn(ada)
		token := c.TokenFor(clerktest.TokenOptions{UserID: ada, SessionID: session})
		c.Settle()
		admin, ctx, by := auth.Role("admin"), t.Context(), eve("POST /api/users/{id}/role")
		done := func(written mirror.Written, err error) {
			t.Helper()
			if err != nil || written.Where != mirror.Here {
				t.Fatalf("%+v, %v", written, err)
			}
			if page, err := here.m.Feed().Page(ctx, mirror.FeedQuery{}); err != nil || page.Next != written.Cursor {
				t.Errorf("the feed ends at %s, %v, and the change at %s", page.Next, err, written.Cursor)
			}
		}
		other.refused(token, admin, http.StatusForbidden, "forbidden")

		done(here.m.Users().SetRole(ctx, ada, "admin", by))
		here.passes(token, admin)
		other.soon(token, admin, http.StatusOK)
		c.SetRole(ada, "growth")
		c.Settle()
		here.passes(token, admin)
		other.passes(token, admin)
		u, err := other.m.Users().ByClerkID(ctx, ada)
		if err != nil || u.Role != "admin" || len(u.Overrides) != 1 || u.Overrides[0].ClerkValue != "growth" || u.Overrides[0].CreatedBy != "eve" {
			t.Errorf("%+v, %v", u, err)
		}

		done(here.m.Users().Ban(ctx, ada, by))
		here.refused(token, nil, http.StatusUnauthorized, "user_inactive")
		other.soon(token, nil, http.StatusUnauthorized)
		explained, err := here.m.Explain(ctx, clerksync.ExplainRequest{ClerkUserID: ada, ClerkSessionID: session})
		if text := explained.Conditions[0].String(); err != nil || !strings.Contains(text, "banned is true here, false at Clerk") {
			t.Errorf("explained: %s, %v", text, err)
		}
		done(here.m.Users().Unban(ctx, ada, by))
		here.passes(token, admin)
		other.soon(token, admin, http.StatusOK)

		done(here.m.Sessions().Revoke(ctx, session, by))
		here.refused(token, nil, http.StatusUnauthorized, "session_ended")
		other.soon(token, nil, http.StatusUnauthorized)
		done(here.m.Overrides().Remove(ctx, clerk.KindSession, session, mirror.OverrideStatus, by))
		here.passes(token, admin)
		other.soon(token, admin, http.StatusOK)
		if n, written, err := here.m.Users().RevokeSessions(ctx, ada, by); err != nil || n != 1 || written.Where != mirror.Here {
			t.Errorf("revoked %d, %+v, %v", n, written, err)
		}
		if _, err := here.m.Users().Lock(ctx, ada, by); !errors.Is(err, mirror.ErrNoSecretKey) {
			t.Errorf("a lock: %v", err)
		}
		overrides := func() (list string) {
			for o, err := range here.m.Overrides().All(ctx, mirror.OverrideFilter{}) {
				if err != nil {
					t.Fatal(err)
				}
				list += " " + string(o.Field)
			}
			return list
		}
		if got := overrides(); got != " status role" {
			t.Errorf("overrides:%s", got)
		}
		if status, err := other.m.Sync().Status(ctx); err != nil || status.Overrides != 2 {
			t.Errorf("the status counts %d, %v", status.Overrides, err)
		}

		forbidden := open(func(c *clerksync.Config) { c.SecretKey, c.DisableWrites = "", true })
		_, setErr := forbidden.m.Overrides().Set(ctx, mirror.Override{Kind: clerk.KindUser, ID: ada, Field: mirror.OverrideBanned, Value: "true"}, by)
		_, removeErr := forbidden.m.Overrides().Remove(ctx, clerk.KindUser, ada, mirror.OverrideRole, by)
		if !errors.Is(setErr, clerksync.ErrWritesDisabled) || !errors.Is(removeErr, clerksync.ErrWritesDisabled) || overrides() != " status role" {
			t.Errorf("with changes forbidden: %v, %v; overrides:%s", setErr, removeErr, overrides())
		}
		if written, err := other.m.Sessions().Revoke(ctx, session, by); err != nil || written.Where != mirror.AtClerk {
			t.Errorf("%+v, %v", written, err)
		}
		if written, err := other.m.Users().SetRole(ctx, ada, "solo", by); err != nil || written.Where != mirror.AtClerk || overrides() != "" {
			t.Errorf("%+v, %v; overrides:%s", written, err, overrides())
		}
		token = c.Token(ada)
		other.refused(token, admin, http.StatusForbidden, "forbidden")
		here.soon(token, admin, http.StatusForbidden)
	})
}
