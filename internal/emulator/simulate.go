package emulator

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Step simulates one ordinary action of a user: signing up or in, changing the profile, getting
// another role, joining or leaving an organization, deleting the account. Nothing happens to users
// who have a password or are signed in on a page, because someone works with them. It returns a few
// words that say what happened. The seed decides which action it is.
func (e *Emulator) Step(ctx context.Context) (string, error) {
	e.mu.Lock()
	a := e.nextAction()
	e.mu.Unlock()
	if a.path == "" {
		return a.words, nil
	}
	return a.words, e.Call(ctx, a.method, a.path, a.in, nil)
}

// action is a call that a user or a backend would make.
type action struct {
	words, method, path string
	in                  any
}

type values = map[string]any

// The number of users and organizations that the simulation approaches.
const (
	usualUsers         = 60
	usualOrganizations = 8
)

// nextAction chooses the next action.
func (e *Emulator) nextAction() action {
	users := e.users.created
	if len(users) < 5 {
		return e.signUp()
	}
	r := users[e.random.IntN(len(users))]
	if r.PasswordEnabled || e.inBrowser(r) { // someone uses this account: nothing happens to it by itself
		if len(users) >= usualUsers {
			return action{words: "nothing happens"}
		}
		return e.signUp()
	}
	name := or(r.FirstName)
	path := "/v1/users/" + r.ID
	switch n := e.random.IntN(100); {
	case n < 12 && len(users) < usualUsers:
		return e.signUp()
	case n < 45:
		if r.Banned || r.Locked || e.hasSession(r) && n < 35 {
			return e.rename(r)
		}
		return action{name + " signs in", "POST", "/_emulator/users/" + r.ID + "/sign_in", values{}}
	case n < 55:
		if !e.hasSession(r) {
			return e.rename(r)
		}
		return action{name + " signs out", "POST", "/_emulator/users/" + r.ID + "/sign_out", values{}}
	case n < 68:
		role := []string{"solo", "growth", "enterprise"}[e.random.IntN(3)]
		return action{name + " becomes " + role, "PATCH", path + "/metadata", values{"public_metadata": values{"role": role}}}
	case n < 88:
		return e.organizationAction(r)
	case n < 92:
		if r.Banned {
			return action{name + " is unbanned", "POST", path + "/unban", nil}
		}
		return action{name + " is banned", "POST", path + "/ban", nil}
	case n < 96 && len(users) > usualUsers/4:
		return action{name + " deletes the account", "DELETE", path, nil}
	}
	return e.rename(r)
}

func (e *Emulator) signUp() action {
	first, last := e.name()
	address := strings.ToLower(first+"."+last) + "." + strings.ToLower(e.random.text(4)) + "@example.com"
	return action{first + " signs up", "POST", "/v1/users", values{
		"first_name": first, "last_name": last, "email_address": []string{address}, "public_metadata": values{"role": "solo"},
	}}
}

func (e *Emulator) rename(r *userRecord) action {
	_, last := e.name()
	return action{or(r.FirstName) + " is now called " + last, "POST", "/_emulator/users/" + r.ID + "/profile", values{"last_name": last}}
}

// inBrowser reports whether a user is signed in on a page.
func (e *Emulator) inBrowser(r *userRecord) bool {
	return slices.ContainsFunc(e.sessions.byUser[r.ID], func(s *Session) bool { return e.browsers.byID[s.ClientID] != nil && isLive(e.aged(s)) })
}

func (e *Emulator) hasSession(r *userRecord) bool {
	for _, s := range e.sessions.byUser[r.ID] {
		if e.aged(s).Status == "active" {
			return true
		}
	}
	return false
}

// organizationAction returns an action about organizations: creating, joining or leaving one, or
// another role.
func (e *Emulator) organizationAction(r *userRecord) action {
	name, all := or(r.FirstName), e.organizations.all
	if len(all) < 2 || len(all) < usualOrganizations && e.random.IntN(8) == 0 {
		_, about := e.name()
		return action{name + " founds " + about + " & Co", "POST", "/v1/organizations", values{"name": about + " & Co", "created_by": r.ID}}
	}
	o := all[e.random.IntN(len(all))]
	base := "/v1/organizations/" + o.ID
	m, err := e.membership(o.ID, r.ID)
	switch {
	case err != nil:
		return action{name + " joins " + o.Name, "POST", base + "/memberships", values{"user_id": r.ID, "role": "org:member"}}
	case e.random.IntN(3) == 0:
		return action{name + " leaves " + o.Name, "DELETE", base + "/memberships/" + r.ID, nil}
	}
	role := map[string]string{"org:member": "org:admin"}[m.Role]
	if role == "" {
		role = "org:member"
	}
	return action{fmt.Sprintf("%s is %s of %s", name, strings.TrimPrefix(role, "org:"), o.Name), "PATCH", base + "/memberships/" + r.ID, values{"role": role}}
}
