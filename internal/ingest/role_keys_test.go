package ingest_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/driver/postgres"
	"github.com/clerksync/clerksync/internal/driver/sqlite"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/testenv"
	"github.com/clerksync/clerksync/internal/testkit"
	"github.com/clerksync/clerksync/mirror"
)

// fixture is a database of one engine with what writes to it.
type fixture struct {
	*testing.T
	db     *store.DB
	in     *ingest.Ingest
	driver string
	dsn    string
	serial int
}

// eachEngine runs a test on a new database of each engine.
func eachEngine(t *testing.T, test func(*fixture)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "clerk.db")
		db, err := sqlite.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		test(&fixture{T: t, db: db, in: start(t, db), driver: "sqlite", dsn: path})
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		dsn := testenv.Postgres(t)
		db, err := postgres.Open(dsn)
		if err != nil {
			t.Fatal(err)
		}
		test(&fixture{T: t, db: db, in: start(t, db), driver: "pgx", dsn: dsn})
	})
}

// event delivers an event; data names the object's members.
func (m *fixture) event(eventType string, at int64, data string) {
	m.Helper()
	m.serial++
	body := fmt.Sprintf(`{"object":"event","type":%q,"timestamp":%d,"data":%s}`, eventType, at, data)
	if o := submit(m.T, m.in, fmt.Sprintf("msg_%d", m.serial), body); o.Status != mirror.OutcomeProcessed {
		m.Fatalf("%s: %+v", body, o)
	}
}

// read applies what a read by id brought that begins now.
func (m *fixture) read(kind clerk.Kind, id, body string) {
	m.Helper()
	m.apply(m.asked(kind, id), body)
}

// asked is a read that was sent and is not answered yet.
func (m *fixture) asked(kind clerk.Kind, id string) ingest.Reading {
	m.Helper()
	h, err := m.in.ReadFence(m.Context())
	if err != nil {
		m.Fatal(err)
	}
	return ingest.Reading{Key: row.Key{Kind: kind, ID: id}, ObservedAt: h.ObservedAt, Since: h.Since, ByID: true}
}

func (m *fixture) apply(r ingest.Reading, body string) {
	m.Helper()
	if body != "" {
		r.Body = parsed(m.T, body)[0]
	}
	if err := m.in.Apply(m.Context(), r); err != nil {
		m.Fatal(err)
	}
}

// list applies a page of a list that is requested now.
func (m *fixture) list(kind clerk.Kind, rows ...string) {
	m.Helper()
	h, err := m.in.ReadFence(m.Context())
	if err != nil {
		m.Fatal(err)
	}
	page := ingest.Page{Kind: kind, Rows: parsed(m.T, rows...), ObservedAt: h.ObservedAt, Since: h.Since}
	if _, err := m.in.ApplyPage(m.Context(), page, ingest.ApplyOptions{}); err != nil {
		m.Fatal(err)
	}
}

