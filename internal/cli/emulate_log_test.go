package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync/internal/emulator"
)

func TestEmulateLog(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	requests := []emulator.Request{
		{At: at, Method: "GET", Path: "/v1/users", Status: 200, Took: 3 * time.Millisecond},
		{At: at, Method: "GET", Path: "/v1/users", Status: 401, Reason: "The Authorization header is missing.", From: "http://localhost:3000"},
		{At: at, Method: "GET", Path: "/v1/x/user_2aKVeYE49HYRMvr4pjWoJxAD92A", Status: 501, Reason: "It is not implemented."},
		{At: at, Method: "GET", Path: "/v1/x/user_2aKVeYE49HYRMvr4pjWoJxAD92B", Status: 501, Reason: "It is not implemented."},
		{At: at, Method: "GET", Path: "/v1/\x1b[31m\nred", Status: 404},
	}
	webhooks := []emulator.Attempt{
		{URL: "http://127.0.0.1:1/hooks", Status: 204},
		{URL: "http://127.0.0.1:1/hooks", Status: 401, Answer: `{"code":"wrong_signature","detail":"The signature is wrong."}`},
		{URL: "http://127.0.0.1:1/hooks", Status: 404, Answer: "404 page not found\n"},
		{URL: "http://127.0.0.1:1/hooks", Error: "connection refused"},
		{URL: "http://127.0.0.1:1/hooks", Fault: "fail"},
	}
	printed := func(level string) []string {
		var out strings.Builder
		l := newEmulateLog(&out, level)
		for _, r := range requests {
			l.request(r)
		}
		for _, a := range webhooks {
			l.webhook(emulator.Message{Type: "user.created", Attempts: []emulator.Attempt{a}})
		}
		return strings.Split(strings.TrimSpace(out.String()), "\n")
	}
	want := []string{
		"03:04:05  401  GET /v1/users  from http://localhost:3000  The Authorization header is missing.",
		"03:04:05  501  GET /v1/x/user_2aKVeYE49HYRMvr4pjWoJxAD92A  It is not implemented.",
		"03:04:05  404  GET /v1/�[31m red",
		"webhook user.created to http://127.0.0.1:1/hooks was refused: 401 The signature is wrong.",
		"webhook user.created to http://127.0.0.1:1/hooks was refused: 404 404 page not found",
		"webhook user.created to http://127.0.0.1:1/hooks did not arrive: connection refused",
		"webhook user.created to http://127.0.0.1:1/hooks: the fault fail",
	}
	lines := printed("errors")
	if len(lines) != len(want) {
		t.Fatalf("printed %q", lines)
	}
	for i, line := range lines {
		if !strings.HasSuffix(line, want[i]) {
			t.Errorf("printed %q, want %q", line, want[i])
		}
	}
	if all := printed("requests"); len(all) != len(requests)+len(webhooks) || all[0] != "03:04:05  200  GET /v1/users  3 ms" {
		t.Errorf("all: %q", all)
	}
	if newEmulateLog(nil, "none") != nil {
		t.Error("something would be printed")
	}
}
