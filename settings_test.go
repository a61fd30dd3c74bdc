package clerksync_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/clerktest"
	"github.com/clerksync/clerksync/internal/driver"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/testenv"
	"github.com/clerksync/clerksync/internal/testkit"
	"github.com/clerksync/clerksync/mirror"
)

// shared is one database that several mirrors use.
type shared struct {
	*testing.T
	clerk    *clerktest.Clerk
	database *testkit.Database
	moved    atomic.Int64 // of the mirrors' clocks
}

func onSharedDatabase(t *testing.T, test func(s *shared)) {
	t.Helper()
	testkit.EachEngine(t, func(t *testing.T, d *testkit.Database) {
		test(&shared{T: t, clerk: clerktest.New(t, clerktest.WithSeed(1)), database: d})
	})
}

func (s *shared) backend() *store.DB {
	s.Helper()
	return s.database.Connect(s.T)
}

// try opens a mirror of the instance.
func (s *shared) try(change func(*clerksync.Config)) (*clerksync.Mirror, error) {
	s.Helper()
	config := s.clerk.Config()
	config.APIBudget, config.StalePolicy = 1, clerksync.StaleTrust
	config.Test.Now = func() time.Time { return time.Now().Add(time.Duration(s.moved.Load())) }
	if change != nil {
		change(&config)
	}
	m, err := clerksync.New(s.Context(), driver.NewHandle(s.backend()), config)
	if err == nil {
		s.Cleanup(func() { _ = m.Close() })
	}
	return m, err
}

func (s *shared) mirror(change func(*clerksync.Config)) *clerksync.Mirror {
	s.Helper()
	m, err := s.try(change)
	if err != nil {
		s.Fatal(err)
	}
	return m
}

// later lets so much time pass that every mirror has asked what others changed.
func (s *shared) later() { s.moved.Add(int64(5 * time.Second)) }