// waiting lists what waits in the verify queue, except objects that are known only as copies.
func (m *fixture) waiting() (ids []string) {
	m.Helper()
	items, err := m.db.VerifyQueue(m.Context(), 500)
	if err != nil {
		m.Fatal(err)
	}
	for _, d := range items {
		if k := d.Key.Kind; k != clerk.KindUser && k != clerk.KindOrganization && k != clerk.KindPermission {
			ids = append(ids, d.Key.ID)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

func (m *fixture) mustWait(when string, want ...string) {
	m.Helper()
	if got := m.waiting(); !slices.Equal(got, want) {
		m.Errorf("%s: %v wait in the verify queue, want %v", when, got, want)
	}
}

// texts runs a query of one column, outside of the tested code.
func (m *fixture) texts(query string) (all []string) {
	m.Helper()
	db := testkit.PlainSQL(m, m.driver, m.dsn)
	rows, err := db.QueryContext(context.Background(), query)
	if err != nil {
		m.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			m.Fatal(err)
		}
		all = append(all, s)
	}
	if rows.Err() != nil {
		m.Fatal(rows.Err())
	}
	return all
}

func role(id, key string, at int64, permissions ...string) string {
	var list []string
	for _, p := range permissions {
		list = append(list, fmt.Sprintf(`{"id":"perm_%s","key":"org:%s"}`, strings.ReplaceAll(p, ":", "_"), p))
	}
	return fmt.Sprintf(`{"object":"role","id":%q,"key":%q,"permissions":[%s],"created_at":1780000000000,"updated_at":%d}`, id, key, strings.Join(list, ","), at)
}

func member(id, key string, at int64) string {
	return fmt.Sprintf(`{"object":"organization_membership","id":%q,"role":%q,"permissions":["org:docs:delete"],"organization":{"id":"org_1"},
		"public_user_data":{"user_id":"user_%s"},"created_at":1780000000000,"updated_at":%d}`, id, key, id, at)
}

func invitation(id, key string, at int64) string {
	return fmt.Sprintf(`{"object":"organization_invitation","id":%q,"role":%q,"status":"pending","organization_id":"org_1","email_address":"a@example.com",
		"created_at":1780000000000,"updated_at":%d}`, id, key, at)
}

const t0 = 1_780_000_000_000

// A role was renamed before events of its members arrive. In any order, what has the old key is in
// the verify queue until it is read, and grants nothing. Every path remembers the keys that the
// role had.
func TestRoleRenamedBeforeItsMembersCome(t *testing.T) {
	t.Parallel()
	deeds := map[byte]func(*fixture){
		'c': func(m *fixture) { m.event("role.created", t0+1000, role("role_1", "org:old", t0+1000, "docs:delete")) },
		'r': func(m *fixture) { m.event("role.updated", t0+9000, role("role_1", "org:new", t0+9000, "docs:read")) },
		'm': func(m *fixture) {
			m.event("organizationMembership.created", t0+1500, member("orgmem_1", "org:old", t0+1500))
		},
		'i': func(m *fixture) {
			m.event("organizationInvitation.created", t0+1600, invitation("orginv_1", "org:old", t0+1600))
		},
	}
	for _, order := range []string{"crmi", "cmri", "rcmi", "rmic", "mcri", "imrc", "micr", "cimr"} {
		t.Run(order, func(t *testing.T) {
			t.Parallel()
			eachEngine(t, func(m *fixture) {
				for i := range order {
					deeds[order[i]](m)
				}
				m.mustWait("after "+order, "orginv_1", "orgmem_1")
				keys := store.CallerKeys{MemberID: "user_orgmem_1", OrganizationID: "org_1"}
				if rows, err := m.db.Caller(m.Context(), keys); err != nil || len(rows.Membership.Queued) == 0 {
					m.Errorf("the place grants: queued %v, %v", rows.Membership.Queued, err)
				}
				if keys := m.texts("SELECT role_key FROM clerk_role_keys ORDER BY role_key"); !slices.Equal(keys, []string{"org:new", "org:old"}) {
					m.Errorf("keys remembered: %v", keys)
				}
				m.read(clerk.KindMembership, "orgmem_1", member("orgmem_1", "org:new", t0+1500))
				m.read(clerk.KindInvitation, "orginv_1", invitation("orginv_1", "org:new", t0+1600))
				m.mustWait("after the reads")
				seat, err := m.db.Membership(m.Context(), "user_orgmem_1", "org_1")
				if err != nil || seat.Role != "org:new" || !slices.Equal(seat.Permissions, []string{"org:docs:read"}) {
					m.Errorf("the place is %+v, %v", seat, err)
				}
				for i := range order { // everything once more: what the reads settled stays so
					if order[i] == 'c' || order[i] == 'r' {
						deeds[order[i]](m)
					}
				}
				m.mustWait("after the role's events came again")
			})
		})
	}
}

// A read that confirms the key settles it. An old key that another role has now costs one read, not
// one for each walk.
func TestReadConfirmsARoleKey(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(m *fixture) {
		m.event("role.created", t0+1000, role("role_1", "org:k", t0+1000))
		m.event("role.updated", t0+2000, role("role_1", "org:other", t0+2000))
		m.event("role.created", t0+3000, role("role_2", "org:k", t0+3000))
		m.event("organizationMembership.created", t0+4000, member("orgmem_1", "org:k", t0+4000))
		m.event("organizationMembership.created", t0+4000, member("orgmem_2", "org:k", t0+4000))
		m.mustWait("a key of two roles, one after the other", "orgmem_1", "orgmem_2")
		m.read(clerk.KindMembership, "orgmem_1", member("orgmem_1", "org:k", t0+4000))
		m.mustWait("after a read by id", "orgmem_2")
		m.list(clerk.KindMembership, member("orgmem_1", "org:k", t0+4000), member("orgmem_2", "org:k", t0+4000))
		m.mustWait("after a list that was asked for since")
		m.list(clerk.KindMembership, member("orgmem_1", "org:k", t0+4000), member("orgmem_2", "org:k", t0+4000), member("orgmem_3", "org:k", t0+4000))
		m.mustWait("after the next walk")
	})
}

// A read that was sent before a role was renamed, and answered after, confirms nothing.
func TestReadFromBeforeTheRenameConfirmsNothing(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(m *fixture) {
		m.event("role.created", t0+1000, role("role_1", "org:old", t0+1000))
		one := m.asked(clerk.KindMembership, "orgmem_1")
		page := ingest.Page{Kind: clerk.KindMembership, Rows: parsed(m.T, member("orgmem_2", "org:old", t0+1500)), ObservedAt: one.ObservedAt, Since: one.Since}
		m.event("role.updated", t0+2000, role("role_1", "org:new", t0+2000))
		m.apply(one, member("orgmem_1", "org:old", t0+1500))
		if _, err := m.in.ApplyPage(m.Context(), page, ingest.ApplyOptions{}); err != nil {
			m.Fatal(err)
		}
		m.mustWait("both answers are older than the rename", "orgmem_1", "orgmem_2")
	})
}

