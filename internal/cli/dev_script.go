package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/clerksync/clerksync/internal/emulator"
)

// arrivesWithin is how long the demo waits for a message that is on its way.
const arrivesWithin = 2 * time.Second

// arrived waits until what was sent has arrived, but not for what is sent again later. It does not
// move the emulated clock, so that what the demo shows has real times.
func arrived(ctx context.Context, clerk *emulator.Emulator) error {
	end := clerk.Now().Add(arrivesWithin)
	for {
		if err := clerk.Settle(ctx); err != nil {
			return err
		}
		next, waits := clerk.Pending()
		if !waits || next.After(end) {
			return nil
		}
		select {
		case <-time.After(next.Sub(clerk.Now())):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// ahead says that someone has moved the clock of an emulated Clerk, or nothing. Only the control
// API and its page move it, and a kept state remembers that.
func ahead(clerk *emulator.Emulator) string {
	d := time.Until(clerk.Now()).Round(time.Second)
	if d <= 0 {
		return ""
	}
	return fmt.Sprintf("Its clock is %s ahead of the real time, because it was moved in an earlier run.\n", d)
}

// initialActions is how many actions happen before the demo starts.
const initialActions = 60

// seed gives a new Clerk some users and organizations, which reach the mirror by webhooks.
func (d *demonstration) seed(ctx context.Context) error {
	if !d.resumed {
		for range initialActions {
			if _, err := d.clerk.Step(ctx); err != nil {
				return err
			}
		}
		if err := arrived(ctx, d.clerk); err != nil {
			return err
		}
	}
	var state emulator.State
	if err := d.clerk.Call(ctx, http.MethodGet, "/_emulator/state", nil, &state); err != nil {
		return err
	}
	fmt.Fprintf(d.out, "The emulated Clerk has %d users and %d organizations.\n%s\n", state.Counts["users"], state.Counts["organizations"], ahead(d.clerk))
	return nil
}

// script creates the users of the demo, and changes them. A kept state has them already.
func (d *demonstration) script(ctx context.Context) (ada, grace string, err error) {
	var known []demoUser
	if err := d.clerk.Call(ctx, http.MethodGet, "/v1/users?email_address="+demoEmail, nil, &known); err != nil {
		return "", "", err
	}
	if len(known) > 0 {
		if !known[0].Password { // of an earlier version
			err = d.clerk.Call(ctx, http.MethodPatch, "/v1/users/"+known[0].ID, map[string]any{"password": demoPassword}, nil)
		}
		return known[0].ID, "", err
	}
	call := func(method, path string, in map[string]any) (id string) {
		var object struct{ ID string }
		if err == nil {
			err = d.clerk.Call(ctx, method, path, in, &object)
		}
		return object.ID
	}
	person := func(first, last, email string) map[string]any {
		return map[string]any{"first_name": first, "last_name": last, "email_address": []string{email}}
	}
	// delayed at random: what is sent first may arrive last
	err = d.clerk.SetFaults(emulator.Faults{Reorder: 0.7, Duplicate: 0.3})
	first := person("Ada", "Lovelace", demoEmail)
	first["password"] = demoPassword
	ada = call("POST", "/v1/users", first)
	grace = call("POST", "/v1/users", person("Grace", "Hopper", "grace@example.com"))
	organization := call("POST", "/v1/organizations", map[string]any{"name": "Analytical Engines", "created_by": ada})
	call("POST", "/v1/organizations/"+organization+"/memberships", map[string]any{"user_id": grace, "role": "org:member"})
	call("PATCH", "/v1/users/"+ada+"/metadata", map[string]any{"public_metadata": map[string]any{"role": "growth"}})
	call("PATCH", "/v1/users/"+grace, map[string]any{"last_name": "Murray Hopper"})
	call("DELETE", "/v1/users/"+grace, nil)
	return ada, grace, errors.Join(err, d.clerk.SetFaults(emulator.Faults{}))
}

// showCaller shows how the server authenticates Ada, and that Grace is gone.
func (d *demonstration) showCaller(ctx context.Context, ada, grace string) error {
	life := 3600
	var organizations struct {
		Data []struct{ Organization struct{ ID string } }
	}
	if err := d.clerk.Call(ctx, http.MethodGet, "/v1/users/"+ada+"/organization_memberships", nil, &organizations); err != nil {
		return err
	}
	order := emulator.TokenOrder{UserID: ada, ExpiresIn: &life}
	if len(organizations.Data) > 0 {
		order.OrganizationID = organizations.Data[0].Organization.ID
	}
	var token emulator.Token
	if err := d.clerk.Call(ctx, http.MethodPost, "/_emulator/tokens", order, &token); err != nil {
		return err
	}
	if err := arrived(ctx, d.clerk); err != nil {
		return err
	}
	answer, err := d.me(ctx, token.JWT)
	if err != nil {
		return fmt.Errorf("authenticate Ada: %w", err)
	}
	fmt.Fprintf(d.out, "\nGET /api/auth/me as Ada returns:\n%s\n", answer)
	if grace != "" {
		fmt.Fprintf(d.out, "Grace was deleted. Events that arrived later did not bring her back.\n")
	}
	fmt.Fprintf(d.out, "\nTry it (the token is valid for an hour):\n\n  curl -H 'Authorization: Bearer %s' %s/api/auth/me\n"+
		"  curl %[2]s/health\n  curl -X POST %s/_emulator/tokens -d '{\"user_id\":\"%s\"}'\n\n"+
		"Commands work on this server, too (the token is valid for a day):\n\n"+
		"  export CLERKSYNC_OPERATOR_TOKEN=%s\n"+
		"  clerksync users list --server %s\n"+
		"  clerksync status --server %[6]s\n"+
		"  clerksync tail --server %[6]s\n\n",
		token.JWT, d.url, d.clerkURL, ada, d.token, d.operators)
	return nil
}

func (d *demonstration) me(ctx context.Context, token string) (answer string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, d.url+"/api/auth/me", nil)
	if err != nil {
		return "", err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := (&http.Client{Timeout: 10 * time.Second}).Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return "", err
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, body, "", "  "); err != nil {
		return "", fmt.Errorf("unexpected answer %q", body)
	}
	return pretty.String(), nil
}
