package cli

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/clerksync/clerksync/internal/config"
)

// With a production instance anyone gets status and database; warnings need the operator token.
func TestPublicHealth(t *testing.T) {
	t.Parallel()
	token := strings.Repeat("operator", 5)
	environ := []string{"DATABASE_URL=sqlite::memory:", "CLERK_SECRET_KEY=sk_live_" + strings.Repeat("x", 40), "CLERKSYNC_OPERATOR_TOKEN=" + token}
	cfg, _, err := config.Load(config.Options{Environ: environ})
	if err != nil {
		t.Fatal(err)
	}
	m, err := newMirror(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	public, err := publicHandler(m, cfg, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	operators := operatorHandler(m, cfg, http.NotFoundHandler(), nil, slog.New(slog.DiscardHandler))
	for name, c := range map[string]struct {
		h             http.Handler
		authorization string
		warnings      bool
	}{
		"a stranger":          {public, "", false},
		"a wrong token":       {public, "Bearer x", false},
		"the operator":        {public, "Bearer " + token, true},
		"operators' listener": {operators, "", true},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost/health", nil)
		r.Header.Set("Authorization", c.authorization)
		w := httptest.NewRecorder()
		c.h.ServeHTTP(w, r)
		if got := strings.Contains(w.Body.String(), "warnings"); w.Code != http.StatusOK || got != c.warnings || !strings.Contains(w.Body.String(), `"status":"degraded"`) {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}
