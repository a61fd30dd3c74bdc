package judges

import (
	"encoding/json"
	"strings"
	"testing"
)

// Clerk's helpers for Playwright: all but sign-in by address, which asks api.clerk.com whatever
// CLERK_API_URL says.
func (w *world) judgeTestingHelpers(t *testing.T) {
	t.Parallel()
	var helper person
	w.call(t, "POST", "/v1/users", map[string]any{
		"email_address": []string{"helper+clerk_test@example.com"}, "phone_number": []string{"+12015550123"}, "password": password,
	}, &helper)
	var ticket struct{ Token string }
	w.call(t, "POST", "/v1/sign_in_tokens", map[string]any{"user_id": helper.ID}, &ticket)
	p := w.program(t, ".", w.environment("ENDPOINT="+w.browser.Endpoint(t), "APP="+w.vite, "PASSWORD="+password, "TICKET="+ticket.Token), "testing.mjs")
	p.outside = "api.clerk.com"
	var got struct {
		Token                                             bool
		Password, Email_code, Phone_code, Ticket, Address string //nolint:revive // as the script names them
	}
	line := p.start(t, func(line string) bool { return strings.HasPrefix(line, "{") })
	if err := json.Unmarshal([]byte(line), &got); err != nil {
		t.Fatal(err)
	}
	if !got.Token || got.Password != helper.ID || got.Email_code != helper.ID || got.Phone_code != helper.ID || got.Ticket != helper.ID {
		t.Errorf("the helpers signed in as %+v, want %s each time, and a testing token", got, helper.ID)
	}
	if !strings.HasPrefix(got.Address, "fails") {
		t.Errorf("sign-in by address works now (%s): docs/emulator.md says that it cannot", got.Address)
	}
}
