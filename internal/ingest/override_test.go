package ingest_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

var operator = mirror.By{Actor: "ada", Address: "192.0.2.7", Origin: "POST /api/overrides", RequestID: "req_1"}

// overridden is a user as it is shown.
type overridden struct {
	role                   string
	rejected               string
	banned, active         bool
	overrides, storedValue string // the column, and the table
}

func (m *fixture) shown(id string) overridden {
	m.Helper()
	page, err := m.db.Users(m.Context(), mirror.UserFilter{})
	if err != nil || len(page.Items) != 1 {
		m.Fatal(page, err)
	}
	u := page.Items[0]
	if same, err := m.db.UserByClerkID(m.Context(), id); err != nil || !reflect.DeepEqual(u.Overrides, same.Overrides) {
		m.Errorf("the list has the overrides %+v, a look-up %+v, %v", u.Overrides, same.Overrides, err)
	}
	line := strings.Split(m.texts("SELECT concat(role, '|', role_rejected, '|', overrides) FROM clerk_users_live WHERE clerk_user_id = '" + id + "'")[0], "|")
	var stored []string
	for _, o := range u.Overrides {
		stored = append(stored, fmt.Sprintf("%s=%s (%s)", o.Field, o.Value, o.ClerkValue))
	}
	return overridden{line[0], line[1], u.Banned, u.IsActive, line[2], strings.Join(stored, " ")}
}

func user1(role string, banned bool, at int64) string {
	return fmt.Sprintf(`{"object":"user","id":"user_1","banned":%v,"public_metadata":{"role":%q},"created_at":1780000000000,"updated_at":%d}`, banned, role, at)
}

// set sets an override, or removes it where the value is "". It returns the fields that the change
// names, nil where nothing changed.
func (m *fixture) set(kind clerk.Kind, id string, field mirror.OverrideField, value string) []string {
	m.Helper()
	before, err := m.db.Head(m.Context())
	if err != nil {
		m.Fatal(err)
	}
	var at mirror.FeedCursor
	if value == "" {
		at, err = m.in.RemoveOverride(m.Context(), row.Key{Kind: kind, ID: id}, field, operator)
	} else {
		o := mirror.Override{Kind: kind, ID: id, Field: field, Value: value, Reason: "ticket 4711"}
		at, err = m.in.SetOverride(m.Context(), o, operator)
	}
	if err != nil {
		m.Fatalf("%s of %s to %q: %v", field, id, value, err)
	}
	changes, err := m.db.ChangesFrom(m.Context(), before.Seq+1, 10)
	if err != nil {
		m.Fatal(err)
	}
	if len(changes) == 0 {
		return nil
	}
	if c := changes[0]; len(changes) != 1 || c.Key != (row.Key{Kind: kind, ID: id}) || c.Operation != row.OpUpdated || at != store.FeedCursor(&c) {
		m.Errorf("the change is %+v at %s", changes, at)
	}
	return changes[0].Fields
}

