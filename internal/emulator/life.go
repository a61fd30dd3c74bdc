package emulator

import (
	"context"
	"fmt"
	"strings"
)

// Live lets one ordinary thing happen: somebody signs up or in, changes the profile, gets another
// role, joins or leaves an organization, goes. What it was is said in a few words. The seed decides.
func (e *Emulator) Live(ctx context.Context) (string, error) {
	e.mu.Lock()
	deed := e.choose()
	e.mu.Unlock()
	if deed.path == "" {
		return deed.words, nil
	}
	return deed.words, e.Call(ctx, deed.method, deed.path, deed.in, nil)
}

// deed is a call that a person or a backend would make.
type deed struct {
	words, method, path string
	in                  any
}

type values = map[string]any

// crowd is how many people and organizations life tends to.
const (
	crowd  = 60
	groups = 8
)

func (e *Emulator) choose() deed {
	people := e.users.created
	if len(people) < 5 {
		return e.signUp()
	}
	r := people[e.random.IntN(len(people))]
	name := or(r.FirstName)
	path := "/v1/users/" + r.ID
	switch n := e.random.IntN(100); {
	case n < 12 && len(people) < crowd:
		return e.signUp()
	case n < 45:
		if r.Banned || r.Locked || e.hasSession(r) && n < 35 {
			return e.rename(r)
		}
		return deed{name + " signs in", "POST", "/_emulator/users/" + r.ID + "/sign_in", values{}}
	case n < 55:
		if !e.hasSession(r) {
			return e.rename(r)
		}
		return deed{name + " signs out", "POST", "/_emulator/users/" + r.ID + "/sign_out", values{}}
	case n < 68:
		role := []string{"solo", "growth", "enterprise"}[e.random.IntN(3)]
		return deed{name + " becomes " + role, "PATCH", path + "/metadata", values{"public_metadata": values{"role": role}}}
	case n < 88:
		return e.gather(r)
	case n < 92:
		if r.Banned {
			return deed{name + " may come back", "POST", path + "/unban", nil}
		}
		return deed{name + " is banned", "POST", path + "/ban", nil}
	case n < 96 && len(people) > crowd/4:
		return deed{name + " deletes the account", "DELETE", path, nil}
	}
	return e.rename(r)
}

func (e *Emulator) signUp() deed {
	first, last := e.name()
	address := strings.ToLower(first+"."+last) + "." + strings.ToLower(e.random.text(4)) + "@example.com"
	return deed{first + " signs up", "POST", "/v1/users", values{
		"first_name": first, "last_name": last, "email_address": []string{address}, "public_metadata": values{"role": "solo"},
	}}
}

func (e *Emulator) rename(r *userRecord) deed {
	_, last := e.name()
	return deed{or(r.FirstName) + " is now called " + last, "POST", "/_emulator/users/" + r.ID + "/profile", values{"last_name": last}}
}

func (e *Emulator) hasSession(r *userRecord) bool {
	for _, s := range e.sessions.byUser[r.ID] {
		if e.aged(s).Status == "active" {
			return true
		}
	}
	return false
}

// gather is about organizations: one is founded, joined, left, or gives another role.
func (e *Emulator) gather(r *userRecord) deed {
	name, all := or(r.FirstName), e.organizations.all
	if len(all) < 2 || len(all) < groups && e.random.IntN(8) == 0 {
		_, about := e.name()
		return deed{name + " founds " + about + " & Co", "POST", "/v1/organizations", values{"name": about + " & Co", "created_by": r.ID}}
	}
	o := all[e.random.IntN(len(all))]
	base := "/v1/organizations/" + o.ID
	m, err := e.membership(o.ID, r.ID)
	switch {
	case err != nil:
		return deed{name + " joins " + o.Name, "POST", base + "/memberships", values{"user_id": r.ID, "role": "org:member"}}
	case e.random.IntN(3) == 0:
		return deed{name + " leaves " + o.Name, "DELETE", base + "/memberships/" + r.ID, nil}
	}
	role := map[string]string{"org:member": "org:admin"}[m.Role]
	if role == "" {
		role = "org:member"
	}
	return deed{fmt.Sprintf("%s is %s of %s", name, strings.TrimPrefix(role, "org:"), o.Name), "PATCH", base + "/memberships/" + r.ID, values{"role": role}}
}
