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

// What docs/emulator.md shows is the test above, to the letter.
func TestDocumentationShowsATestThatRuns(t *testing.T) {
	t.Parallel()
	source := string(testenv.Fixture(t, "clerktest/documentation_test.go"))
	_, source, _ = strings.Cut(source, "\nfunc TestDeals")
	source, _, _ = strings.Cut(source, "\n}\n")
	if document := string(testenv.Fixture(t, "docs/emulator.md")); !strings.Contains(document, "func TestDeals"+source+"\n}\n```") {
		t.Error("docs/emulator.md does not show TestDeals as it is")
	}
}
