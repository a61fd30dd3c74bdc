package ingest_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/mirror"
)

// scim returns a user. flag is the member deprovisioned, "" for a version without it.
func scim(flag string, at int64) string {
	if flag != "" {
		flag = fmt.Sprintf(`"deprovisioned":%s,`, flag)
	}
	return fmt.Sprintf(`{"object":"user","id":"user_1",%s"banned":false,"created_at":1780000000000,"updated_at":%d}`, flag, at)
}

func (m *fixture) mustBeActive(when string, want bool) {
	m.Helper()
	u, err := m.db.UserByClerkID(m.Context(), "user_1")
	if err != nil || u.IsActive != want || u.Banned {
		m.Errorf("%s: active %v, banned %v, %v; want active %v", when, u.IsActive, u.Banned, err, want)
	}
}

// When a directory takes a user's access away, the user is inactive and the sessions are over, as
// with a ban. A version without the flag says nothing about it. One with false gives access back.
func TestDeprovisionedUserIsInactive(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(m *fixture) {
		m.event("user.created", t0, scim("", t0))
		m.event("session.created", t0+1000, `{"object":"session","id":"sess_1","user_id":"user_1","status":"active","created_at":1780000001000,"updated_at":1780000001000}`)
		m.mustBeActive("at first", true)
		m.event("user.updated", t0+5000, scim("true", t0+5000))
		m.mustBeActive("deprovisioned", false)
		if s, err := m.db.Session(m.Context(), "sess_1"); err != nil || s.Usable() {
			m.Errorf("the session is %q, %v", s.Status, err)
		}
		m.event("user.updated", t0+9000, scim("", t0+9000))
		m.mustBeActive("an update without the flag", false)
		m.read(clerk.KindUser, "user_1", scim("", t0+9000))
		m.mustBeActive("a read without the flag", false)
		m.list(clerk.KindUser, scim("", t0+9000))
		m.mustBeActive("a list without the flag", false)
		m.read(clerk.KindUser, "user_1", scim("null", t0+9000))
		m.mustBeActive("a flag that is null", false)
		m.event("user.updated", t0+20000, scim("false", t0+20000))
		m.mustBeActive("provisioned again", true)
		m.event("user.updated", t0+7000, scim("true", t0+7000))
		m.mustBeActive("a late event", true)
		if s, err := m.db.Session(m.Context(), "sess_1"); err != nil || s.Usable() {
			m.Errorf("the session from before is %q, %v", s.Status, err)
		}
	})
}

// A walk compares the flag and reports a difference. If the flag agrees, that counts as newer than
// a late event.
func TestWalkComparesDeprovisioned(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(m *fixture) {
		walk := func(flag string) []ingest.Difference {
			m.Helper()
			h, err := m.in.ReadFence(m.Context())
			if err != nil {
				m.Fatal(err)
			}
			h.ObservedAt += 60_000
			page := ingest.Page{Kind: clerk.KindUser, Rows: parsed(m.T, scim(flag, t0)), ObservedAt: h.ObservedAt, Since: h.Since}
			found, err := m.in.ApplyPage(m.Context(), page, ingest.ApplyOptions{})
			if err != nil {
				m.Fatal(err)
			}
			return found
		}
		m.event("user.created", t0, scim("false", t0))
		if found := walk("true"); len(found) != 1 || len(found[0].Fields) != 1 || found[0].Fields[0] != "deprovisioned" {
			m.Errorf("lost event: %+v", found)
		}
		m.mustBeActive("after a walk", false)
		for _, flag := range []string{"true", ""} {
			if found := walk(flag); len(found) != 0 {
				m.Errorf("nothing changed, flag %q: %+v", flag, found)
			}
		}
		walk("true")
		m.event("user.updated", t0+2000, scim("false", t0)) // of the same version, and older than the walk
		m.mustBeActive("after a late event", false)
	})
}

// The last version that carries the flag decides, in any order of the events and if they are
// repeated.
func TestDeprovisionedConverges(t *testing.T) {
	t.Parallel()
	db, in := memory(t)
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		id := fmt.Sprintf("user_%d", n)
		type version struct {
			flag         string
			updated, at  int64
			read, copied bool
		}
		list := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) version {
			return version{
				rapid.SampledFrom([]string{"", "true", "false", "null"}).Draw(t, "flag"), t0 + rapid.Int64Range(0, 4).Draw(t, "updated")*1000,
				t0 + rapid.Int64Range(0, 9).Draw(t, "at")*1000, rapid.Bool().Draw(t, "read"), rapid.Bool().Draw(t, "embedded"),
			}
		}), 1, 6).Draw(t, "versions")
		active := func(order []version, who string) bool {
			for i, v := range order {
				body := fmt.Sprintf(`{"object":"user","id":%q,"banned":false,"updated_at":%d`, who, v.updated)
				if v.flag != "" {
					body += `,"deprovisioned":` + v.flag
				}
				body += "}"
				if v.read {
					value, err := clerk.Parse([]byte(body))
					if err == nil {
						err = in.Apply(t.Context(), ingest.Reading{Key: row.Key{Kind: clerk.KindUser, ID: who}, Body: value, ObservedAt: clerk.Time(v.at)})
					}
					if err != nil {
						t.Fatal(err)
					}
					continue
				}
				eventType, data := "user.updated", body
				if v.copied {
					eventType = "session.created"
					data = fmt.Sprintf(`{"object":"session","id":"sess_%s","user_id":%q,"status":"active","created_at":1,"updated_at":1,"user":%s}`, who, who, body)
				}
				text := fmt.Sprintf(`{"object":"event","type":%q,"timestamp":%d,"data":%s}`, eventType, v.at, data)
				p, err := in.Prepare(ingest.Message{ID: fmt.Sprint(who, i), Body: []byte(text)})
				if err != nil {
					t.Fatal(err)
				}
				if o := in.Submit(p); o.Status != mirror.OutcomeProcessed {
					t.Fatal(o)
				}
			}
			u, err := db.UserByClerkID(t.Context(), who)
			if err != nil {
				t.Fatal(err)
			}
			return u.IsActive
		}
		one := active(list, id+"_a")
		two := active(rapid.Permutation(list).Draw(t, "other order"), id+"_b")
		if one != two {
			t.Fatalf("active %v in one order, %v in another: %+v", one, two, list)
		}
	})
}
