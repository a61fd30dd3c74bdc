package clerktest_test

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/clerktest"
	"github.com/clerksync/clerksync/internal/testenv"
	"github.com/clerksync/clerksync/sqlite"
)

func TestDeals(t *testing.T) {
	clerk := clerktest.New(t)
	db, err := sqlite.Open(filepath.Join(t.TempDir(), "clerk.db"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := clerksync.New(t.Context(), db, clerk.Config())
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	clerk.SendTo(m.WebhookHandler())

	ada := clerk.CreateUser(clerktest.User{Email: "ada@example.com", Role: "growth"})
	clerktest.AssertConverged(t, clerk, m) // the mirror equals Clerk

	r := httptest.NewRequest("GET", "/api/auth/me", nil)
	r.Header.Set("Authorization", "Bearer "+clerk.Token(ada))
	w := httptest.NewRecorder()
	m.MeHandler().ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		t.Error(w.Body)
	}
}

func TestTeam(t *testing.T) {
	clerk := clerktest.New(t, clerktest.WithFixtures("testdata/clerk.yaml"))
	token := clerk.TokenFor(clerktest.TokenOptions{UserID: "user_ada", OrganizationID: "org_acme"})
	if token == "" {
		t.Error("Ada has no token")
	}

	clerk.DeleteUser("user_bob")
	clerk.Reset() // Bob is back, and Ada's session is gone
	clerk.SignIn("user_bob")
}

// What docs/emulator.md shows are the tests above and the file that they read, to the letter.
func TestDocumentationShowsTestsThatRun(t *testing.T) {
	t.Parallel()
	source, document := string(testenv.Fixture(t, "clerktest/documentation_test.go")), string(testenv.Fixture(t, "docs/emulator.md"))
	for _, name := range []string{"TestDeals", "TestTeam"} {
		_, rest, _ := strings.Cut(source, "\nfunc "+name)
		body, _, _ := strings.Cut(rest, "\n}\n")
		if !strings.Contains(document, "func "+name+body+"\n}\n```") {
			t.Errorf("docs/emulator.md does not show %s as it is", name)
		}
	}
	if file := string(testenv.Fixture(t, "clerktest/testdata/clerk.yaml")); !strings.Contains(document, "```yaml\n"+file+"```") {
		t.Error("docs/emulator.md does not show clerktest/testdata/clerk.yaml as it is")
	}
}
