package converge

import (
	"slices"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/row"
)

// NoRead stands for the write counter of a read where there is no read: it is older than every
// write.
const NoRead = -1

// Rows gives a delta the rows that it starts from.
type Rows interface {
	// Row returns the row of an object and whether it exists. It returns nil for a row that was not
	// loaded. The delta does not change the row.
	Row(key row.Key) (r *row.Row, exists bool)
}

// Draft is a copy of a row as a delta leaves it.
type Draft struct {
	Row    row.Row
	Exists bool
	Save   bool // the delta changed it
}

// RoleChange is a user or a membership that got another role.
type RoleChange struct {
	Key                    row.Key
	UserID, OrganizationID string // parents of a membership
	Was, Became            string
}

// Appearance is an object that an operation made visible without a read of it.
type Appearance struct {
	Key     row.Key
	Revived bool // it had been hidden
}

// Carrier is a membership or an invitation that was written. It carries the key of a role.
type Carrier struct {
	Key   row.Key
	Since int64 // the head's write counter from before the read of it was sent, or NoRead
}

// Effects is what follows from operations besides the rows.
type Effects struct {
	Changes     []row.Change
	Queued      []row.VerifyItem
	Settled     []row.VerifyItem
	RoleChanges []RoleChange
	Appeared    []Appearance
	Banned      []row.Key // users whose latest ban moved

	RoleKeys    []row.KeyOfRole // keys that versions of roles had, also of versions that lost
	KeysChanged []string        // keys of roles that may now mean something else
	Carriers    []Carrier

	Turned     []row.Key // users and organizations that became hidden or visible, or tombstones
	Moved      []row.Key // rows that got another parent
	Tombstoned []row.Key // rows that became tombstones
	Released   []row.Key // rows whose overrides ended, because nothing is left to override
}

// Delta is what one event or one read changes. It changes copies of the rows, so a caller can drop
// it when an operation fails. A Delta can be used again after Reset.
type Delta struct {
	Effects
	Drafts []Draft // in the order of first touch
	Since  int64   // the head's write counter from before the read was sent, or NoRead

	rows   Rows
	ladder []string // by which roles are derived
	index  map[row.Key]int
}

// NewDelta returns an empty delta. ladder is the role ladder by which the roles of users are
// derived.
func NewDelta(rows Rows, ladder []string) *Delta {
	return &Delta{rows: rows, ladder: ladder, index: map[row.Key]int{}, Since: NoRead}
}

// Reset empties the delta and keeps its memory, and Since.
func (d *Delta) Reset() {
	clear(d.index)
	d.Drafts = d.Drafts[:0]
	d.Effects.reset()
}

func (e *Effects) reset() {
	e.Changes, e.Queued, e.Settled = e.Changes[:0], e.Queued[:0], e.Settled[:0]
	e.RoleChanges, e.Appeared, e.Banned = e.RoleChanges[:0], e.Appeared[:0], e.Banned[:0]
	e.RoleKeys, e.KeysChanged, e.Carriers = e.RoleKeys[:0], e.KeysChanged[:0], e.Carriers[:0]
	e.Turned, e.Moved, e.Tombstoned, e.Released = e.Turned[:0], e.Moved[:0], e.Tombstoned[:0], e.Released[:0]
}

// Add appends the effects of a delta.
func (e *Effects) Add(d *Effects) {
	e.Changes = append(e.Changes, d.Changes...)
	e.Queued = append(e.Queued, d.Queued...)
	e.Settled = append(e.Settled, d.Settled...)
	e.RoleChanges = append(e.RoleChanges, d.RoleChanges...)
	e.Appeared = append(e.Appeared, d.Appeared...)
	e.Banned = append(e.Banned, d.Banned...)
	e.RoleKeys = append(e.RoleKeys, d.RoleKeys...)
	for _, key := range d.KeysChanged {
		e.addChangedKey(key)
	}
	e.Carriers = append(e.Carriers, d.Carriers...)
	e.Turned = append(e.Turned, d.Turned...)
	e.Moved = append(e.Moved, d.Moved...)
	e.Tombstoned = append(e.Tombstoned, d.Tombstoned...)
	e.Released = append(e.Released, d.Released...)
}

func (e *Effects) addChangedKey(key string) {
	if key != "" && !slices.Contains(e.KeysChanged, key) {
		e.KeysChanged = append(e.KeysChanged, key)
	}
}

// Row returns a row as the delta leaves it. It is only valid until the next operation.
func (d *Delta) Row(key row.Key) (r *row.Row, exists bool) {
	if i, drafted := d.index[key]; drafted {
		return &d.Drafts[i].Row, d.Drafts[i].Exists
	}
	return d.rows.Row(key)
}

func (d *Delta) draft(key row.Key) *Draft {
	i, drafted := d.index[key]
	if !drafted {
		i = len(d.Drafts)
		d.index[key] = i
		stored, exists := d.rows.Row(key)
		d.Drafts = append(d.Drafts, Draft{Row: *stored, Exists: exists})
	}
	return &d.Drafts[i]
}

