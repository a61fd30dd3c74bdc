package emulator_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/emulator"
	"github.com/clerksync/clerksync/internal/testenv"
	"github.com/clerksync/clerksync/sqlite"
)

// program begins as docs/emulator.md shows.
func program(ctx context.Context, db *sqlite.DB, serve func(*emulator.Clerk, *clerksync.Mirror) error) error {
	clerk, err := emulator.Start(emulator.Options{})
	if err != nil {
		return err
	}
	defer clerk.Close()
	m, err := clerksync.New(ctx, db, clerk.Config())
	if err != nil {
		return err
	}
	defer m.Close()
	if err := clerk.SendTo(m.WebhookHandler()); err != nil {
		return err
	}
	return serve(clerk, m)
}

// The program that docs/emulator.md shows is the one above, to the letter, and it mirrors users.
func TestDocumentedProgramRuns(t *testing.T) {
	t.Parallel()
	source, document := string(testenv.Fixture(t, "emulator/documentation_test.go")), string(testenv.Fixture(t, "docs/emulator.md"))
	_, body, _ := strings.Cut(source, "func program(")
	_, body, _ = strings.Cut(body, "{\n")
	body, _, _ = strings.Cut(body, "\treturn serve(")
	lines := strings.Split(strings.TrimSuffix(body, "\n"), "\n")
	for i := range lines {
		lines[i] = strings.TrimPrefix(lines[i], "\t")
	}
	if !strings.Contains(document, "```go\n"+strings.Join(lines, "\n")+"\n```") {
		t.Error("docs/emulator.md does not show the program as it is")
	}
	db, err := sqlite.Open(sqlite.Memory)
	if err != nil {
		t.Fatal(err)
	}
	err = program(t.Context(), db, func(clerk *emulator.Clerk, m *clerksync.Mirror) error {
		var token struct{ JWT string }
		ask := map[string]any{"user_id": createUser(t, clerk)}
		if err := clerk.Call(t.Context(), http.MethodPost, "/_emulator/tokens", ask, &token); err != nil {
			return err
		}
		if err := clerk.Settle(t.Context()); err != nil {
			return err
		}
		r, w := httptest.NewRequest(http.MethodGet, "/api/auth/me", http.NoBody), httptest.NewRecorder()
		r.Header.Set("Authorization", "Bearer "+token.JWT)
		if m.MeHandler().ServeHTTP(w, r); w.Code != http.StatusOK {
			t.Errorf("%d: %s", w.Code, w.Body)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
