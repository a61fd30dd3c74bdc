package emulator

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/clerksync/clerksync/clerk"
)

// Ledger records every state that the objects of an instance had. So a copy that claims to have
// everything up to a time can be checked while the instance changes. It is not safe for concurrent
// use.
type Ledger struct {
	emulator *Emulator
	objects  map[string][]objectState // by "kind id"
}

// objectState is the state of an object from a time on. A deleted object has no facts.
type objectState struct {
	from  time.Time
	facts Facts
	text  string // of the facts
}

// Acknowledged has the newest states whose events were answered 2xx, by "kind id".
type Acknowledged map[string]ackedState

type ackedState struct {
	updatedAt int64
	deleted   bool
}

// NewLedger returns a ledger of an instance that begins with what it has now.
func NewLedger(e *Emulator) *Ledger {
	l := &Ledger{e, map[string][]objectState{}}
	l.Note()
	return l
}

// ledgerKinds returns the kinds that Clerk lists, by the name of the facts.
func ledgerKinds() map[string]clerk.Kind {
	return map[string]clerk.Kind{
		"user": clerk.KindUser, "organization": clerk.KindOrganization, "membership": clerk.KindMembership,
		"invitation": clerk.KindInvitation, "domain": clerk.KindDomain, "role": clerk.KindRole, "permission": clerk.KindPermission,
	}
}

// Note records what has changed since the last call. It must be called after every change.
func (l *Ledger) Note() {
	now, seen := l.emulator.Now(), map[string]bool{}
	for name, all := range l.emulator.listedFacts() {
		for id, facts := range all {
			key, text := name+" "+id, canonical(facts)
			seen[key] = true
			states := l.objects[key]
			if n := len(states); n == 0 || states[n-1].text != text {
				l.objects[key] = append(states, objectState{now, facts, text})
			}
		}
	}
	for key, states := range l.objects {
		if !seen[key] && states[len(states)-1].facts != nil {
			l.objects[key] = append(states, objectState{from: now})
		}
	}
}

// listedFacts returns the facts of everything that Clerk lists.
func (e *Emulator) listedFacts() map[string]map[string]Facts {
	e.mu.Lock()
	defer e.mu.Unlock()
	return map[string]map[string]Facts{
		"user": e.userFacts(), "organization": e.organizationFacts(), "membership": e.membershipFacts(),
		"invitation": e.invitationFacts(), "domain": e.domainFacts(), "role": e.roleFacts(), "permission": e.permissionFacts(),
	}
}

// Add records that an event was answered 2xx.
func (a Acknowledged) Add(body []byte) error {
	var event struct {
		Type string
		Data struct {
			ID        string
			UpdatedAt int64 `json:"updated_at"`
		}
	}
	if err := json.Unmarshal(body, &event); err != nil {
		return fmt.Errorf("read an event: %w", err)
	}
	kind, _ := clerk.KindOfEvent(event.Type)
	for name, k := range ledgerKinds() {
		if k == kind {
			key := name + " " + event.Data.ID
			s := a[key]
			a[key] = ackedState{max(s.updatedAt, event.Data.UpdatedAt), s.deleted || strings.HasSuffix(event.Type, ".deleted")}
		}
	}
	return nil
}

// Claim says that a copy has every change that was made before a time, and everything that was
// acknowledged.
type Claim struct {
	Before       time.Time
	Acknowledged Acknowledged
	// Except reports objects about which the claim says nothing, such as rows that were edited by
	// hand since. It may be nil.
	Except func(key string) bool
}

// Check returns what contradicts a claim, in words.
func (l *Ledger) Check(ctx context.Context, copied Reader, c Claim) (wrong []string, err error) {
	have := map[string]Facts{}
	for name := range ledgerKinds() {
		if err := copied[name](ctx, func(id string, f Facts) { have[name+" "+id] = f }); err != nil {
			return nil, fmt.Errorf("read every %s: %w", name, err)
		}
	}
	for key, states := range l.objects {
		if c.Except == nil || !c.Except(key) {
			facts, shown := have[key]
			wrong = append(wrong, l.contradiction(key, states, facts, shown, c)...)
		}
	}
	for key := range have {
		if _, ever := l.objects[key]; !ever && !l.silent(key) {
			wrong = append(wrong, key+" is shown and never existed")
		}
	}
	slices.Sort(wrong)
	return wrong, nil
}

// silent reports whether the facts leave out unchanged objects of that kind: roles and permissions
// that exist from the start.
func (*Ledger) silent(key string) bool {
	return strings.HasPrefix(key, "role ") || strings.HasPrefix(key, "permission ")
}

func (l *Ledger) contradiction(key string, states []objectState, have Facts, shown bool, c Claim) []string {
	var least *objectState // the state that the copy must have at least
	for i := range states {
		if states[i].from.Before(c.Before) {
			least = &states[i]
		}
	}
	last, acked := states[len(states)-1], c.Acknowledged[key]
	switch {
	case shown && (acked.deleted || least != nil && least.facts == nil):
		return []string{key + " is shown, though it was deleted"}
	case !shown && last.facts != nil && least != nil && least.facts != nil:
		return []string{key + " is missing"}
	case !shown && last.facts != nil && acked.updatedAt > 0 && !l.hasParent(key): // its parent may be deleted
		return []string{key + " is missing, though its event was acknowledged"}
	case !shown:
		return nil
	case number(have["updated_at"]) < acked.updatedAt && have["updated_at"] != nil:
		return []string{key + " is older than an event that was acknowledged"}
	case least == nil:
		return nil
	case l.settled(key, c.Before):
		return factDifferences(key, least.facts, have)
	case number(have["updated_at"]) < number(least.facts["updated_at"]):
		return []string{key + " is older than the change before the walk"}
	}
	return nil
}

func (*Ledger) hasParent(key string) bool {
	return strings.HasPrefix(key, "membership ") || strings.HasPrefix(key, "invitation ") || strings.HasPrefix(key, "domain ")
}

// settled reports whether an object, and what its facts depend on, did not change since a time.
func (l *Ledger) settled(key string, since time.Time) bool {
	changed := func(key string) bool {
		states := l.objects[key]
		return !states[len(states)-1].from.Before(since)
	}
	if changed(key) {
		return false
	}
	if !strings.HasPrefix(key, "membership ") && !strings.HasPrefix(key, "role ") {
		return true
	}
	for other := range l.objects { // permissions depend on roles
		if l.silent(other) && changed(other) {
			return false
		}
	}
	return true
}

func factDifferences(key string, want, have Facts) (wrong []string) {
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if x, y := canonical(want[name]), canonical(have[name]); x != y {
			wrong = append(wrong, fmt.Sprintf("%s: %s is %s, at Clerk %s", key, name, y, x))
		}
	}
	return wrong
}

// number returns a fact that is a time, or 0.
func number(v any) int64 {
	var n int64
	if err := json.Unmarshal([]byte(canonical(v)), &n); err != nil {
		return 0
	}
	return n
}