// Apply merges one operation.
func (d *Delta) Apply(op *Operation) {
	draft := d.draft(op.Key)
	r, existed := &draft.Row, draft.Exists
	if op.Action == NotFound && !existed {
		return // nothing to hide
	}
	roleBefore := d.roleOf(draft)
	before := *r
	e := merge(r, existed, op)
	draft.Exists, draft.Save = existed || e.save, draft.Save || e.save
	d.noteAppearance(op, &before, existed, r)
	if e.changed {
		d.Changes = append(d.Changes, r.Change(operationOf(&before, existed, r), e.fields))
	}
	d.noteVerify(op, r, &e)
	d.noteRoleKeys(op, &before, r, e.save)
	d.noteParents(&before, existed, r)
	if r.Overrides != before.Overrides {
		d.Released = append(d.Released, op.Key)
	}
	if r.BannedAt > before.BannedAt {
		d.Banned = append(d.Banned, op.Key)
	}
	// a role that became empty belongs to a deleted object: that is no change of its role
	if role := d.roleOf(draft); roleBefore != "" && role != "" && role != roleBefore {
		d.RoleChanges = append(d.RoleChanges, RoleChange{op.Key, r.UserID, r.OrganizationID, roleBefore, role})
	}
}

// operationOf returns what happened to an object, for the change feed. An object of which only the
// id is known is not created yet.
func operationOf(before *row.Row, existed bool, after *row.Row) string {
	switch {
	case after.Hidden():
		return row.OpDeleted
	case !after.Stub() && (!existed || before.Stub() || before.Hidden()):
		return row.OpCreated
	default:
		return row.OpUpdated
	}
}

// roleOf returns the role of a full user or membership, "" for anything else.
func (d *Delta) roleOf(draft *Draft) string {
	switch r := &draft.Row; {
	case !draft.Exists || r.Tombstoned || r.Stub():
	case r.Kind == clerk.KindUser:
		return r.UserRole(d.ladder).Role
	case r.Kind == clerk.KindMembership:
		return row.RoleKey(r.Body().Get("role").String())
	}
	return ""
}

// noteAppearance notes an object that became visible without a read of it.
func (d *Delta) noteAppearance(op *Operation, before *row.Row, existed bool, after *row.Row) {
	switch {
	case op.Action != Upsert || op.Rank < row.Full || op.ReadAfter > 0 || after.Hidden():
	case existed && before.Hidden():
		d.Appeared = append(d.Appeared, Appearance{op.Key, true})
	case !existed || before.Stub():
		d.Appeared = append(d.Appeared, Appearance{op.Key, false})
	}
}

// noteVerify notes what the verify queue gains and loses.
func (d *Delta) noteVerify(op *Operation, r *row.Row, e *effect) {
	for _, reason := range e.queued {
		if Readable(op.Key.Kind) { // no read could ever settle the others
			d.Queued = append(d.Queued, row.VerifyItem{Key: op.Key, Reason: reason})
		}
	}
	for _, reason := range e.settled {
		d.Settled = append(d.Settled, row.VerifyItem{Key: op.Key, Reason: reason})
	}
	if d.createdAtBan(op, r) {
		d.Queued = append(d.Queued, row.VerifyItem{Key: op.Key, Reason: ReasonBan})
	}
}

// createdAtBan reports whether a session was created in the very millisecond of its user's ban, so
// that it is not known which came first. A read has seen the outcome. A ban that comes after the
// session is looked up when the batch is saved.
func (d *Delta) createdAtBan(op *Operation, r *row.Row) bool {
	if op.Key.Kind != clerk.KindSession || op.Read || r.Terminal || r.Hidden() {
		return false
	}
	user, _ := d.Row(row.Key{Kind: clerk.KindUser, ID: r.UserID})
	return user != nil && user.BannedAt != 0 && user.BannedAt == r.Body().Get("created_at").Time()
}

// noteRoleKeys notes what bears on the keys of roles.
func (d *Delta) noteRoleKeys(op *Operation, before, after *row.Row, written bool) {
	switch op.Key.Kind {
	case clerk.KindRole:
		said := op.Body.Get("key").String()
		if said != "" {
			d.RoleKeys = append(d.RoleKeys, row.KeyOfRole{RoleID: op.Key.ID, Key: said})
		}
		for _, key := range [...]string{said, before.Body().Get("key").String(), after.Body().Get("key").String()} {
			d.addChangedKey(row.RoleKey(key))
		}
	case clerk.KindMembership, clerk.KindInvitation:
		if written && !after.Hidden() {
			d.Carriers = append(d.Carriers, Carrier{op.Key, d.Since})
		}
	default: // carries no role
	}
}

// noteParents notes what bears on which rows are hidden by others.
func (d *Delta) noteParents(before *row.Row, existed bool, after *row.Row) {
	died := after.Tombstoned && !before.Tombstoned
	if died {
		d.Tombstoned = append(d.Tombstoned, after.Key)
	}
	wasHidden := existed && before.Hidden()
	switch {
	case after.Kind == clerk.KindUser || after.Kind == clerk.KindOrganization:
		if wasHidden != after.Hidden() || died {
			d.Turned = append(d.Turned, after.Key)
		}
	case existed && (before.UserID != after.UserID || before.OrganizationID != after.OrganizationID) && row.HasParents(after.Kind):
		d.Moved = append(d.Moved, after.Key)
	}
}
