package emulator

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
)

// restore changes every object back to what it was at the start, and sends the events of these
// changes, so that a copy can follow. Time does not go back: the clock stays, sign-ins of the past
// stay visible in last_sign_in_at, ended sessions and settled invitations stay in the lists. Users
// and organizations that were deleted come back with their ids, which are returned; Clerk never
// does that. Everything else that was deleted comes back with a new id.
func (e *Emulator) restore() (returned []string) {
	before := e.objects
	e.rebuild(e.origin.random.clone(), func(string, error) {}) // it was possible at the start
	start := e.objects
	e.objects = before
	e.endWhatIsNotIn(&start)
	r := restoration{e, e.objects, nil} // without what was deleted just now
	start.sessions, start.subscriptions = r.before.sessions, r.before.subscriptions
	e.objects = start
	r.access()
	r.users()
	r.organizations()
	return r.returned
}

// endWhatIsNotIn ends sessions, memberships, invitations, users and organizations that the start
// does not have.
func (e *Emulator) endWhatIsNotIn(start *objects) {
	for _, r := range e.users.created {
		for _, s := range slices.Clone(e.sessions.byUser[r.ID]) {
			e.end(e.aged(s), "removed", true)
		}
	}
	for _, m := range slices.Clone(e.organizations.memberships) {
		if start.organizations.membership(m.organizationID, m.userID) == nil {
			e.leave(m, true)
		}
	}
	for _, i := range e.organizations.invitations {
		if e.lapse(i); i.Status == "pending" && start.organizations.invitation(i.ID) == nil {
			e.revoke(i)
		}
	}
	for _, d := range slices.Clone(e.organizations.domains) {
		if start.organizations.domain(d.ID) == nil {
			e.onPath((*Emulator).deleteDomain, d.OrganizationID, d.ID)
		}
	}
	for _, o := range slices.Clone(e.organizations.all) {
		if start.organizations.byID[o.ID] == nil {
			e.onPath((*Emulator).deleteOrganization, o.ID, "")
		}
	}
	for _, r := range slices.Clone(e.users.created) {
		if start.users.byID[r.ID] == nil {
			e.onPath((*Emulator).deleteUser, r.ID, "")
		}
	}
}

// onPath calls an endpoint of an object that exists.
func (e *Emulator) onPath(handle func(*Emulator, *call) (any, error), id, domain string) {
	r := &http.Request{Method: http.MethodDelete}
	r.SetPathValue("id", id)
	r.SetPathValue("domain_id", domain)
	_, _ = handle(e, &call{r: r}) // it exists
}

func (o *organizations) membership(organization, user string) *Membership {
	for _, m := range o.ofUser[user] {
		if m.organizationID == organization {
			return m
		}
	}
	return nil
}

func (o *organizations) invitation(id string) *OrganizationInvitation {
	for _, i := range o.invitations {
		if i.ID == id {
			return i
		}
	}
	return nil
}

func (o *organizations) domain(id string) *OrganizationDomain {
	for _, d := range o.domains {
		if d.ID == id {
			return d
		}
	}
	return nil
}

// restoration compares the objects of the start with those of before, and sends events of the
// changes.
type restoration struct {
	*Emulator
	before   objects
	returned []string
}

// changed reports whether an object of the start needs an event, which says created or updated, and
// sets its times: it keeps them if nothing changed it, else it is as new as it now becomes.
func (r *restoration) changed(existed bool, was int64, createdAt, updatedAt *int64) (event string, needed bool) {
	switch {
	case !existed:
		*updatedAt = r.after(0)
		*createdAt = min(*createdAt, *updatedAt)
		return ".created", true
	case was == *updatedAt:
		return "", false
	}
	*updatedAt = r.after(max(was, *updatedAt))
	return ".updated", true
}

