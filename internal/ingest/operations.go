package ingest

import (
	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
)

// action is what an operation does to a row.
type action uint8

const (
	upsert     action = iota
	tombstone         // Clerk said that the object is gone: for ever
	absence           // a read by id found nothing: hides until a later sight
	acceptance        // a person takes what was read for right, whatever its version
)

// operation is what one event or read says about one object.
type operation struct {
	key store.Key
	do  action
	store.Version
	read bool

	at        clerk.Time // tombstone, absence: when
	readAfter int64      // the head's write counter from before the read was sent that found the object; 0: no read did
	hintAt    clerk.Time // the updated_at that an embedded copy claims
	erased    bool       // the body was reduced: it is about a person who was erased
	body      clerk.Value
	raw       string // the body's encoding, made ahead of the commit
	user      string // parents
	company   string

	// joined facts of users
	signedInAt, activeAt, bannedAt clerk.Time
	provision                      *row.Provision // nil: the object does not carry the flag
}

// dayMillis bounds how far beyond its observation a joined fact may lie: one wrong
// maximum would be for ever.
const dayMillis = 24 * 3600 * 1000

// sighting makes operations of an object and of what is embedded in it.
type sighting struct {
	observedAt    clerk.Time
	read          bool
	readAfter     int64 // as in operation, for the object itself
	ops           []operation
	factsRejected int
	known         func(store.Key) bool // objects of which copies could add nothing; nil: none
}

func (s *sighting) knows(kind clerk.Kind, id string) bool {
	return s.known != nil && s.known(store.Key{Kind: kind, ID: id})
}

// operationsOf derives an event's operations: a pure function of the event.
// raw is the encoding of its data.
func operationsOf(e *clerk.Event, raw string) (ops []operation, factsRejected int) {
	s := sighting{observedAt: e.OccurredAt}
	if e.Deleted {
		op := operation{key: store.Key{Kind: e.Kind, ID: e.ID}, do: tombstone, at: e.OccurredAt}
		op.user, op.company = parents(e.Kind, e.Data)
		return []operation{op}, 0
	}
	s.full(e.Kind, e.ID, e.Data, raw)
	if e.Kind == clerk.KindSession {
		s.signIn(e)
	}
	return s.ops, s.factsRejected
}

func (s *sighting) full(kind clerk.Kind, id string, body clerk.Value, raw string) {
	s.ops = append(s.ops, s.whole(kind, id, body, raw))
	s.embedded(kind, id, body)
}

// whole makes the operation of an object itself.
func (s *sighting) whole(kind clerk.Kind, id string, body clerk.Value, raw string) operation {
	op := operation{
		key: store.Key{Kind: kind, ID: id}, read: s.read, readAfter: s.readAfter, body: body, raw: raw,
		Version: store.Version{
			Terminal: terminal(kind, body), Rank: row.Full, UpdatedAt: body.Get("updated_at").Time(),
			ObservedAt: s.observedAt, Revision: projectionRevision(kind), Digest: digest(kind, body),
		},
	}
	op.user, op.company = parents(kind, body)
	if kind == clerk.KindUser {
		s.userFacts(&op, body, op.UpdatedAt)
	}
	return op
}

// stub makes an operation that fills a row only while nothing better is known: an
// embedded copy may be stale or partial. What it claims of its own age is a hint.
func (s *sighting) stub(kind clerk.Kind, rank row.Rank, body clerk.Value) {
	id := body.Get("id").String()
	if id == "" || s.knows(kind, id) {
		return
	}
	op := operation{
		key: store.Key{Kind: kind, ID: id}, read: s.read, body: body, raw: body.JSON(),
		Version: store.Version{Rank: rank, ObservedAt: s.observedAt, Revision: projectionRevision(kind), Digest: digest(kind, body)},
	}
	op.user, op.company = parents(kind, body)
	if rank == row.Embedded {
		op.hintAt = body.Get("updated_at").Time()
	}
	if kind == clerk.KindUser {
		s.userFacts(&op, body, op.hintAt)
	}
	s.ops = append(s.ops, op)
}

