package judges

import (
	"encoding/json"
	"testing"
)

// A browser that begins with a storage state is signed in, and clerk-js gets further tokens.
func (w *world) judgeStorageState(t *testing.T) {
	t.Parallel()
	var user, organization struct{ ID string }
	var state json.RawMessage
	for _, c := range []struct {
		path    string
		in, out any
	}{
		{"/v1/users", map[string]any{"email_address": []string{"state@example.com"}}, &user},
		{"/v1/organizations", map[string]any{"name": "State", "created_by": &user.ID}, &organization},
		{"/_emulator/browser_state", map[string]any{"user_id": &user.ID, "organization_id": &organization.ID, "url": w.plain}, &state},
	} {
		if err := w.Call(t.Context(), "POST", c.path, c.in, c.out); err != nil {
			t.Fatal(err)
		}
	}
	p := w.browser.Tab(t, w.plain)
	p.SetStorageState(state)
	openPlain(p)
	got := run[map[string]string](p, `return {user: Clerk.user?.id, organization: Clerk.organization?.id,
		claims: atob((await Clerk.session.getToken({skipCache: true})).split(".")[1].replace(/-/g, "+").replace(/_/g, "/"))}`)
	var claims struct {
		Sub, AZP string
		O        struct{ ID string }
	}
	if err := json.Unmarshal([]byte(got["claims"]), &claims); err != nil {
		t.Error(err)
	}
	if got["user"] != user.ID || got["organization"] != organization.ID || claims.Sub != user.ID || claims.AZP != w.plain || claims.O.ID != organization.ID {
		t.Errorf("signed in is %v", got)
	}
}
