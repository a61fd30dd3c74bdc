package access

import (
	"encoding/json"
	"testing"

	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/internal/live"
	"github.com/clerksync/clerksync/mirror"
)

// Whatever a token has for a session id, the answer is JSON that says the same.
func TestMeQuotesTheSession(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"sess_2nchr00000000000000204", `sess_"`, `sess_\`, "sess_<script>", "sess_\u2028", "sess_ä", "sess_\x00", "sess-1", " "} {
		for _, status := range []mirror.SessionStatus{"", "active", `a"b`} {
			c := Caller{Claims: &auth.Claims{SessionID: id}, Facts: live.Facts{
				User: &live.UserFacts{Found: true}, Session: &live.Session{Session: mirror.Session{Status: status}, Found: true},
			}}
			body, err := c.Me()
			if err != nil {
				t.Fatal(err)
			}
			var got struct {
				Session struct {
					ID     string  `json:"id"`
					Status *string `json:"status"`
				} `json:"session"`
			}
			if err := json.Unmarshal(body, &got); err != nil {
				t.Fatalf("%q: %v", id, err)
			}
			null := got.Session.Status == nil
			if got.Session.ID != id || null != (status == "") || !null && *got.Session.Status != string(status) {
				t.Errorf("%q, %q: %s", id, status, body)
			}
		}
	}
}
