package cli

import (
	"net/http/httptest"
	"strings"
	"testing"
)

// The page is read on phones and on dark screens, and shows bodies as text.
func TestPageOfReceivedWebhooks(t *testing.T) {
	t.Parallel()
	in := &devInbox{}
	show := func() string {
		w := httptest.NewRecorder()
		in.page(w, httptest.NewRequestWithContext(t.Context(), "GET", "/", nil))
		return w.Body.String()
	}
	if page := show(); !strings.Contains(page, "Nothing has arrived yet.") {
		t.Errorf("without messages it is\n%s", page)
	}
	in.received = []devMessage{{ID: "msg_1", Type: "user.created", Body: `{"id":"msg_1","type":"<b>"}`}}
	page := show()
	for _, want := range []string{`name="viewport"`, `prefers-color-scheme: dark`, "user.created", "msg_1", "&lt;b&gt;"} {
		if !strings.Contains(page, want) {
			t.Errorf("no %s in\n%s", want, page)
		}
	}
}
