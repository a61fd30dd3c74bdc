package emulator

import (
	"errors"
	"strconv"
	"testing"
	"time"
)

// What machines and clients make is bounded: what is over goes first, and then no more is taken.
func TestMachineTokensAreBounded(t *testing.T) {
	t.Parallel()
	e, err := New(Options{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	e.mu.Lock()
	defer e.mu.Unlock()
	keep := func(i int, end int64) error {
		id := strconv.Itoa(i)
		return e.keepToken(&machineToken{Kind: kindM2M, ID: id, Secret: id, ExpiresAt: end})
	}
	for i := range maxMachineTokens {
		if err := keep(i, int64(i%2)); err != nil { // each second one has expired in 1970
			t.Fatal(err)
		}
	}
	if err := keep(-1, 0); err != nil || len(e.tokens.all) != maxMachineTokens/2+1 || len(e.tokens.bySecret) != len(e.tokens.byID) || len(e.tokens.byID) != len(e.tokens.all) {
		t.Errorf("%d tokens are kept: %v", len(e.tokens.all), err)
	}
	for i := range maxMachineTokens/2 - 1 {
		_ = keep(maxMachineTokens+i, 0)
	}
	var refused *APIError
	if err := keep(-2, 0); !errors.As(err, &refused) || len(e.tokens.all) != maxMachineTokens {
		t.Errorf("%d tokens are kept: %v", len(e.tokens.all), err)
	}
}

// Clients that register themselves and are never used make room for others.
func TestClientsAndGrantsAreBounded(t *testing.T) {
	t.Parallel()
	e, err := New(Options{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	e.mu.Lock()
	defer e.mu.Unlock()
	own := &oauthClient{Name: "ours"}
	if err := e.keepApplication(own); err != nil {
		t.Fatal(err)
	}
	used := &oauthClient{Dynamic: true}
	_ = e.keepApplication(used)
	_ = e.keepGrant(&oauthGrant{ClientID: used.ClientID})
	for range 2 * maxApplications {
		if err := e.keepApplication(&oauthClient{Dynamic: true}); err != nil {
			t.Fatal(err)
		}
	}
	if e.oauth.client(own.ClientID) == nil || e.oauth.client(used.ClientID) == nil || len(e.oauth.clients) > maxApplications {
		t.Errorf("%d applications are kept", len(e.oauth.clients))
	}
	for range maxGrants - 1 {
		_ = e.keepGrant(&oauthGrant{})
	}
	if refused := e.keepGrant(&oauthGrant{}); refused == nil || refused.Code != "temporarily_unavailable" {
		t.Errorf("one grant too many: %v", refused)
	}
	e.clock.advance(time.Hour)
	if refused := e.keepGrant(&oauthGrant{}); refused != nil || len(e.oauth.grants) != 1 {
		t.Errorf("after the codes have expired: %v, %d grants", refused, len(e.oauth.grants))
	}
}
