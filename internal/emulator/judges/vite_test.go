package judges

import "testing"

// Before anybody has signed in.
func (w *world) judgeVite(t *testing.T) {
	t.Parallel()
	p := w.browser.Tab(t, w.vite)
	p.Open("/")
	p.WaitForText("nobody")
	picture(p, "vite-nobody")
	for _, backend := range []string{"express", "fastify", "hono"} {
		if got := run[map[string]any](p, `return (await fetch("/api/%s/me")).json()`, backend); got["userId"] != nil {
			t.Errorf("%s sees %v, want nobody", backend, got)
		}
	}
}