func (s *sighting) embedded(kind clerk.Kind, id string, body clerk.Value) {
	switch kind {
	case clerk.KindSession:
		if user := body.Get("user"); user.IsObject() {
			s.stub(clerk.KindUser, row.Embedded, user)
		}
	case clerk.KindMembership:
		s.stub(clerk.KindOrganization, row.Embedded, body.Get("organization"))
		if user := body.Get("public_user_data"); !s.knows(clerk.KindUser, user.Get("user_id").String()) {
			s.stub(clerk.KindUser, row.Partial, userOfSlice(user))
		}
	case clerk.KindInvitation, clerk.KindDomain:
		s.stub(clerk.KindOrganization, row.Partial, body.Get("public_organization_data"))
	case clerk.KindRole:
		for _, p := range body.Get("permissions").All() {
			s.stub(clerk.KindPermission, row.Embedded, p)
		}
	case clerk.KindSubscription:
		for _, item := range body.Get("items").All() {
			if item.Get("subscription_id").String() == "" {
				item = item.With("subscription_id", clerk.Text(id))
			}
			if !item.Get("payer").IsObject() && body.Get("payer").IsObject() {
				item = item.With("payer", body.Get("payer"))
			}
			s.stub(clerk.KindSubscriptionItem, row.Embedded, item)
		}
	default: // the others hold none
	}
}

// userOfSlice gives public_user_data the shape of a user. Its identifier is an address
// only if it looks like one: it can be a phone number or a user name.
func userOfSlice(slice clerk.Value) clerk.Value {
	user := slice.Without(func(k string) bool { return k == "user_id" || k == "identifier" }).With("id", slice.Get("user_id"))
	if identifier := slice.Get("identifier").String(); isAddress(identifier) {
		user = user.With("email", clerk.Text(identifier))
	}
	return user
}

func isAddress(s string) bool {
	at := -1
	for i := range len(s) {
		if s[i] == '@' {
			at = i
		}
	}
	return at > 0 && at < len(s)-1
}

// userFacts joins what a copy of a user says of sign-ins, activity, bans and the directory. A directory that takes access away
// ends all sessions, as a ban does.
func (s *sighting) userFacts(op *operation, user clerk.Value, updatedAt clerk.Time) {
	op.signedInAt = s.fact(user.Get("last_sign_in_at"))
	op.activeAt = s.fact(user.Get("last_active_at"))
	out := user.Get("deprovisioned")
	if told := out.JSON(); told == "true" || told == "false" {
		op.provision = &row.Provision{UpdatedAt: op.UpdatedAt, ObservedAt: s.observedAt, Deprovisioned: out.Bool()}
	}
	if user.Get("banned").Bool() || out.Bool() {
		op.bannedAt = updatedAt
	}
}

// fact reads a joined time; one that lies more than a day beyond the observation is
// nonsense and counted.
func (s *sighting) fact(v clerk.Value) clerk.Time {
	t := v.Time()
	if t > s.observedAt+dayMillis || t == 0 && v.Exists() && !v.IsNull() {
		s.factsRejected++
		return 0
	}
	return t
}

// signIn lets a session move its user's last login and last activity.
func (s *sighting) signIn(e *clerk.Event) {
	login := s.fact(e.Data.Get("created_at"))
	if login == 0 && (e.Type == "session.created" || e.Type == "session.ended") {
		login = e.OccurredAt
	}
	active := max(login, s.fact(e.Data.Get("last_active_at")))
	userID, _ := parents(clerk.KindSession, e.Data)
	if userID == "" {
		return
	}
	for i := range s.ops {
		if op := &s.ops[i]; op.key == (store.Key{Kind: clerk.KindUser, ID: userID}) {
			op.signedInAt, op.activeAt = max(op.signedInAt, login), max(op.activeAt, active)
			return
		}
	}
	s.stub(clerk.KindUser, row.IDOnly, clerk.Object().With("id", clerk.Text(userID)))
	mention := &s.ops[len(s.ops)-1]
	mention.signedInAt, mention.activeAt = login, active
}
