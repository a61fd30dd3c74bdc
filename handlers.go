package clerksync

import (
	"net/http"

	"github.com/clerksync/clerksync/internal/web"
)

// MeHandler returns the handler of GET /api/auth/me: the stored user of the request's token, the role, the session and the
// active organization. Refusals are 401 with a code; see docs/http-api.md.
func (m *Mirror) MeHandler() http.Handler {
	return web.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		caller, err := m.gate.Authorize(r, nil)
		if err != nil {
			return problem(publicError(err))
		}
		body, err := caller.Me()
		if err != nil {
			return err
		}
		web.WriteBody(w, http.StatusOK, body)
		return nil
	})
}