func (s *shared) code(m *clerksync.Mirror, token string, rule auth.Rule) string {
	s.Helper()
	r, err := http.NewRequestWithContext(s.Context(), http.MethodGet, "https://app.example.com/deals", nil)
	if err != nil {
		s.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	_, err = m.Authorize(r, rule)
	if d, refused := errors.AsType[*clerksync.DeniedError](err); refused {
		return d.Code
	}
	return ""
}

func (s *shared) role(m *clerksync.Mirror, user string) string {
	s.Helper()
	u, err := m.Users().ByClerkID(s.Context(), user)
	if err != nil {
		s.Fatal(err)
	}
	return u.Role
}

func warning(m *clerksync.Mirror, t *testing.T, code string) *mirror.Warning {
	t.Helper()
	all := m.Health(t.Context()).Warnings
	if i := slices.IndexFunc(all, func(w mirror.Warning) bool { return w.Code == code }); i >= 0 {
		return &all[i]
	}
	return nil
}

// A process that is configured with another ladder, such as a command in a shell without
// CLERKSYNC_ROLES, rewrites no role: else the server, which ranks by its own ladder, would let a
// plain user pass for an admin.
func TestAnotherProcessWithAnotherLadderLetsNobodyIn(t *testing.T) {
	t.Parallel()
	onSharedDatabase(t, func(s *shared) {
		server := s.mirror(nil)
		s.clerk.SendTo(server.WebhookHandler())
		plain := s.clerk.CreateUser(clerktest.User{Email: "plain@example.com"})
		token := s.clerk.TokenFor(clerktest.TokenOptions{UserID: plain, SessionID: s.clerk.SignIn(plain)})
		s.clerk.Settle()
		if got := s.code(server, token, auth.MinRole("admin")); got != auth.CodeForbidden {
			s.Fatalf("a plain user asked for admin: %q", got)
		}
		other := s.mirror(func(c *clerksync.Config) { c.Roles = []string{"admin", "solo", "growth", "enterprise"} })
		s.later()
		if got := s.code(server, token, auth.MinRole("admin")); got != auth.CodeForbidden {
			s.Errorf("after another process opened the database with another ladder: %q, want %s", got, auth.CodeForbidden)
		}
		if got := s.code(other, token, auth.MinRole("admin")); got != auth.CodeForbidden {
			s.Errorf("the other process: %q, want %s", got, auth.CodeForbidden)
		}
		if got := s.role(server, plain); got != "solo" {
			s.Errorf("the stored role is %q, want solo", got)
		}
	})
}

// A server that answers no request says in health that another process changed the ladder, from the
// next look on.
func TestHealthSeesAnotherLadderWithoutRequests(t *testing.T) {
	t.Parallel()
	onSharedDatabase(t, func(s *shared) {
		server := s.mirror(nil)
		if w := warning(server, s.T, "ladder_differs"); w != nil {
			s.Fatal("it warns before anything differs")
		}
		config := s.clerk.Config()
		config.Roles = []string{"admin", "solo", "growth", "enterprise"}
		db := s.backend()
		if err := errors.Join(clerksync.Migrate(s.Context(), driver.NewHandle(db), config), db.Close()); err != nil {
			s.Fatal(err)
		}
		s.later()
		if w := warning(server, s.T, "ladder_differs"); w == nil {
			s.Error("health does not say that its ladder is no longer in force")
		}
	})
}

// While servers of two ladders run, ranks and stored roles come from one of them, the one in force:
// no one gets in by a mixture, and no one is locked out.
func TestRollingDeployOfALadder(t *testing.T) {
	t.Parallel()
	onSharedDatabase(t, func(s *shared) {
		old := s.mirror(nil)
		s.clerk.SendTo(old.WebhookHandler())
		people := map[string]string{}
		arrive := func(name, role string) string {
			people[name] = s.clerk.CreateUser(clerktest.User{Email: name + "@example.com", Role: role})
			s.clerk.Settle()
			return people[name]
		}
		token := func(name string) string { return s.clerk.TokenFor(clerktest.TokenOptions{UserID: people[name]}) }
		arrive("plain", "")
		arrive("paying", "growth")
		arrive("pro", "pro")
		if got := s.code(old, token("plain"), auth.MinRole("solo")); got != "" {
			s.Fatalf("a plain user: %q", got)
		}

		next := []string{"free", "solo", "growth", "pro", "enterprise", "admin"}
		logs := &testenv.Logs{}
		db := s.backend()
		if err := clerksync.Migrate(s.Context(), driver.NewHandle(db), clerksync.Config{Roles: next, Logger: logs.Logger()}); err != nil {
			s.Fatal(err)
		}
		if err := db.Close(); err != nil {
			s.Fatal(err)
		}
		if text := logs.String(); !strings.Contains(text, "the role ladder changed") || !strings.Contains(text, `"users_changed":2`) {
			s.Errorf("logged: %s", text)
		}
		page, err := old.Audit().List(s.Context(), mirror.AuditFilter{Action: "ladder_changed"})
		audit := page.Items
		if err != nil || len(audit) != 1 || audit[0].Origin != "2 users changed" || audit[0].Was != "solo,growth,enterprise,admin" || audit[0].Became != strings.Join(next, ",") {
			s.Errorf("audited: %+v, %v", audit, err)
		}

		arrive("late", "") // stored by the old server, before it has asked what others changed
		if got := s.role(old, people["late"]); got != "free" {
			s.Errorf("the old server stored the role %q, want free: the ladder in force has it for those who claim none", got)
		}
		s.later()
		for _, x := range []struct{ who, least, want string }{
			{"plain", "free", ""},
			{"plain", "solo", auth.CodeForbidden},
			{"late", "solo", auth.CodeForbidden},
			{"paying", "growth", ""},
			{"pro", "growth", ""},
			{"pro", "enterprise", auth.CodeForbidden},
		} {
			if got := s.code(old, token(x.who), auth.MinRole(x.least)); got != x.want {
				s.Errorf("%s asks the old server for %s: %q, want %q", x.who, x.least, got, x.want)
			}
		}
		if w := warning(old, s.T, "ladder_differs"); w == nil {
			s.Error("the old server does not warn that its ladder is not in force")
		}
		if w := warning(s.mirror(func(c *clerksync.Config) { c.Roles = next }), s.T, "ladder_differs"); w != nil {
			s.Errorf("the new server warns: %+v", w)
		}
	})
}

// Commands that write, such as backfill, work by the stored settings, and say where they are
// configured otherwise.
func TestOpeningAMirrorChangesNoSettings(t *testing.T) {
	t.Parallel()
	onSharedDatabase(t, func(s *shared) {
		first := s.mirror(func(c *clerksync.Config) { c.Redact = []string{"private_metadata", "public_metadata.ssn"} })
		object := []byte(`{"id":"user_1","object":"user","public_metadata":{"role":"growth","ssn":"Z123"},"updated_at":1780000000000}`)
		logs := &testenv.Logs{}
		second := s.mirror(func(c *clerksync.Config) { c.Roles, c.Logger = []string{"growth", "solo"}, logs.Logger() })
		if _, err := second.Users().Apply(s.Context(), object); err != nil {
			s.Fatal(err)
		}
		u, err := first.Users().ByClerkID(s.Context(), "user_1")
		if err != nil || strings.Contains(string(u.RawObject()), "Z123") || u.Role != "growth" {
			s.Errorf("stored by a process of other settings: %+v, %v", u, err)
		}
		for _, code := range []string{"ladder_differs", "redaction_differs"} {
			if !strings.Contains(logs.String(), code) || warning(second, s.T, code) == nil {
				s.Errorf("no %s: %s", code, logs.String())
			}
		}
		page, err := first.Audit().List(s.Context(), mirror.AuditFilter{})
		audit := page.Items
		if err != nil || len(audit) != 0 {
			s.Errorf("audited: %+v, %v", audit, err)
		}
	})
}

// Redaction that changes while a server runs holds for what the server takes in from then on.
func TestRedactionChangesUnderARunningServer(t *testing.T) {
	t.Parallel()
	onSharedDatabase(t, func(s *shared) {
		server := s.mirror(nil)
		s.clerk.SendTo(server.WebhookHandler())
		before := s.clerk.CreateUser(clerktest.User{Email: "before@example.com", Role: "growth"})
		s.clerk.Settle()
		db := s.backend()
		defer db.Close()
		if err := clerksync.Migrate(s.Context(), driver.NewHandle(db), clerksync.Config{Redact: []string{"email_addresses"}}); err != nil {
			s.Fatal(err)
		}
		after := s.clerk.CreateUser(clerktest.User{Email: "after@example.com", Role: "growth"})
		s.clerk.Settle()
		for _, id := range []string{before, after} {
			if u, err := server.Users().ByClerkID(s.Context(), id); err != nil || strings.Contains(string(u.RawObject()), "@example.com") || u.Role != "growth" {
				s.Errorf("stored is %s, %v", u.RawObject(), err)
			}
		}
		page, err := server.Deliveries().List(s.Context(), mirror.DeliveryFilter{})
		list := page.Items
		if err != nil || len(list) == 0 {
			s.Fatal(len(list), err)
		}
		for _, d := range list {
			if strings.Contains(d.Body(), "@example.com") {
				s.Errorf("the body of a delivery is %s", d.Body())
			}
		}
		audited, err := server.Audit().List(s.Context(), mirror.AuditFilter{Action: "redaction_changed"})
		audit := audited.Items
		if err != nil || len(audit) != 1 || audit[0].Was != "[]" || audit[0].Became != `["email_addresses"]` || !strings.HasSuffix(audit[0].Origin, " bodies changed") {
			s.Errorf("audited: %+v, %v", audit, err)
		}
	})
}
