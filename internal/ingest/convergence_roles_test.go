package ingest_test

import (
	"fmt"
	"maps"
	"slices"

	"pgregory.net/rapid"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// Roles of the model have few keys, so that a key that one role had is soon another's. When a role
// is renamed, its members and invitations have the new key at once, and no event says so, as at
// Clerk.

func (w *world) freeKey() (key string, ok bool) {
	var free []string
	for n := range 4 {
		key := fmt.Sprintf("org:%s_%d", w.prefix, n)
		if w.roleOf(key) == nil {
			free = append(free, key)
		}
	}
	if len(free) == 0 {
		return "", false
	}
	return rapid.SampledFrom(free).Draw(w.t, "free key"), true
}

// roleOf returns the role that has a key now.
func (w *world) roleOf(key string) object {
	for id, r := range w.roles {
		if !w.deleted[id] && r["key"] == key {
			return r
		}
	}
	return nil
}

// roleKey is the key of some role. There is one.
func (w *world) roleKey() string {
	if _, ok := pick(w, w.roles, "any role"); !ok {
		w.newRole()
	}
	r, _ := pick(w, w.roles, "role")
	return r["key"].(string)
}

func (w *world) newRole() {
	key, ok := w.freeKey()
	if !ok {
		return
	}
	r := object{
		"object": "role", "id": w.id("role"), "key": key, "created_at": w.now, "updated_at": w.now, "permissions": []object{w.permission()},
	}
	w.roles[r["id"].(string)] = r
	w.emit("role.created", r)
}

func (w *world) permission() object {
	id := w.id("perm")
	p := object{"object": "permission", "id": id, "key": "org:" + id + ":do", "type": "user", "created_at": w.now, "updated_at": w.now}
	w.permits[id] = p
	return p
}

func (w *world) changeRole(step string) {
	if step == "new role" {
		w.newRole()
		return
	}
	r, ok := pick(w, w.roles, "role")
	if !ok {
		return
	}
	id, was := r["id"].(string), r["key"]
	switch step {
	case "rename role":
		key, ok := w.freeKey()
		if !ok {
			return
		}
		for _, carriers := range []map[string]object{w.members, w.invited} {
			for id, o := range carriers {
				if o["role"] == was && !w.deleted[id] {
					carriers[id] = w.with(o, "role", key)
				}
			}
		}
		r = w.change(r, object{"key": key})
	case "change role":
		r = w.change(r, object{"permissions": []object{w.permission()}})
	case "delete role":
		for _, carriers := range []map[string]object{w.members, w.invited} {
			for id, o := range carriers {
				if o["role"] == was && !w.deleted[id] {
					return // Clerk refuses
				}
			}
		}
		w.remove("role", r)
		return
	}
	w.roles[id] = r
	w.emit("role.updated", r)
}

// with returns the object with one other value.
func (w *world) with(o object, field string, value any) object {
	next := maps.Clone(o)
	next[field] = value
	return next
}

func (w *world) invite() {
	o, ok := pick(w, w.orgs, "org")
	if !ok {
		return
	}
	i := object{
		"object": "organization_invitation", "id": w.id("orginv"), "role": w.roleKey(), "status": "pending", "email_address": "a@example.com",
		"organization_id": o["id"], "created_at": w.now, "updated_at": w.now,
	}
	w.invited[i["id"].(string)] = i
	w.emit("organizationInvitation.created", i)
}

// mayAsIts reports whether a membership may do what its role may.
func (w *world) mayAsIts(m mirror.Membership) bool {
	var want []string
	for _, p := range w.roleOf(m.Role)["permissions"].([]object) {
		want = append(want, p["key"].(string))
	}
	slices.Sort(want)
	return slices.Equal(m.Permissions, want)
}

func (w *world) compareInvitations(db *store.DB) {
	var keys []row.Key
	for id := range w.invited {
		keys = append(keys, row.Key{Kind: clerk.KindInvitation, ID: id})
	}
	if len(keys) == 0 {
		return
	}
	err := db.Update(w.t.Context(), func(tx *store.Tx) error {
		rows, err := tx.Rows(w.t.Context(), keys)
		for id, i := range w.invited {
			row := rows[row.Key{Kind: clerk.KindInvitation, ID: id}]
			if row == nil || row.Body().Get("role").String() != i["role"] && !w.deleted[i["organization_id"].(string)] {
				w.t.Fatalf("invitation %s is %+v, want %v", id, row, i)
			}
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
}
