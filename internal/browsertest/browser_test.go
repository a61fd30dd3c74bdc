package browsertest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// recorder is a test that notes what it would report.
type recorder struct {
	testing.TB

	errors []string
}

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, _ ...any) {
	r.errors = append(r.errors, strings.TrimSpace(format))
}

// A judge that finds nothing wrong with a bad page is none: this page breaks rules of accessibility
// and its own content security policy.
func TestFaultsOfAPageAreFound(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		w.Header().Set("Content-Security-Policy", "default-src 'none'")
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, `<!doctype html><html><title>x</title><body><img src="data:,"><p style="color:red">text</p><script>1</script></body></html>`)
	}))
	defer server.Close()
	var judged *recorder
	t.Run("page", func(t *testing.T) {
		b := Start(t)
		judged = &recorder{TB: t}
		p := b.Tab(judged, server.URL)
		p.Open("/")
		p.WaitForText("text")
		p.Accessible()
	})
	var rules, reports int
	for _, text := range judged.errors {
		switch {
		case strings.Contains(text, "breaks the rule"):
			rules++
		case strings.Contains(text, "the page reports"):
			reports++
		}
	}
	if rules == 0 || reports == 0 {
		t.Errorf("%d broken rules and %d reports of the page, want some of each: %q", rules, reports, judged.errors)
	}
}
