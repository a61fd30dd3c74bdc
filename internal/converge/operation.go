package converge

import (
	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/row"
)

// Action is what an operation does to a row.
type Action uint8

// The actions.
const (
	Upsert    Action = iota
	Tombstone        // Clerk said that the object is deleted: permanent
	NotFound         // a read by id did not find the object: hides the row until it is seen again
	Accept           // an operator takes what was read as right, whatever its version
)

// Operation is what one event or read says about one object.
type Operation struct {
	Key    row.Key
	Action Action
	row.Version
	Read bool // it comes from a read, not from an event

	At        clerk.Time // of a Tombstone or NotFound: when
	ReadAfter int64      // as in row.Row; 0: no read found the object
	HintAt    clerk.Time // the updated_at that an embedded copy claims
	Erased    bool       // the body was reduced, because it is about a user who was erased
	Body      clerk.Value
	Raw       string // the encoding of Body, made ahead of the commit

	UserID, OrganizationID string // parents

	SignedInAt, ActiveAt, BannedAt clerk.Time     // joined facts of users
	Provision                      *row.Provision // nil: the object does not carry the flag
}

// dayMillis bounds how far a joined fact may lie after its observation. Joined facts only grow, so
// one wrong maximum would stay permanently.
const dayMillis = 24 * 3600 * 1000

// FromEvent derives an event's operations. raw is the encoding of the event's data. rejected counts
// joined facts that were nonsense.
func FromEvent(e *clerk.Event, raw string) (ops []Operation, rejected int) {
	b := opBuilder{observedAt: e.OccurredAt}
	if e.Deleted {
		op := Operation{Key: row.Key{Kind: e.Kind, ID: e.ID}, Action: Tombstone, At: e.OccurredAt}
		op.UserID, op.OrganizationID = Parents(e.Kind, e.Data)
		return []Operation{op}, 0
	}
	b.ops = append(b.ops, b.object(e.Kind, e.ID, e.Data, raw))
	b.addEmbedded(e.Kind, e.ID, e.Data)
	if e.Kind == clerk.KindSession {
		b.addSignIn(e)
	}
	return b.ops, b.rejected
}

// FromRead derives the operation of an object that was read. readAfter is the head's write counter
// from before the read was sent, or 0.
func FromRead(key row.Key, body clerk.Value, raw string, observedAt clerk.Time, readAfter int64) Operation {
	b := opBuilder{observedAt: observedAt, read: true, readAfter: readAfter}
	return b.object(key.Kind, key.ID, body, raw)
}

// EmbeddedIn derives the operations of what is embedded in an object that was read. It leaves out
// copies of objects for which known returns true; known may be nil.
func EmbeddedIn(op *Operation, known func(row.Key) bool) []Operation {
	b := opBuilder{observedAt: op.ObservedAt, read: true, known: known}
	b.addEmbedded(op.Key.Kind, op.Key.ID, op.Body)
	return b.ops
}

// opBuilder makes the operations of an object and of what is embedded in it.
type opBuilder struct {
	observedAt clerk.Time
	read       bool
	readAfter  int64 // as in Operation, for the object itself
	ops        []Operation
	rejected   int
	known      func(row.Key) bool // objects of which copies could add nothing; nil: none
}

func (b *opBuilder) knows(kind clerk.Kind, id string) bool {
	return b.known != nil && b.known(row.Key{Kind: kind, ID: id})
}

// object returns the operation of an object itself.
func (b *opBuilder) object(kind clerk.Kind, id string, body clerk.Value, raw string) Operation {
	op := Operation{
		Key: row.Key{Kind: kind, ID: id}, Read: b.read, ReadAfter: b.readAfter, Body: body, Raw: raw,
		Version: row.Version{
			Terminal: terminal(kind, body), Rank: row.Full, UpdatedAt: body.Get("updated_at").Time(),
			ObservedAt: b.observedAt, Revision: projectionRevision(kind), Digest: Digest(kind, body),
		},
	}
	op.UserID, op.OrganizationID = Parents(kind, body)
	if kind == clerk.KindUser {
		b.setUserFacts(&op, body, op.UpdatedAt)
	}
	return op
}

// addStub adds an operation that fills a row only while nothing better is known: an embedded copy
// may be stale or partial. The age that the copy claims is only a hint.
func (b *opBuilder) addStub(kind clerk.Kind, rank row.Rank, body clerk.Value) {
	id := body.Get("id").String()
	if id == "" || b.knows(kind, id) {
		return
	}
	op := Operation{
		Key: row.Key{Kind: kind, ID: id}, Read: b.read, Body: body, Raw: body.JSON(),
		Version: row.Version{Rank: rank, ObservedAt: b.observedAt, Revision: projectionRevision(kind), Digest: Digest(kind, body)},
	}
	op.UserID, op.OrganizationID = Parents(kind, body)
	if rank == row.Embedded {
		op.HintAt = body.Get("updated_at").Time()
	}
	if kind == clerk.KindUser {
		b.setUserFacts(&op, body, op.HintAt)
	}
	b.ops = append(b.ops, op)
}