func (r *restoration) access() {
	for _, p := range r.Emulator.access.permissions {
		old := r.before.access.permission(p.Key)
		if old == nil && p.Type != "system" {
			p.ID = r.random.id("perm")
		}
		if event, needed := r.changed(old != nil, updatedAt(old), &p.CreatedAt, &p.UpdatedAt); needed {
			r.emit("permission"+event, p.UpdatedAt, p)
		}
	}
	for _, x := range r.Emulator.access.roles {
		old := r.before.access.role(x.Key)
		if old == nil && !x.seeded {
			x.ID = r.random.id("role")
		}
		if event, needed := r.changed(old != nil, updatedAt(old), &x.CreatedAt, &x.UpdatedAt); needed {
			r.emit("role"+event, x.UpdatedAt, x)
		}
	}
	for _, x := range r.before.access.roles {
		if r.Emulator.access.role(x.Key) == nil {
			r.emit("role.deleted", r.after(x.UpdatedAt), Deleted{Object: "role", ID: x.ID, Deleted: true})
		}
	}
	for _, p := range r.before.access.permissions {
		if r.Emulator.access.permission(p.Key) == nil {
			r.emit("permission.deleted", r.after(p.UpdatedAt), Deleted{Object: "permission", ID: p.ID, Deleted: true})
		}
	}
}

// updatedAt returns the time of the last change, or 0 for nil.
func updatedAt[T Permission | Role | Organization | Membership | OrganizationDomain](x *T) int64 {
	if x == nil {
		return 0
	}
	switch x := any(x).(type) {
	case *Permission:
		return x.UpdatedAt
	case *Role:
		return x.UpdatedAt
	case *Organization:
		return x.UpdatedAt
	case *Membership:
		return x.UpdatedAt
	case *OrganizationDomain:
		return x.UpdatedAt
	}
	return 0
}

func (r *restoration) users() {
	for _, u := range r.Emulator.users.created {
		old, existed := r.before.users.byID[u.ID], false
		was := int64(0)
		if old != nil {
			existed, was = true, old.UpdatedAt
			u.LastSignInAt, u.LastActiveAt = old.LastSignInAt, old.LastActiveAt // a copy keeps the latest
		} else {
			r.returned = append(r.returned, u.ID)
		}
		if event, needed := r.changed(existed, was, &u.CreatedAt, &u.UpdatedAt); needed {
			r.Emulator.users.changed(u)
			r.emit("user"+event, u.UpdatedAt, r.json(u))
		}
	}
}

func (r *restoration) organizations() {
	for _, o := range r.Emulator.organizations.all {
		old := r.before.organizations.byID[o.ID]
		if old == nil {
			r.returned = append(r.returned, o.ID)
		}
		if event, needed := r.changed(old != nil, updatedAt(old), &o.CreatedAt, &o.UpdatedAt); needed {
			r.emit("organization"+event, o.UpdatedAt, o)
		}
	}
	for _, m := range r.Emulator.organizations.memberships {
		old := r.before.organizations.membership(m.organizationID, m.userID)
		if old == nil {
			m.ID = r.random.id("orgmem")
		} else {
			m.ID, m.CreatedAt = old.ID, old.CreatedAt
		}
		if event, needed := r.changed(old != nil, updatedAt(old), &m.CreatedAt, &m.UpdatedAt); needed {
			r.emit("organizationMembership"+event, m.UpdatedAt, r.full(m))
		}
	}
	r.invitations()
	for _, d := range r.Emulator.organizations.domains {
		old := r.before.organizations.domain(d.ID)
		if old == nil {
			d.ID = r.random.id("orgdmn")
		}
		if event, needed := r.changed(old != nil, updatedAt(old), &d.CreatedAt, &d.UpdatedAt); needed {
			r.emit("organizationDomain"+event, d.UpdatedAt, d)
		}
	}
}

// invitations sends those of the start anew that are no longer pending.
func (r *restoration) invitations() {
	kept := slices.DeleteFunc(slices.Clone(r.before.organizations.invitations), func(i *OrganizationInvitation) bool { return i.Status == "pending" })
	for _, i := range r.Emulator.organizations.invitations {
		if old := r.before.organizations.invitation(i.ID); old != nil && old.Status == "pending" {
			continue
		}
		i.ID, i.CreatedAt = r.random.id("orginv"), r.after(0)
		i.UpdatedAt = i.CreatedAt
		r.emit("organizationInvitation.created", i.CreatedAt, i)
	}
	all := slices.Concat(kept, r.Emulator.organizations.invitations)
	slices.SortStableFunc(all, func(a, b *OrganizationInvitation) int {
		return cmp.Or(cmp.Compare(a.CreatedAt, b.CreatedAt), strings.Compare(a.ID, b.ID))
	})
	r.Emulator.organizations.invitations = all
}