// An overridden user shows what the operator set, whatever Clerk says meanwhile, and shows what
// Clerk says when the override is removed.
func TestOverriddenUser(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(m *fixture) {
		if _, err := m.in.ChangeLadder(m.Context(), []string{"solo", "growth", "admin"}); err != nil {
			m.Fatal(err)
		}
		m.event("user.created", t0, user1("growth", false, t0))
		pristine := m.dump()
		expect := func(when string, want overridden) {
			m.Helper()
			if got := m.shown("user_1"); got != want {
				m.Errorf("%s: %+v\nwant %+v", when, got, want)
			}
		}
		fields := func(when string, got []string, want ...string) {
			m.Helper()
			slices.Sort(got)
			if !slices.Equal(got, want) {
				m.Errorf("%s: the change names %v, want %v", when, got, want)
			}
		}
		const role, banned = mirror.OverrideRole, mirror.OverrideBanned
		set := func(field mirror.OverrideField, value string) []string {
			return m.set(clerk.KindUser, "user_1", field, value)
		}

		fields("what Clerk says anyway", set(role, "growth"))
		fields("not banned", set(banned, "false"))
		expect("without overrides", overridden{"growth", "", false, true, "", ""})
		fields("a role", set(role, "admin"), "overrides", "role")
		fields("a ban", set(banned, "true"), "banned", "is_active", "overrides")
		fields("the same ban", set(banned, "true"))
		both := `{"banned":"true","role":"admin"}`
		expect("both", overridden{"admin", "", true, false, both, "banned=true (false) role=admin (growth)"})

		m.event("user.updated", t0+5000, user1("solo", false, t0+5000))
		m.read(clerk.KindUser, "user_1", user1("solo", false, t0+5000))
		m.list(clerk.KindUser, user1("solo", false, t0+5000))
		expect("Clerk has another role", overridden{"admin", "", true, false, both, "banned=true (false) role=admin (solo)"})
		m.event("user.updated", t0+9000, user1("nobody", true, t0+9000))
		expect("Clerk has no such role", overridden{"admin", "", true, false, both, "banned=true (true) role=admin (solo)"})

		fields("a ban that Clerk has too", set(banned, ""), "overrides")
		fields("lifted here", set(banned, "false"), "banned", "is_active", "overrides")
		expect("banned at Clerk alone", overridden{"admin", "", false, true, `{"banned":"false","role":"admin"}`, "banned=false (true) role=admin (solo)"})
		fields("the lowest role, for one that the ladder lacks", set(role, "solo"), "overrides", "role")
		expect("a role instead of none", overridden{"solo", "", false, true, `{"banned":"false","role":"solo"}`, "banned=false (true) role=solo (solo)"})

		set(role, "admin")
		for _, ladder := range [][]string{{"solo", "growth"}, {"solo", "growth", "admin"}} {
			if _, err := m.in.ChangeLadder(m.Context(), ladder); err != nil {
				m.Fatal(err)
			}
			want := overridden{"admin", "", false, true, `{"banned":"false","role":"admin"}`, "banned=false (true) role=admin (solo)"}
			if len(ladder) == 2 {
				want.role, want.rejected = "solo", "admin"
			}
			expect(fmt.Sprint(ladder), want)
		}
		set(role, "")
		set(banned, "")
		m.event("user.updated", t0+20_000, user1("growth", false, t0+20_000))
		expect("removed", overridden{"growth", "", false, true, "", ""})
		if again := m.dump(); again != pristine {
			m.Errorf("the row is\n%s\nand was\n%s", again, pristine)
		}
		m.refused()
		m.audited()
	})
}

// dump returns what is derived of users.
func (m *fixture) dump() string {
	m.Helper()
	return strings.Join(m.texts(`SELECT concat_ws('|', clerk_user_id, role, role_rejected, is_active, banned, overrides, public_metadata) FROM clerk_users`), "\n")
}

// refused tries what cannot be overridden.
func (m *fixture) refused() {
	m.Helper()
	for _, o := range []mirror.Override{
		{Kind: clerk.KindUser, ID: "user_1", Field: "email", Value: "eve@example.com"},
		{Kind: clerk.KindUser, ID: "user_1", Field: mirror.OverrideStatus, Value: "revoked"},
		{Kind: clerk.KindSession, ID: "user_1", Field: mirror.OverrideRole, Value: "admin"},
		{Kind: clerk.KindUser, ID: "user_1", Field: mirror.OverrideRole, Value: "emperor"},
		{Kind: clerk.KindUser, ID: "user_1", Field: mirror.OverrideRole, Value: ""},
		{Kind: clerk.KindUser, ID: "user_1", Field: mirror.OverrideBanned, Value: "yes"},
		{Kind: clerk.KindSession, ID: "sess_1", Field: mirror.OverrideStatus, Value: "active"},
		{Kind: clerk.KindUser, ID: "user_1", Field: mirror.OverrideBanned, Value: "true", Reason: strings.Repeat("x", 501)},
	} {
		if _, err := m.in.SetOverride(m.Context(), o, operator); !errors.Is(err, mirror.ErrInvalidOverride) {
			m.Errorf("%+v: %v", o, err)
		}
	}
	unknown := mirror.Override{Kind: clerk.KindUser, ID: "user_none", Field: mirror.OverrideBanned, Value: "true"}
	if _, err := m.in.SetOverride(m.Context(), unknown, operator); !errors.Is(err, store.ErrNotFound) {
		m.Errorf("an unknown user: %v", err)
	}
	if _, err := m.in.RemoveOverride(m.Context(), row.Key{Kind: clerk.KindUser, ID: "user_1"}, mirror.OverrideRole, operator); !errors.Is(err, store.ErrNotFound) {
		m.Errorf("no override: %v", err)
	}
	if got := m.shown("user_1"); got.overrides != "" {
		m.Errorf("what was refused is shown: %+v", got)
	}
}