// A key that no role has is queued until it is read, or until its role comes.
func TestUnknownRoleKey(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(m *fixture) {
		m.event("organizationMembership.created", t0+100, member("orgmem_0", "org:rider", t0+100))
		m.mustWait("while no role is stored")
		m.event("role.created", t0+1000, role("role_1", "org:admin", t0+1000))
		m.event("organizationMembership.created", t0+2000, member("orgmem_1", "org:rider", t0+2000))
		m.mustWait("a key of no role", "orgmem_1")
		m.event("role.created", t0+1500, role("role_2", "org:rider", t0+1500))
		m.mustWait("its role came")
		m.event("role.deleted", t0+3000, `{"object":"role","id":"role_2","deleted":true}`)
		m.mustWait("its role was deleted", "orgmem_0", "orgmem_1")
		m.read(clerk.KindMembership, "orgmem_0", member("orgmem_0", "org:admin", t0+2500))
		m.read(clerk.KindMembership, "orgmem_1", member("orgmem_1", "org:rider", t0+2000)) // though Clerk says so
		m.mustWait("after the reads")
	})
}

// Backfills and instances without a list of roles queue nothing, in any order of their lists and
// events.
func TestRoleKeysDoNotFloodTheQueue(t *testing.T) {
	t.Parallel()
	roles := []string{role("role_1", "org:admin", t0), role("role_2", "org:member", t0)}
	members := func(keys ...string) (rows []string) {
		for i := range 20 {
			id, key := fmt.Sprintf("orgmem_%02d", i), keys[i%len(keys)]
			rows = append(rows, member(id, key, t0))
		}
		return rows
	}
	events := func(m *fixture, eventType string, rows []string) {
		for _, row := range rows {
			m.event(eventType, t0, row)
		}
	}
	for name, test := range map[string]func(*fixture){
		"lists, roles first": func(m *fixture) {
			m.list(clerk.KindRole, roles...)
			m.list(clerk.KindMembership, members("org:admin", "org:member")...)
		},
		"lists, members first": func(m *fixture) {
			m.list(clerk.KindMembership, members("org:admin", "org:member")...)
			m.list(clerk.KindRole, roles...)
		},
		"lists, a role that Clerk does not list": func(m *fixture) {
			m.list(clerk.KindRole, roles...)
			m.list(clerk.KindMembership, members("org:admin", "org:unlisted")...)
		},
		"events, members first": func(m *fixture) {
			events(m, "organizationMembership.created", members("org:admin", "org:member"))
			events(m, "role.created", roles)
		},
		"events, between the roles": func(m *fixture) {
			m.event("role.created", t0, roles[0])
			events(m, "organizationMembership.created", members("org:admin", "org:member"))
			m.event("role.created", t0, roles[1])
		},
		"an old instance": func(m *fixture) {
			m.list(clerk.KindMembership, members("admin", "basic_member")...)
			events(m, "organizationMembership.updated", members("admin", "basic_member"))
		},
		"an old instance with a list of roles": func(m *fixture) {
			m.list(clerk.KindRole, roles...)
			m.list(clerk.KindMembership, members("admin", "basic_member")...)
			events(m, "organizationMembership.updated", members("admin", "basic_member"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachEngine(t, func(m *fixture) {
				test(m)
				m.mustWait(name)
			})
		})
	}
}
