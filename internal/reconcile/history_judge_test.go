package reconcile_test

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/mirror"
)

// last delivers all waiting events, in any order.
func (s *side) last() {
	for len(s.waiting) > 0 {
		s.deliver(s.chance.IntN(len(s.waiting)), false)
	}
	for n := range s.late {
		s.apply(n)
	}
}

// judge reconciles once, and requires that the mirror equals Clerk. If nothing was lost, later
// events change nothing. (If the event of a deletion was lost, and no reconcile ever read the
// object, an older event brings it until the next reconcile.)
func (s *side) judge() {
	s.swept()
	for _, when := range []string{"after one reconcile", "after a second one, in which nothing is left to repair"} {
		report, err := s.r.Walk(s.ctx, mirror.ReconcileOptions{AllowMassDelete: true})
		if err != nil || !report.Complete() {
			s.Fatalf("%s, %s: %+v, %v", s.name, when, report, err)
		}
		s.sane()
		s.claims(when)
		fresh := s.fresh()
		s.equal(when, fresh)
		if s.loss == 0 && !s.lost {
			s.last()
			s.sane()
			s.equal(when+" and the last events", fresh)
		}
		if when != "after one reconcile" {
			for _, d := range report.Drift {
				if d.Kind != clerk.KindDomain && d.Kind != clerk.KindSession { // which the last events may queue
					s.Fatalf("%s: the first reconcile left %+v", s.name, d)
				}
			}
			continue
		}
		time.Sleep(11 * time.Minute)
	}
	for _, id := range s.promised {
		if d, err := s.db.Delivery(s.ctx, id); err != nil || d.State != mirror.DeliveryApplied && d.State != mirror.DeliveryIgnored {
			s.Fatalf("%s: %s was acknowledged and is %q, %v", s.name, id, d.State, err)
		}
	}
}

// swept requires that a sweep brings all changes of users, whatever was lost, once all users were
// read.
func (s *side) swept() {
	walks, err := s.db.Walks(s.ctx)
	must(s.T, err)
	if walks[string(clerk.KindUser)].CompleteAt == 0 {
		return
	}
	if _, err := s.r.Tick(s.ctx); err != nil {
		s.Fatalf("%s: a sweep: %v", s.name, err)
	}
	var users []struct {
		ID string
		At int64 `json:"updated_at"`
	}
	must(s.T, s.clerk.Call(s.ctx, "GET", "/v1/users?limit=500", nil, &users))
	have := map[string]string{}
	for _, line := range s.query("user", "SELECT clerk_user_id, sync_updated_at, 'x' FROM clerk_users") {
		have[strings.Fields(line)[1]] = strings.Fields(line)[2]
	}
	for _, u := range users {
		if at, _ := strconv.ParseInt(have[u.ID], 10, 64); at < u.At {
			s.Fatalf("%s: %s changed at %d, and after the sweep it is of %d", s.name, u.ID, u.At, at)
		}
	}
}

// fresh returns the rows of a new mirror after one backfill.
func (s *side) fresh() string {
	fresh := newSide(s.history, "", 500)
	defer fresh.db.Close()
	report, err := fresh.r.Backfill(s.ctx, nil)
	if err != nil || !report.Complete() {
		s.Fatalf("a backfill: %+v, %v", report, err)
	}
	return fresh.rows()
}

// equal compares the live views with Clerk, and the rows with those of a new mirror.
func (s *side) equal(when, fresh string) {
	s.showsOverrides(true)
	reader := maps.Clone(s.views)
	delete(reader, "session")
	delete(reader, "role") // the emulator leaves out seeded ones; rows below has them
	delete(reader, "subscription")
	if strings.HasPrefix(when, "after one") {
		delete(reader, "domain") // which a second walk must lack too
	}
	differences, err := s.clerk.Differences(s.ctx, reader)
	must(s.T, err)
	want, have := strings.Split(fresh, "\n"), strings.Split(s.rows(), "\n")
	for _, line := range have {
		second := strings.HasPrefix(when, "after a second")
		if !slices.Contains(want, line) && (second || !strings.HasPrefix(line, "domain ")) {
			differences = append(differences, "have "+line)
		}
	}
	for _, line := range want {
		if !slices.Contains(have, line) {
			differences = append(differences, "want "+line)
		}
	}
	if len(differences) > 0 {
		s.Fatalf("%s differs from Clerk %s:\n%s", s.name, when, strings.Join(differences, "\n"))
	}
}

func tables() map[string]clerk.Kind {
	return map[string]clerk.Kind{
		"user": clerk.KindUser, "organization": clerk.KindOrganization, "membership": clerk.KindMembership, "invitation": clerk.KindInvitation,
		"domain": clerk.KindDomain, "role": clerk.KindRole, "permission": clerk.KindPermission,
	}
}

// rows returns the rows of the live views: ids, versions, and digests of the stable projection.
func (s *side) rows() string {
	var lines []string
	for name := range tables() {
		lines = append(lines, s.query(name, "SELECT v.clerk_"+name+"_id, t.sync_updated_at, t.sync_digest FROM clerk_"+name+"s_live v JOIN clerk_"+
			name+"s t ON t.clerk_"+name+"_id = v.clerk_"+name+"_id")...)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func (s *side) query(name, text string) (lines []string) {
	rows, err := s.raw.QueryContext(s.ctx, text)
	must(s.T, err)
	defer rows.Close()
	for rows.Next() {
		var id, digest string
		var at int64
		must(s.T, rows.Scan(&id, &at, &digest))
		lines = append(lines, fmt.Sprint(name, " ", id, " ", at, " ", digest))
	}
	must(s.T, rows.Err())
	return lines
}

// sane checks what must hold at every moment: nothing that Clerk has is hidden, and nothing that it
// deleted comes back.
func (s *side) sane() {
	s.showsOverrides(false)
	for name, kind := range tables() {
		ids := s.ids(kind)
		hidden := map[string]bool{}
		for _, line := range s.query(name, "SELECT clerk_"+name+"_id, 0, 'x' FROM clerk_"+name+"s WHERE sync_hidden = 1") {
			id := strings.Fields(line)[1]
			hidden[id] = true
			if slices.Contains(ids, id) {
				s.Fatalf("%s: %s is hidden and exists at Clerk", s.name, line)
			}
			s.gone[id] = true
		}
		for id := range maps.Keys(s.gone) {
			if kindOf(id) == name && !hidden[id] {
				s.Fatalf("%s: %s came back", s.name, id)
			}
		}
	}
}

// kindOf returns the kind of an id by its prefix.
func kindOf(id string) string {
	prefix := id[:strings.LastIndex(id, "_")]
	return map[string]string{
		"user": "user", "org": "organization", "orgmem": "membership", "orginv": "invitation", "orgdmn": "domain", "role": "role", "perm": "permission",
	}[prefix]
}
