package converge

import (
	"cmp"
	"strings"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/row"
)

const oneSecond = 1000

// effect is what a merge did to a row.
type effect struct {
	save    bool     // the row has to be written
	changed bool     // the change feed has to get an entry
	fields  []string // names of what changed; nil for a new object
	queued  []string // reasons to verify that arose
	settled []string // reasons to verify that were settled
}

// Compare orders the versions of one object. It uses no arrival times and no clock, so the same
// version wins everywhere.
func Compare(a, b row.Version) int {
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

// merge applies one operation to a row. If exists is false, the row is new: zero but for its key.
// The outcome depends on the row and the operation alone, any order of the same operations ends in
// the same row, and repeating one changes nothing.
func merge(r *row.Row, exists bool, op *Operation) effect {
	before := *r
	var e effect
	switch {
	case op.Action == Tombstone:
		tombstone(r, op)
	case op.Action == NotFound:
		r.GoneAt = max(r.GoneAt, op.At)
	case op.Action == Accept:
		e.fields = accept(r, op)
		e.changed = true
	case r.Tombstoned: // only an operator brings back what Clerk deleted
		return e
	default:
		e.fields = join(r, op)
		e.changed = len(e.fields) > 0
		if op.Rank == row.Full {
			r.SeenAt = max(r.SeenAt, op.ObservedAt)
			r.ReadAfter = max(r.ReadAfter, op.ReadAfter)
		}
		r.HintAt = max(r.HintAt, op.HintAt)
		if tied(&before, op) || tiedProvision(&before, op) {
			e.queued = append(e.queued, ReasonTie)
		}
		if !exists || Compare(op.Version, r.Version) > 0 {
			replaced := replace(r, op)
			e.fields = append(e.fields, replaced...)
			completed := before.Stub() && !r.Stub() // it is created only now, even if the stub knew all of it
			e.changed = e.changed || !exists || completed || before.Digest != r.Digest
		}
	}
	if r.Overrides != "" && (r.Tombstoned || r.Terminal) {
		r.Overrides = "" // nothing is left to override
		e.fields = append(e.fields, "overrides")
	}
	if !exists || r.Hidden() != before.Hidden() {
		e.changed = true
	}
	e.noteReasons(&before, r, exists)
	e.save = !exists || !same(&before, r)
	if !exists {
		e.fields = nil
	}
	return e
}

// tombstone makes a row a tombstone. The body stays until erasure. The parents are kept even if no
// body ever came.
func tombstone(r *row.Row, op *Operation) {
	if !r.Tombstoned || r.DeletedAt == 0 || op.At > 0 && op.At < r.DeletedAt {
		r.DeletedAt = op.At
	}
	r.Tombstoned = true
	r.UserID = cmp.Or(r.UserID, op.UserID)
	r.OrganizationID = cmp.Or(r.OrganizationID, op.OrganizationID)
}

// accept sets the row to what the operation says. It removes what deleted the row, and what earlier
// bodies left in the joined facts.
func accept(r *row.Row, op *Operation) (fields []string) {
	r.Tombstoned, r.DeletedAt, r.GoneAt = false, 0, 0
	r.SeenAt = max(r.SeenAt, op.ObservedAt)
	r.HintAt = 0
	if r.BannedAt != op.BannedAt {
		fields = append(fields, "banned_at") // other sessions are revoked than before
	}
	r.SignedInAt, r.ActiveAt, r.BannedAt = op.SignedInAt, op.ActiveAt, op.BannedAt
	if op.Provision != nil {
		r.Provision = *op.Provision
	}
	return append(fields, replace(r, op)...)
}

// join raises the facts that only grow, whichever version they come with.
func join(r *row.Row, op *Operation) (fields []string) {
	for _, fact := range []struct {
		name string
		have *clerk.Time
		said clerk.Time
	}{
		{"last_login_at", &r.SignedInAt, op.SignedInAt},
		{"last_active_at", &r.ActiveAt, op.ActiveAt},
		{"banned_at", &r.BannedAt, op.BannedAt},
	} {
		if fact.said > *fact.have {
			*fact.have = fact.said
			fields = append(fields, fact.name)
		}
	}
	if said := op.Provision; said != nil && said.Compare(r.Provision) > 0 {
		if said.Deprovisioned != r.Provision.Deprovisioned {
			fields = append(fields, "deprovisioned")
		}
		r.Provision = *said
	}
	return fields
}

// replace gives the row the operation's body and version, and returns the names of the stable
// fields that differ.
func replace(r *row.Row, op *Operation) (fields []string) {
	old := r.Body()
	r.Version, r.Read, r.Erased = op.Version, op.Read, r.Erased || op.Erased
	r.UserID, r.OrganizationID = op.UserID, op.OrganizationID
	r.SetBody(op.Body, op.Raw)
	for name, v := range op.Body.All() {
		if stable(r.Kind, name) && !old.Get(name).Equal(v) {
			fields = append(fields, name)
		}
	}
	for name := range old.All() {
		if stable(r.Kind, name) && !op.Body.Get(name).Exists() {
			fields = append(fields, name)
		}
	}
	return fields
}

// tied reports whether the stored body and the operation's are of the same age and differ, and
// nothing shows which is right. The version then decides the same way everywhere, but perhaps
// wrongly.
func tied(r *row.Row, op *Operation) bool {
	if op.Rank != row.Full || r.Rank != row.Full || op.Terminal != r.Terminal || op.UpdatedAt != r.UpdatedAt ||
		op.Revision != r.Revision || op.Digest == r.Digest {
		return false
	}
	apart := op.ObservedAt - r.ObservedAt
	later := op.Read
	if apart < 0 {
		apart, later = -apart, r.Read
	}
	// a read that is a second younger saw the newer state, and so did the younger of two events
	bothEvents := !op.Read && !r.Read
	return apart < oneSecond || !later && !bothEvents
}

// tiedProvision reports whether the row and the operation disagree about the directory in one
// version of the user, and only a read that is a second younger could show which is right.
func tiedProvision(r *row.Row, op *Operation) bool {
	said, had := op.Provision, r.Provision
	if said == nil || op.Rank != row.Full || had == (row.Provision{}) || said.UpdatedAt != had.UpdatedAt ||
		said.Deprovisioned == had.Deprovisioned {
		return false
	}
	return !op.Read || said.ObservedAt-had.ObservedAt < oneSecond
}

// same reports whether nothing that is stored differs.
func same(a, b *row.Row) bool {
	return a.Version == b.Version && a.Read == b.Read && a.Tombstoned == b.Tombstoned && a.DeletedAt == b.DeletedAt &&
		a.Erased == b.Erased && a.SeenAt == b.SeenAt && a.GoneAt == b.GoneAt && a.HintAt == b.HintAt && a.ReadAfter == b.ReadAfter &&
		a.UserID == b.UserID && a.OrganizationID == b.OrganizationID &&
		a.SignedInAt == b.SignedInAt && a.ActiveAt == b.ActiveAt && a.BannedAt == b.BannedAt && a.Provision == b.Provision && a.Raw == b.Raw &&
		a.Overrides == b.Overrides
}