func (b *opBuilder) addEmbedded(kind clerk.Kind, id string, body clerk.Value) {
	switch kind {
	case clerk.KindSession:
		if user := body.Get("user"); user.IsObject() {
			b.addStub(clerk.KindUser, row.Embedded, user)
		}
	case clerk.KindMembership:
		b.addStub(clerk.KindOrganization, row.Embedded, body.Get("organization"))
		if user := body.Get("public_user_data"); !b.knows(clerk.KindUser, user.Get("user_id").String()) {
			b.addStub(clerk.KindUser, row.Partial, userOfPublicData(user))
		}
	case clerk.KindInvitation, clerk.KindDomain:
		b.addStub(clerk.KindOrganization, row.Partial, body.Get("public_organization_data"))
	case clerk.KindRole:
		for _, p := range body.Get("permissions").All() {
			b.addStub(clerk.KindPermission, row.Embedded, p)
		}
	case clerk.KindSubscription:
		for _, item := range body.Get("items").All() {
			if item.Get("subscription_id").String() == "" {
				item = item.With("subscription_id", clerk.Text(id))
			}
			if !item.Get("payer").IsObject() && body.Get("payer").IsObject() {
				item = item.With("payer", body.Get("payer"))
			}
			b.addStub(clerk.KindSubscriptionItem, row.Embedded, item)
		}
	default: // the others embed nothing that is mirrored
	}
}

// userOfPublicData gives public_user_data the shape of a user. Its identifier can be a phone number
// or a user name. It becomes the email only if it looks like an address.
func userOfPublicData(data clerk.Value) clerk.Value {
	user := data.Without(func(k string) bool { return k == "user_id" || k == "identifier" }).With("id", data.Get("user_id"))
	if identifier := data.Get("identifier").String(); IsAddress(identifier) {
		user = user.With("email", clerk.Text(identifier))
	}
	return user
}

// IsAddress reports whether a text looks like an email address.
func IsAddress(s string) bool {
	at := -1
	for i := range len(s) {
		if s[i] == '@' {
			at = i
		}
	}
	return at > 0 && at < len(s)-1
}

// setUserFacts sets what a copy of a user says of sign-ins, activity, bans and the directory. A
// directory that takes access away ends all sessions, as a ban does.
func (b *opBuilder) setUserFacts(op *Operation, user clerk.Value, updatedAt clerk.Time) {
	op.SignedInAt = b.fact(user.Get("last_sign_in_at"))
	op.ActiveAt = b.fact(user.Get("last_active_at"))
	deprovisioned := user.Get("deprovisioned")
	if text := deprovisioned.JSON(); text == "true" || text == "false" {
		op.Provision = &row.Provision{UpdatedAt: op.UpdatedAt, ObservedAt: b.observedAt, Deprovisioned: deprovisioned.Bool()}
	}
	if user.Get("banned").Bool() || deprovisioned.Bool() {
		op.BannedAt = updatedAt
	}
}

// fact reads a joined time. It rejects a time that lies more than a day after the observation, and
// what is no time.
func (b *opBuilder) fact(v clerk.Value) clerk.Time {
	t := v.Time()
	if t > b.observedAt+dayMillis || t == 0 && v.Exists() && !v.IsNull() {
		b.rejected++
		return 0
	}
	return t
}

// addSignIn lets a session raise its user's last login and last activity.
func (b *opBuilder) addSignIn(e *clerk.Event) {
	login := b.fact(e.Data.Get("created_at"))
	if login == 0 && (e.Type == "session.created" || e.Type == "session.ended") {
		login = e.OccurredAt
	}
	active := max(login, b.fact(e.Data.Get("last_active_at")))
	userID, _ := Parents(clerk.KindSession, e.Data)
	if userID == "" {
		return
	}
	for i := range b.ops {
		if op := &b.ops[i]; op.Key == (row.Key{Kind: clerk.KindUser, ID: userID}) {
			op.SignedInAt, op.ActiveAt = max(op.SignedInAt, login), max(op.ActiveAt, active)
			return
		}
	}
	b.addStub(clerk.KindUser, row.IDOnly, clerk.Object().With("id", clerk.Text(userID)))
	user := &b.ops[len(b.ops)-1]
	user.SignedInAt, user.ActiveAt = login, active
}