// audited requires that the audit says who changed what, and no reason.
func (m *fixture) audited() {
	m.Helper()
	page, err := m.db.Audit(m.Context(), mirror.AuditFilter{ClerkUserID: "user_1"})
	if err != nil {
		m.Fatal(err)
	}
	var lines []string
	for _, e := range slices.Backward(page.Items) {
		if e.Action == mirror.AuditRole { // only what no override hides
			lines = append(lines, e.Was+" "+e.Became)
			continue
		}
		if e.Actor != operator.Actor || e.Address != operator.Address || e.Origin != operator.Origin || e.RequestID != operator.RequestID {
			m.Errorf("the audit has %+v", e)
		}
		lines = append(lines, strings.TrimPrefix(string(e.Action), "override_")+" "+e.Object+" "+e.Was+" "+e.Became)
	}
	want := []string{
		"set role growth admin", "set banned false true", "removed banned true true", "set banned true false",
		"set role admin solo", "set role solo admin", "removed role admin solo", "removed banned false true", "solo growth",
	}
	if !slices.Equal(lines, want) {
		m.Errorf("the audit has\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
}

// A session that was revoked here is revoked for every reader, until it ends at Clerk: then nothing
// is left to override. The same holds when the object is deleted, and nothing is left of a user who
// is erased.
func TestOverridesEnd(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(m *fixture) {
		session := func(id, status string, at int64) {
			m.event("session."+map[string]string{"active": "created"}[status]+strings.ReplaceAll(status, "active", ""), at, fmt.Sprintf(
				`{"object":"session","id":%q,"user_id":"user_1","status":%q,"created_at":%d,"updated_at":%d}`, id, status, int64(t0), at))
		}
		status := func(id string) string {
			s, err := m.db.Session(m.Context(), id)
			if err != nil {
				m.Fatal(err)
			}
			list := ""
			for _, o := range s.Overrides {
				list += fmt.Sprintf(" %s=%s (%s) by %s: %s", o.Field, o.Value, o.ClerkValue, o.CreatedBy, o.Reason)
			}
			return string(s.Status) + list
		}
		open := func(f mirror.OverrideFilter) (ids []string) {
			m.Helper()
			for f.Limit = 1; ; {
				p, err := m.db.Overrides(m.Context(), f)
				if err != nil {
					m.Fatal(err)
				}
				for _, o := range p.Items {
					ids = append(ids, o.ID+" "+string(o.Field))
				}
				if f.After = p.Next; f.After == "" {
					return ids
				}
			}
		}
		m.event("user.created", t0, user1("solo", false, t0))
		session("sess_1", "active", t0)
		session("sess_2", "active", t0)
		m.set(clerk.KindSession, "sess_1", mirror.OverrideStatus, "revoked")
		m.set(clerk.KindSession, "sess_2", mirror.OverrideStatus, "revoked")
		m.set(clerk.KindUser, "user_1", mirror.OverrideBanned, "true")
		m.set(clerk.KindUser, "user_1", mirror.OverrideRole, "admin")
		if got := status("sess_1"); got != "revoked status=revoked (active) by ada: ticket 4711" {
			m.Errorf("the session is %s", got)
		}
		if page, err := m.db.Sessions(m.Context(), mirror.SessionFilter{Status: mirror.SessionRevoked}); err != nil || len(page.Items) != 2 {
			m.Errorf("the revoked sessions are %+v, %v", page.Items, err)
		}
		for _, test := range []struct {
			filter mirror.OverrideFilter
			want   []string
		}{
			{mirror.OverrideFilter{}, []string{"sess_1 status", "sess_2 status", "user_1 banned", "user_1 role"}},
			{mirror.OverrideFilter{Kind: clerk.KindUser}, []string{"user_1 banned", "user_1 role"}},
			{mirror.OverrideFilter{ID: "sess_2"}, []string{"sess_2 status"}},
			{mirror.OverrideFilter{Kind: clerk.KindUser, ID: "sess_2"}, nil},
		} {
			got := open(test.filter)
			if slices.Sort(got); !slices.Equal(got, test.want) {
				m.Errorf("%+v lists %v, want %v", test.filter, got, test.want)
			}
		}

		session("sess_1", "ended", t0+5000)
		if got := status("sess_1"); got != "ended" {
			m.Errorf("a session that has ended is %s", got)
		}
		if fields := m.set(clerk.KindSession, "sess_1", mirror.OverrideStatus, "revoked"); fields != nil {
			m.Errorf("revoking a session that has ended changed %v", fields)
		}
		// clerksync writes the role at Clerk: the answer ends the override of the role, and no
		// other
		answer := m.asked(clerk.KindUser, "user_1")
		answer.EndOverrides = []mirror.OverrideField{mirror.OverrideRole}
		m.apply(answer, user1("growth", false, t0+6000))
		if got, want := m.shown("user_1"), (overridden{"growth", "", true, false, `{"banned":"true"}`, "banned=true (false)"}); got != want {
			m.Errorf("after a write at Clerk: %+v, want %+v", got, want)
		}
		m.event("user.deleted", t0+9000, `{"object":"user","id":"user_1","deleted":true}`)
		if got := open(mirror.OverrideFilter{}); !slices.Equal(got, []string{"sess_2 status"}) {
			m.Errorf("after the deletion of the user: %v", got)
		}
		late := mirror.Override{Kind: clerk.KindSession, ID: "sess_2", Field: mirror.OverrideStatus, Value: "revoked"}
		for _, o := range []mirror.Override{late, {Kind: clerk.KindUser, ID: "user_1", Field: mirror.OverrideBanned, Value: "true"}} {
			if _, err := m.in.SetOverride(m.Context(), o, operator); !errors.Is(err, store.ErrNotFound) {
				m.Errorf("an override of what is deleted: %v", err)
			}
		}
		if err := m.in.Erase(m.Context(), "user_1"); err != nil {
			m.Fatal(err)
		}
		if got := open(mirror.OverrideFilter{}); got != nil {
			m.Errorf("after the erasure: %v", got)
		}
	})
}

// A list that agrees with Clerk's object finds nothing wrong with an overridden row. Overrides that
// someone wrote into a row by hand are found and taken back.
func TestWalkOverOverriddenRows(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(m *fixture) {
		walk := func() []ingest.Difference {
			m.Helper()
			h, err := m.in.ReadFence(m.Context())
			if err != nil {
				m.Fatal(err)
			}
			page := ingest.Page{Kind: clerk.KindUser, Rows: parsed(m.T, user1("solo", false, t0)), ObservedAt: h.ObservedAt + 60_000, Since: h.Since}
			found, err := m.in.ApplyPage(m.Context(), page, ingest.ApplyOptions{})
			if err != nil {
				m.Fatal(err)
			}
			return found
		}
		m.event("user.created", t0, user1("solo", false, t0))
		for _, set := range []bool{false, true} {
			if set {
				m.set(clerk.KindUser, "user_1", mirror.OverrideRole, "growth")
			}
			if found := walk(); len(found) != 0 {
				m.Errorf("overridden %v: a walk found %+v", set, found)
			}
			before := m.shown("user_1")
			for _, hand := range []string{`overrides = '{"role":"admin"}'`, `overrides = '{"role":"admin"}', role = 'admin'`, `overrides = NULL, role = 'solo'`, "overrides = 'x'"} {
				if err := m.db.Exec(m.Context(), "UPDATE clerk_users SET "+hand); err != nil {
					m.Fatal(err)
				}
				if found := walk(); (set || !strings.Contains(hand, "NULL")) && (len(found) != 1 || !found[0].Altered) {
					m.Errorf("overridden %v, %s: a walk found %+v", set, hand, found)
				}
				if after := m.shown("user_1"); after != before {
					m.Errorf("overridden %v, %s: %+v, was %+v", set, hand, after, before)
				}
			}
		}
	})
}

