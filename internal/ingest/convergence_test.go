package ingest_test

import (
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/ingest"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/testkit"
	"github.com/clerksync/clerksync/mirror"
)

// CLERKSYNC_TEST_HISTORIES is the number of histories that the property test runs on SQLite.
// Postgres gets a tenth.
func TestMain(m *testing.M) {
	flag.Parse()
	if n := os.Getenv("CLERKSYNC_TEST_HISTORIES"); n != "" {
		if err := flag.Set("rapid.checks", n); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

type object = map[string]any

// world is a model of Clerk. The mirror must end up equal to it.
type world struct {
	t       *rapid.T
	prefix  string
	now     int64
	users   map[string]object
	orgs    map[string]object
	members map[string]object
	session map[string]object
	roles   map[string]object
	invited map[string]object
	permits map[string]object // permissions
	deleted map[string]bool
	stale   map[string]object // copies as they once were, for embedding
	sent    []ingest.Message
	serial  int
	set     map[string]string // overrides that were set and not removed, by "id field"
}

const epoch = 1_780_000_000_000

func (w *world) id(kind string) string {
	w.serial++
	return fmt.Sprintf("%s_%s_%d", kind, w.prefix, w.serial)
}

func (w *world) tick() {
	w.now += rapid.SampledFrom([]int64{0, 0, 1, 400, 1500, 90_000}).Draw(w.t, "tick")
}

func (w *world) emit(eventType string, data object) {
	at := w.now
	if rapid.IntRange(0, 4).Draw(w.t, "seconds envelope") == 0 {
		at /= 1000
	}
	body, err := json.Marshal(object{"object": "event", "type": eventType, "timestamp": at, "data": data, "instance_id": "ins_x"})
	if err != nil {
		w.t.Fatal(err)
	}
	w.sent = append(w.sent, ingest.Message{ID: w.id("msg"), SignedAt: time.UnixMilli(w.now + 50), Body: body})
}

// change gives an object a new version, usually with a later updated_at.
func (w *world) change(o object, fields object) object {
	w.stale[o["id"].(string)] = o
	next := maps.Clone(o)
	maps.Copy(next, fields)
	if rapid.IntRange(0, 5).Draw(w.t, "keeps updated_at") != 0 {
		next["updated_at"] = w.now
	}
	return next
}

// copyOf is an object as an event embeds it: as it is, or as it was.
func (w *world) copyOf(o object) object {
	if old := w.stale[o["id"].(string)]; old != nil && rapid.Bool().Draw(w.t, "stale copy") {
		return old
	}
	return o
}

func pick(w *world, from map[string]object, label string) (object, bool) {
	keys := slices.Sorted(maps.Keys(from))
	keys = slices.DeleteFunc(keys, func(k string) bool { return w.deleted[k] })
	if len(keys) == 0 {
		return nil, false
	}
	return from[rapid.SampledFrom(keys).Draw(w.t, label)], true
}

func (w *world) step() {
	w.tick()
	switch step := rapid.SampledFrom([]string{
		"sign up", "sign up", "update", "update", "update", "ban", "unban", "deprovision", "provision", "delete user", "sign in", "sign in", "sign out", "revoke",
		"new org", "rename", "delete org", "join", "join", "role", "leave", "sessions lapse",
		"new role", "new role", "rename role", "rename role", "rename role", "change role", "delete role", "invite",
	}).Draw(w.t, "step"); step {
	case "sign up":
		u := object{"object": "user", "id": w.id("user"), "first_name": "A", "banned": false, "created_at": w.now, "updated_at": w.now, "public_metadata": object{}}
		w.users[u["id"].(string)] = u
		w.emit("user.created", u)
	case "update":
		w.updateUser(object{
			"first_name":      rapid.StringMatching(`[A-Z][a-z]{3}`).Draw(w.t, "name"),
			"public_metadata": object{"role": rapid.SampledFrom([]string{"solo", "growth", "admin", "nobody"}).Draw(w.t, "role")},
		})
	case "ban", "deprovision":
		flag := map[string]string{"ban": "banned", "deprovision": "deprovisioned"}[step]
		if u, ok := w.updateUser(object{flag: true, "updated_at": w.now}); ok {
			u["updated_at"] = w.now
			w.endSessions(u["id"].(string))
		}
	case "unban":
		w.updateUser(object{"banned": false})
	case "provision":
		w.updateUser(object{"deprovisioned": false, "updated_at": w.now})
	case "delete user":
		if u, ok := pick(w, w.users, "user"); ok {
			w.remove("user", u)
		}
	case "sign in":
		w.signIn()
	case "sign out":
		w.endSession("ended")
	case "revoke":
		w.endSession("revoked")
	case "new org":
		o := object{"object": "organization", "id": w.id("org"), "name": "O", "created_at": w.now, "updated_at": w.now}
		w.orgs[o["id"].(string)] = o
		w.emit("organization.created", o)
	case "rename":
		if o, ok := pick(w, w.orgs, "org"); ok {
			o = w.change(o, object{"name": rapid.StringMatching(`[A-Z]{4}`).Draw(w.t, "org name")})
			w.orgs[o["id"].(string)] = o
			w.emit("organization.updated", o)
		}
	case "delete org":
		if o, ok := pick(w, w.orgs, "org"); ok {
			w.remove("organization", o)
		}
	case "join":
		w.join()
	case "role":
		if m, ok := pick(w, w.members, "membership"); ok {
			m = w.change(m, object{"role": w.roleKey()})
			w.members[m["id"].(string)] = m
			w.emit("organizationMembership.updated", m)
		}
	case "leave":
		if m, ok := pick(w, w.members, "membership"); ok {
			w.deleted[m["id"].(string)] = true
			w.emit("organizationMembership.deleted", m)
		}
	case "new role", "rename role", "change role", "delete role":
		w.changeRole(step)
	case "invite":
		w.invite()
	}
}

func (w *world) updateUser(fields object) (object, bool) {
	u, ok := pick(w, w.users, "user")
	if !ok {
		return nil, false
	}
	u = w.change(u, fields)
	if fields["updated_at"] != nil {
		u["updated_at"] = w.now
	}
	w.users[u["id"].(string)] = u
	event := u
	if _, told := fields["deprovisioned"]; !told && rapid.Bool().Draw(w.t, "without the flag of the directory") {
		event = maps.Clone(u)
		delete(event, "deprovisioned")
	}
	w.emit("user.updated", event)
	return u, true
}

func (w *world) remove(kind string, o object) {
	w.deleted[o["id"].(string)] = true
	w.emit(kind+".deleted", object{"object": kind, "id": o["id"], "deleted": true})
}

func (w *world) signIn() {
	u, ok := pick(w, w.users, "user")
	if !ok || u["banned"] == true || u["deprovisioned"] == true {
		return
	}
	s := object{"object": "session", "id": w.id("sess"), "user_id": u["id"], "status": "active", "created_at": w.now, "updated_at": w.now}
	w.session[s["id"].(string)] = s
	event := maps.Clone(s)
	if rapid.Bool().Draw(w.t, "embeds the user") {
		event["user"] = w.copyOf(u)
	}
	w.emit("session.created", event)
}

func (w *world) endSession(status string) {
	s, ok := pick(w, w.session, "session")
	if !ok || s["status"] != "active" {
		return
	}
	s = w.change(s, object{"status": status})
	w.session[s["id"].(string)] = s
	w.emit("session."+status, s)
}

// endSessions is what a ban does, with or without an event for each session.
func (w *world) endSessions(userID string) {
	for _, id := range slices.Sorted(maps.Keys(w.session)) {
		s := w.session[id]
		if s["user_id"] != userID || s["status"] != "active" {
			continue
		}
		s = w.change(s, object{"status": "revoked", "updated_at": w.now})
		w.session[id] = s
		if rapid.Bool().Draw(w.t, "tells of the session") {
			w.emit("session.revoked", s)
		}
	}
}

func (w *world) join() {
	u, ok1 := pick(w, w.users, "user")
	o, ok2 := pick(w, w.orgs, "org")
	if !ok1 || !ok2 {
		return
	}
	for id, m := range w.members { // one membership of a pair at a time, as at Clerk
		if !w.deleted[id] && m["public_user_data"].(object)["user_id"] == u["id"] && m["organization"].(object)["id"] == o["id"] {
			return
		}
	}
	m := object{
		"object": "organization_membership", "id": w.id("orgmem"), "role": w.roleKey(), "created_at": w.now, "updated_at": w.now,
		"organization": w.copyOf(o), "public_user_data": object{"user_id": u["id"], "first_name": w.copyOf(u)["first_name"]},
	}
	w.members[m["id"].(string)] = m
	w.emit("organizationMembership.created", m)
}

// deliver sends everything in any order, some of it twice, over several connections. An operator
// sets and removes overrides meanwhile.
func (w *world) deliver(db *store.DB, in *ingest.Ingest) {
	order := rapid.Permutation(w.sent).Draw(w.t, "order")
	for i := range w.sent {
		if rapid.IntRange(0, 3).Draw(w.t, "twice") == 0 {
			order = append(order, w.sent[i])
		}
	}
	acts := w.drawOverrides()
	var wg sync.WaitGroup
	wg.Go(func() { w.override(db, in, acts) })
	for c := range 4 {
		wg.Go(func() {
			for i := c; i < len(order); i += 4 {
				p, err := in.Prepare(order[i])
				if err != nil {
					w.t.Error(err)
					return
				}
				if o := in.Submit(p); o.Status != mirror.OutcomeProcessed && o.Status != mirror.OutcomeDuplicate {
					w.t.Errorf("%s: %v %v", order[i].Body, o.Status, o.Err)
				}
			}
		})
	}
	wg.Wait()
}

// verify reads from Clerk what is in the verify queue, until it is empty.
func (w *world) verify(db *store.DB, in *ingest.Ingest) {
	for range 20 {
		items, err := db.VerifyQueue(w.t.Context(), 500)
		if err != nil {
			w.t.Fatal(err)
		}
		if len(items) == 0 {
			return
		}
		for _, d := range items {
			at, err := in.ReadFence(w.t.Context())
			if err != nil {
				w.t.Fatal(err)
			}
			reading := ingest.Reading{Key: d.Key, ObservedAt: at.ObservedAt, Since: at.Since, ByID: true}
			found := map[clerk.Kind]map[string]object{
				clerk.KindUser: w.users, clerk.KindOrganization: w.orgs, clerk.KindSession: w.session, clerk.KindMembership: w.members,
				clerk.KindRole: w.roles, clerk.KindInvitation: w.invited, clerk.KindPermission: w.permits,
			}[d.Key.Kind][d.Key.ID]
			if found != nil && !w.deleted[d.Key.ID] {
				text, _ := json.Marshal(found)
				if reading.Body, err = clerk.Parse(text); err != nil {
					w.t.Fatal(err)
				}
			}
			if err := in.Apply(w.t.Context(), reading); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	w.t.Fatal("the verify queue does not drain")
}

// compare requires that the live views show exactly the model.
func (w *world) compare(db *store.DB) {
	ctx := w.t.Context()
	for id, u := range w.users {
		got, err := db.UserByClerkID(ctx, id)
		if w.gone(err, w.deleted[id], id) {
			continue
		}
		role, _ := u["public_metadata"].(object)["role"].(string)
		if role == "" || role == "nobody" {
			role = "solo"
		}
		role = cmp.Or(w.set[id+" role"], role)
		banned := cmp.Or(w.set[id+" banned"], strconv.FormatBool(u["banned"] == true)) == "true"
		if got.FirstName != u["first_name"] || got.Banned != banned || got.Role != role || got.Stub ||
			got.IsActive == (banned || u["deprovisioned"] == true) {
			w.t.Fatalf("user %s is %+v, want %v with %v", id, got, u, w.set)
		}
		w.compareOverrides(id, got.Overrides)
	}
	for id, o := range w.orgs {
		got, err := db.Organization(ctx, id)
		if !w.gone(err, w.deleted[id], id) && got.Name != o["name"] {
			w.t.Fatalf("organization %s is %q, want %v", id, got.Name, o)
		}
	}
	for id, s := range w.session {
		got, err := db.Session(ctx, id)
		if w.gone(err, w.deleted[s["user_id"].(string)], id) {
			continue
		}
		want := s["status"]
		if want == "active" { // else nothing is left to override
			want = cmp.Or(w.set[id+" status"], "active")
			w.compareOverrides(id, got.Overrides)
		}
		if string(got.Status) != want {
			w.t.Fatalf("session %s is %q, want %v", id, got.Status, s)
		}
	}
	for id, m := range w.members {
		user, org := m["public_user_data"].(object)["user_id"].(string), m["organization"].(object)["id"].(string)
		if w.deleted[id] {
			continue // another membership of the pair may be alive
		}
		got, err := db.Membership(ctx, user, org)
		if !w.gone(err, w.deleted[user] || w.deleted[org], id) && (got.Role != m["role"] || got.ClerkMembershipID != id || !w.mayAsIts(got)) {
			w.t.Fatalf("membership %s is %+v, want %v", id, got, m)
		}
	}
	w.compareInvitations(db)
}

func (w *world) gone(err error, deleted bool, id string) bool {
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		w.t.Fatal(err)
	}
	if (err != nil) != deleted {
		w.t.Fatalf("%s: deleted at Clerk %v, look-up says %v", id, deleted, err)
	}
	return deleted
}

// TestMirrorConverges is the promise of clerksync: any history, delivered in any order and
// repeatedly, ends in what Clerk has, once the verify queue was read.
func TestMirrorConverges(t *testing.T) {
	for _, engine := range testkit.Engines() {
		t.Run(engine, func(t *testing.T) {
			db := testkit.NewDatabase(t, engine).OpenFast(t)
			in := start(t, db)
			histories := 0
			rapid.Check(t, func(rt *rapid.T) {
				if histories++; engine == "postgres" && histories%10 != 1 {
					return
				}
				w := &world{
					t: rt, prefix: strconv.Itoa(histories), now: epoch, users: map[string]object{}, orgs: map[string]object{},
					members: map[string]object{}, session: map[string]object{}, deleted: map[string]bool{}, stale: map[string]object{},
					roles: map[string]object{}, invited: map[string]object{}, permits: map[string]object{},
					set: map[string]string{},
				}
				for range rapid.IntRange(3, 25).Draw(rt, "steps") {
					w.step()
				}
				w.deliver(db, in)
				w.override(db, in, w.drawOverrides())
				w.verify(db, in)
				w.compare(db)
				w.override(db, in, w.drawOverrides())
				w.compare(db)
			})
			t.Logf("%d histories", histories)
		})
	}
}

// start migrates a database and makes an Ingest on it.
func start(t *testing.T, db *store.DB) *ingest.Ingest {
	t.Helper()
	t.Cleanup(func() { _ = db.Close() })
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	in, err := ingest.New(t.Context(), ingest.Config{DB: db})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(in.Close)
	return in
}
