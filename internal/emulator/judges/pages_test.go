package judges

import (
	"net/http/httptest"
	"testing"

	"github.com/clerksync/clerksync/internal/emulator/inspector"
)

// The emulator's own pages open an app in which clerk-js finds the chosen person signed in. They
// are open by another name of this machine than the app.
func (w *world) judgeOwnPages(t *testing.T) {
	t.Parallel()
	who := w.newPerson(t, "Opened")
	organization := w.newOrganization(t, "Opened", who)
	server := httptest.NewServer(inspector.New(w.Emulator, inspector.Options{AppURL: w.plain}))
	t.Cleanup(server.Close)
	p := w.browser.Tab(t, server.URL)
	p.Open("/people/" + who.ID + "/sign-in")
	p.Wait("html.script main")
	run[bool](p, `document.getElementById("organization").value = %q; return true`, organization)
	p.Click("main .primary")
	p.WaitForText("A page without a framework")
	p.Until("clerk-js has loaded", "String(window.Clerk && Clerk.loaded)", func(text string) bool { return text == "true" })
	got := run[map[string]string](p, `return {user: Clerk.user?.id, organization: Clerk.organization?.id, token: await Clerk.session?.getToken({skipCache: true})}`)
	if got["user"] != who.ID || got["organization"] != organization || got["token"] == "" {
		t.Errorf("clerk-js sees %v, want %s in %s", got, who.ID, organization)
	}

	p.Open("/people/" + who.ID)
	p.Click("#session-list button")
	p.WaitForText("The session is revoked")
}
