package converge

import (
	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/row"
)

// Reasons for which an object waits in the verify queue.
const (
	ReasonStub      = "stub"         // seen only inside other objects
	ReasonHint      = "hint"         // an embedded copy claimed to be newer
	ReasonTie       = "tie"          // nothing shows which of two versions is newer
	ReasonBan       = "ban"          // a session that was created in the millisecond of a ban
	ReasonRole      = "role_renamed" // its role key is one that a role had before, or that no role has
	ReasonAmbiguous = "ambiguous"    // another live row has the same address
	ReasonAltered   = "altered"      // something other than clerksync has written its row
	ReasonHook      = "hook_failed"  // the application's OnChange refused a newer state of it
	ReasonWrite     = "write"        // whether Clerk made a change that an operator asked for is not known
	ReasonLate      = "late"         // an event brought it that may be older than a walk without it
)

// Readable reports whether Clerk returns one object of the kind by id. Only those can be in the
// verify queue.
func Readable(kind clerk.Kind) bool {
	switch kind {
	case clerk.KindUser, clerk.KindSession, clerk.KindOrganization, clerk.KindRole, clerk.KindPermission, clerk.KindMembership, clerk.KindInvitation:
		return true
	default:
		return false
	}
}

// Holds reports whether a reason to verify a row still holds. Only the row decides about stubs and
// hints. All other reasons hold until a read.
func Holds(reason string, r *row.Row) bool {
	switch reason {
	case ReasonStub:
		return !r.Tombstoned && r.Stub()
	case ReasonHint:
		return !r.Tombstoned && !r.Stub() && r.HintAt > r.UpdatedAt
	default:
		return true
	}
}

// noteReasons compares which reasons to verify a row held before the merge and hold after it.
func (e *effect) noteReasons(before, after *row.Row, existed bool) {
	for _, reason := range [...]string{ReasonStub, ReasonHint} {
		held, holds := existed && Holds(reason, before), Holds(reason, after)
		switch {
		case holds && (!held || reason == ReasonHint && after.HintAt > before.HintAt):
			e.queued = append(e.queued, reason)
		case held && !holds:
			e.settled = append(e.settled, reason)
		}
	}
}
