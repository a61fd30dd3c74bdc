package privacy

import (
	"slices"
	"strings"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/converge"
	"github.com/clerksync/clerksync/internal/row"
)

// Shortest texts that a search for copies looks for. Shorter ones would be found everywhere.
const (
	shortestAddress  = 6
	shortestUserName = 3
)

// keptMembers are the members that an erased object keeps.
var keptMembers = map[string]bool{
	"id": true, "object": true, "status": true, "user_id": true, "client_id": true, "organization_id": true, "inviter_id": true,
	"subscription_id": true, "payment_id": true, "payer_id": true,
}

func reduced(body clerk.Value) clerk.Value {
	return body.Without(func(key string) bool { return !keptMembers[key] })
}

// masked reduces the embedded copies for which isCopy returns true.
func masked(body clerk.Value, isCopy func(object clerk.Value) bool) (clerk.Value, bool) {
	return body.Map(func(_ string, v clerk.Value) (clerk.Value, bool) {
		if !v.IsObject() || !isCopy(v) {
			return v, false
		}
		less := reduced(v)
		return less, less.Len() != v.Len()
	})
}

// UserIDs is a set of Clerk user ids.
type UserIDs map[string]bool

// isCopy reports whether an embedded object is a copy of one of the users.
func (ids UserIDs) isCopy(object clerk.Value) bool {
	return ids[object.Get("user_id").String()] || ids[object.Get("id").String()]
}

// UsersOf appends the ids of the users that an operation is about, as far as an erasure has to
// know.
func UsersOf(dst []string, op *converge.Operation) []string {
	switch {
	case op.Key.Kind == clerk.KindUser:
		return append(dst, op.Key.ID)
	case op.UserID != "":
		dst = append(dst, op.UserID)
	}
	if op.Key.Kind == clerk.KindInvitation {
		dst = append(dst, op.Body.Get("inviter_id").String())
	}
	return dst
}

// UsersIn appends the words of a body that can be user ids. It is for events whose form is not
// known.
func UsersIn(dst []string, body clerk.Value) []string {
	if text, ok := body.Text(); ok {
		for word := range strings.FieldsFuncSeq(text, betweenWords) {
			if word = trimmed(word); strings.HasPrefix(word, "user_") {
				dst = append(dst, word)
			}
		}
	}
	for _, member := range body.All() {
		dst = UsersIn(dst, member)
	}
	return dst
}

// WithoutErased removes from an operation what must not be stored again. ids are the users that
// were erased, and rowErased reports whether the operation's row is erased. ok is false if nothing
// is left to apply.
func WithoutErased(op *converge.Operation, rowErased bool, ids UserIDs) (_ *converge.Operation, ok bool) {
	if op.Key.Kind == clerk.KindUser {
		return op, !rowErased
	}
	if op.Action != converge.Upsert {
		return op, true
	}
	less := *op
	switch {
	case rowErased, ids[op.UserID] && belongsToUser(op.Key.Kind):
		less.Body, less.Erased = reduced(op.Body), true
	case len(ids) == 0:
		return op, true
	default:
		body, changed := masked(op.Body, ids.isCopy)
		if !changed {
			return op, true
		}
		less.Body = body
	}
	less.Raw, less.Digest = less.Body.JSON(), converge.Digest(op.Key.Kind, less.Body)
	return &less, true
}

// belongsToUser reports whether rows of a kind are erased with their user.
func belongsToUser(kind clerk.Kind) bool { return slices.Contains(belongings, kind) }

var belongings = []clerk.Kind{clerk.KindSession, clerk.KindMembership, clerk.KindInvitation}

// wipe leaves in a row what an erased one may hold.
func wipe(r *row.Row) {
	if r.Kind == clerk.KindUser {
		*r = row.Row{Key: r.Key, Tombstoned: true, DeletedAt: r.DeletedAt, Erased: true}
		return
	}
	setBody(r, reduced(r.Body()))
	r.Erased, r.Overrides = true, ""
}

func setBody(r *row.Row, body clerk.Value) {
	r.SetBody(body, body.JSON())
	r.Digest = converge.Digest(r.Kind, body)
}

// searchTexts returns the texts of a user by which copies are recognized that do not name the
// user's id.
func searchTexts(user clerk.Value) (all []string) {
	add := func(v clerk.Value) {
		if s := v.String(); len(s) >= shortestAddress && !strings.Contains(s, "\n") && !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	add(user.Get("email"))
	for list, field := range map[string]string{
		"email_addresses": "email_address", "phone_numbers": "phone_number", "web3_wallets": "web3_wallet", "external_accounts": "email_address",
	} {
		for _, v := range user.Get(list).All() {
			add(v.Get(field))
		}
	}
	slices.Sort(all)
	if name := user.Get("username").String(); len(name) >= shortestUserName && !strings.Contains(name, "\n") {
		all = append(all, userNameMark+name)
	}
	return all
}
