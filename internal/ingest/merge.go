package ingest

import (
	"cmp"
	"strings"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
)

// Reasons for which an object waits in the verify queue.
const (
	doubtStub  = "stub"         // seen only inside other objects
	doubtHint  = "hint"         // an embedded copy claimed to be newer
	doubtTie   = "tie"          // two versions whose order can not be told
	doubtBan   = "ban"          // a session created in the millisecond of a ban
	doubtRole  = "role_renamed" // the key of its role is one that a role had before, or that no role has
	doubtClash = "ambiguous"    // another live row has the same address
	doubtHand  = "altered"      // something else than clerksync has written its row
	doubtLate  = "late"         // an event brought it that may be older than a walk which did not find it
	oneSecond  = 1000
)

// effect is what a merge did to a row.
type effect struct {
	save    bool     // the row has to be written
	changed bool     // consumers of the feed have to hear of it
	deleted bool     // … as a deletion
	fields  []string // what changed; nil for a new object
	queued  []string // reasons for a doubt that arose
	settled []string // … that were settled
}

// compare orders the versions of one object. It knows no arrival times and no clock, so
// that whoever wins here wins everywhere.
func compare(a, b store.Version) int {
	return cmp.Or(
		compareBool(a.Terminal, b.Terminal), cmp.Compare(a.Rank, b.Rank), cmp.Compare(a.UpdatedAt, b.UpdatedAt),
		cmp.Compare(a.ObservedAt, b.ObservedAt), cmp.Compare(a.Revision, b.Revision), strings.Compare(a.Digest, b.Digest),
	)
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// merge applies one operation to a row, which is new (zero but for its key) if exists is
// false. It is pure: the outcome depends on nothing but the row and the operation, any
// order of the same operations ends in the same row, and repeating one changes nothing.
func merge(stored *store.Row, exists bool, op *operation) effect {
	before := *stored
	var e effect
	switch {
	case op.do == tombstone:
		bury(stored, op)
	case op.do == absence:
		stored.GoneAt = max(stored.GoneAt, op.at)
	case op.do == acceptance:
		e.fields = accept(stored, op)
		e.changed = true
	case stored.Tombstoned: // nothing else brings back what Clerk deleted
		return e
	default:
		e.fields = join(stored, op)
		e.changed = len(e.fields) > 0
		if op.Rank == row.Full {
			stored.SeenAt = max(stored.SeenAt, op.ObservedAt)
			stored.ReadAfter = max(stored.ReadAfter, op.readAfter)
		}
		stored.HintAt = max(stored.HintAt, op.hintAt)
		if tied(&before, op) || tiedProvision(&before, op) {
			e.queued = append(e.queued, doubtTie)
		}
		if !exists || compare(op.Version, stored.Version) > 0 {
			replaced := replace(stored, op)
			e.fields = append(e.fields, replaced...)
			e.changed = e.changed || !exists || before.Digest != stored.Digest
		}
	}
	if hidden := stored.Hidden(); !exists || hidden != before.Hidden() {
		e.changed, e.deleted = true, hidden
	}
	e.doubts(&before, stored, exists)
	e.save = !exists || !same(&before, stored)
	if !exists {
		e.fields = nil
	}
	return e
}

// bury makes a row a tombstone. The body stays until erasure; the parents are kept even
// if no body ever came.
func bury(stored *store.Row, op *operation) {
	if !stored.Tombstoned || stored.DeletedAt == 0 || op.at > 0 && op.at < stored.DeletedAt {
		stored.DeletedAt = op.at
	}
	stored.Tombstoned = true
	stored.UserID = cmp.Or(stored.UserID, op.user)
	stored.OrganizationID = cmp.Or(stored.OrganizationID, op.company)
}

// accept sets the row to what the operation says, takes back what the body it had has left in joined facts, and what
// deleted it.
func accept(stored *store.Row, op *operation) (fields []string) {
	stored.Tombstoned, stored.DeletedAt, stored.GoneAt = false, 0, 0
	stored.SeenAt = max(stored.SeenAt, op.ObservedAt)
	stored.HintAt = 0
	stored.SignedInAt, stored.ActiveAt, stored.BannedAt = op.signedInAt, op.activeAt, op.bannedAt
	if op.provision != nil {
		stored.Provision = *op.provision
	}
	return replace(stored, op)
}

// join raises the facts that only grow, whichever version they come with.
func join(stored *store.Row, op *operation) (fields []string) {
	for _, fact := range []struct {
		name string
		have *clerk.Time
		said clerk.Time
	}{
		{"last_login_at", &stored.SignedInAt, op.signedInAt},
		{"last_active_at", &stored.ActiveAt, op.activeAt},
		{"banned_at", &stored.BannedAt, op.bannedAt},
	} {
		if fact.said > *fact.have {
			*fact.have = fact.said
			fields = append(fields, fact.name)
		}
	}
	if said := op.provision; said != nil && said.Compare(stored.Provision) > 0 {
		if said.Deprovisioned != stored.Provision.Deprovisioned {
			fields = append(fields, "deprovisioned")
		}
		stored.Provision = *said
	}
	return fields
}

// replace gives the row the operation's body and version, and names the stable fields
// that differ.
func replace(stored *store.Row, op *operation) (fields []string) {
	old := stored.Body()
	stored.Version, stored.Read, stored.Erased = op.Version, op.read, stored.Erased || op.erased
	stored.UserID, stored.OrganizationID = op.user, op.company
	stored.SetBody(op.body, op.raw)
	for name, v := range op.body.All() {
		if stable(stored.Kind, name) && !old.Get(name).Equal(v) {
			fields = append(fields, name)
		}
	}
	for name := range old.All() {
		if stable(stored.Kind, name) && !op.body.Get(name).Exists() {
			fields = append(fields, name)
		}
	}
	return fields
}

// tied reports whether the stored body and the operation's are of the same age and differ,
// with nothing to tell which is right: the version settles it alike everywhere, but
// perhaps wrongly.
func tied(stored *store.Row, op *operation) bool {
	if op.Rank != row.Full || stored.Rank != row.Full || op.Terminal != stored.Terminal || op.UpdatedAt != stored.UpdatedAt ||
		op.Revision != stored.Revision || op.Digest == stored.Digest {
		return false
	}
	apart := op.ObservedAt - stored.ObservedAt
	later := op.read
	if apart < 0 {
		apart, later = -apart, stored.Read
	}
	// a read that is a second younger saw the newer state, and so did the younger of two events
	bothEvents := !op.read && !stored.Read
	return apart < oneSecond || !later && !bothEvents
}

// tiedProvision reports whether the row and the operation disagree about the directory in one version of the user, and
// nothing but a read that is a second younger could tell which is right.
func tiedProvision(stored *store.Row, op *operation) bool {
	said, had := op.provision, stored.Provision
	if said == nil || op.Rank != row.Full || had == (row.Provision{}) || said.UpdatedAt != had.UpdatedAt || said.Deprovisioned == had.Deprovisioned {
		return false
	}
	return !op.read || said.ObservedAt-had.ObservedAt < oneSecond
}

// doubts compares what was doubtful about the row before and what is now.
func (e *effect) doubts(before, after *store.Row, existed bool) {
	for _, d := range []struct {
		reason string
		holds  func(*store.Row) bool
	}{
		{doubtStub, func(r *store.Row) bool { return !r.Tombstoned && r.Rank < row.Full }},
		{doubtHint, func(r *store.Row) bool { return !r.Tombstoned && r.Rank == row.Full && r.HintAt > r.UpdatedAt }},
	} {
		was, is := existed && d.holds(before), d.holds(after)
		switch {
		case is && (!was || d.reason == doubtHint && after.HintAt > before.HintAt):
			e.queued = append(e.queued, d.reason)
		case was && !is:
			e.settled = append(e.settled, d.reason)
		}
	}
}

// same reports whether nothing that is stored differs.
func same(a, b *store.Row) bool {
	return a.Version == b.Version && a.Read == b.Read && a.Tombstoned == b.Tombstoned && a.DeletedAt == b.DeletedAt &&
		a.Erased == b.Erased && a.SeenAt == b.SeenAt && a.GoneAt == b.GoneAt && a.HintAt == b.HintAt && a.ReadAfter == b.ReadAfter &&
		a.UserID == b.UserID && a.OrganizationID == b.OrganizationID &&
		a.SignedInAt == b.SignedInAt && a.ActiveAt == b.ActiveAt && a.BannedAt == b.BannedAt && a.Provision == b.Provision && a.Raw == b.Raw
}