// drawOverrides returns what an operator does. It follows from the history, without a draw, so that
// the recorded histories in testdata stay valid. An empty value removes an override.
func (w *world) drawOverrides() []mirror.Override {
	var all []mirror.Override
	add := func(kind clerk.Kind, from map[string]object, field mirror.OverrideField, values ...string) {
		for _, id := range slices.Sorted(maps.Keys(from)) {
			for _, value := range values {
				all = append(all, mirror.Override{Kind: kind, ID: id, Field: field, Value: value})
			}
		}
	}
	add(clerk.KindUser, w.users, mirror.OverrideRole, "", "solo", "growth", "admin")
	add(clerk.KindUser, w.users, mirror.OverrideBanned, "", "true", "false")
	add(clerk.KindSession, w.session, mirror.OverrideStatus, "", "revoked")
	if len(all) == 0 {
		return nil
	}
	chance := rand.New(rand.NewPCG(uint64(w.now), uint64(w.serial)))
	w.serial++
	acts := make([]mirror.Override, chance.IntN(6))
	for i := range acts {
		acts[i] = all[chance.IntN(len(all))]
	}
	return acts
}

// override does what was drawn, and notes which overrides hold afterwards: none of what is not
// stored yet, and none that says what holds anyway.
func (w *world) override(db *store.DB, in *ingest.Ingest, acts []mirror.Override) {
	for _, o := range acts {
		var err error
		if o.Value == "" {
			_, err = in.RemoveOverride(w.t.Context(), row.Key{Kind: o.Kind, ID: o.ID}, o.Field, operator)
		} else {
			_, err = in.SetOverride(w.t.Context(), o, operator)
		}
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		stored, listErr := db.Overrides(w.t.Context(), mirror.OverrideFilter{ID: o.ID})
		if err != nil || listErr != nil {
			w.t.Errorf("%+v: %v, %v", o, err, listErr)
			return
		}
		name := o.ID + " " + string(o.Field)
		delete(w.set, name)
		for _, s := range stored.Items {
			if s.Field == o.Field {
				w.set[name] = s.Value
			}
		}
		if set := w.set[name]; set != "" && set != o.Value || o.Value == "" && set != "" {
			w.t.Errorf("%+v is stored as %q", o, set)
		}
	}
}

// compareOverrides requires that a live record has the overrides that were set.
func (w *world) compareOverrides(id string, have []mirror.Override) {
	want := map[string]string{}
	for name, value := range w.set {
		if strings.HasPrefix(name, id+" ") {
			want[name] = value
		}
	}
	for _, o := range have {
		name := id + " " + string(o.Field)
		if want[name] != o.Value || o.CreatedBy != operator.Actor || o.CreatedAt.IsZero() {
			w.t.Fatalf("%s has the override %+v, want %q", id, o, want[name])
		}
		delete(want, name)
	}
	if len(want) > 0 {
		w.t.Fatalf("%s lacks the overrides %v", id, want)
	}
}
