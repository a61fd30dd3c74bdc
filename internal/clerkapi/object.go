package clerkapi

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/clerksync/clerksync/clerk"
)

// Ref names an object at Clerk. Most kinds need the id only. An invitation needs its organization
// too. A membership is read by UserID and OrganizationID, a subscription by UserID or
// OrganizationID; if their ID is set, another object counts as not found.
type Ref struct {
	Kind           clerk.Kind
	ID             string
	OrganizationID string
	UserID         string
}

// Reading is what Clerk returned of an object.
type Reading struct {
	Ref  Ref // with the ID that was found
	Body clerk.Value
	Answer
}

// Object reads one object. Calls for the same object at the same priority share a request, with the
// read fence that was taken before it. A caller that is cancelled does not cancel the others.
//
// [ErrNotFound] means that Clerk has no such object now. It comes with a Reading without body,
// whose ObservedAt dates the absence. One such answer is not a deletion: a lagging replica may have
// sent it.
func (c *Client) Object(ctx context.Context, ref Ref, p Priority) (Reading, error) {
	op := ref.op()
	path, err := ref.path()
	if err != nil {
		return Reading{Ref: ref}, invalid(op, err.Error())
	}
	return c.share(ctx, flightKey{ref, p}, func(ctx context.Context) (Reading, error) {
		value, answer, err := c.call(ctx, request{op: op, path: path, priority: p})
		reading := Reading{Ref: ref, Answer: answer}
		var failed *Error
		switch {
		case err == nil:
			if failed = reading.extract(value); failed != nil {
				failed.Op = op
				return reading, failed
			}
		case ref.Kind == clerk.KindMembership && errors.Is(err, ErrNotFound) && errors.As(err, &failed):
			failed.Reason = ErrNoParent // the list of a living organization is empty, not missing
		}
		return reading, err
	})
}

func (r Ref) op() string {
	words := []string{"read", string(r.Kind)}
	for _, id := range []string{r.ID, r.OrganizationID, r.UserID} {
		if goodID(id) {
			words = append(words, id)
		}
	}
	return strings.Join(words, " ")
}

// goodID reports whether a text consists of the characters of Clerk's ids. Such a text cannot
// change the path of a URL.
func goodID(id string) bool {
	return id != "" && len(id) <= 255 && !strings.ContainsFunc(id, notInID)
}

func notInID(r rune) bool {
	return r != '_' && r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
}

// path returns the path of the object below /v1, with the query.
func (r Ref) path() (string, error) {
	var path string
	need := []string{r.ID}
	switch r.Kind {
	case clerk.KindUser:
		path = "/users/" + r.ID
	case clerk.KindSession:
		path = "/sessions/" + r.ID
	case clerk.KindOrganization:
		path = "/organizations/" + r.ID
	case clerk.KindRole:
		path = "/organization_roles/" + r.ID
	case clerk.KindPermission:
		path = "/organization_permissions/" + r.ID
	case clerk.KindInvitation:
		path, need = "/organizations/"+r.OrganizationID+"/invitations/"+r.ID, append(need, r.OrganizationID)
	case clerk.KindMembership:
		query := url.Values{"user_id": {r.UserID}, "limit": {"10"}}
		path, need = "/organizations/"+r.OrganizationID+"/memberships?"+query.Encode(), []string{r.OrganizationID, r.UserID}
	case clerk.KindSubscription:
		path, need = "/users/"+r.UserID+"/billing/subscription", []string{r.UserID}
		if r.UserID == "" {
			path, need = "/organizations/"+r.OrganizationID+"/billing/subscription", []string{r.OrganizationID}
		}
	default:
		return "", errors.New("the Backend API cannot read a single " + fmt.Sprintf("%q", string(r.Kind)))
	}
	if slices.ContainsFunc(need, func(id string) bool { return !goodID(id) }) {
		return "", errors.New("an id is missing or malformed")
	}
	return path, nil
}

// extract takes the object out of an answer, and checks that it is the requested one.
func (r *Reading) extract(value clerk.Value) *Error {
	if r.Ref.Kind == clerk.KindMembership {
		rows, _, err := decodePage(value, false)
		if err != nil {
			return unexpected(err.Error())
		}
		value = clerk.Value{}
		for _, row := range rows {
			if row.Get("public_user_data").Get("user_id").String() != r.Ref.UserID {
				return unexpected("the filter by user was ignored")
			}
			if id := row.Get("id").String(); r.Ref.ID == "" || id == r.Ref.ID {
				value = row
			}
		}
		if !value.Exists() {
			return &Error{Reason: ErrNotFound, Attempts: 1}
		}
	}
	id := value.Get("id").String()
	switch {
	case id == "":
		return unexpected("the answer is not an object with an id")
	case r.Ref.ID != "" && id != r.Ref.ID && r.Ref.Kind == clerk.KindSubscription:
		return &Error{Reason: ErrNotFound, Attempts: 1} // the payer has another subscription
	case r.Ref.ID != "" && id != r.Ref.ID:
		return unexpected("the answer is another object")
	}
	r.Ref.ID, r.Body = id, value
	return nil
}

// unexpected returns the error for an answer that cannot be Clerk's answer to the request.
func unexpected(problem string) *Error {
	return &Error{Reason: ErrUnavailable, Attempts: 1, Remedy: remedyForeign, Cause: errors.New(problem)}
}

// KeyIDs returns the ids of the instance's signing keys, which identify the instance.
func (c *Client) KeyIDs(ctx context.Context, p Priority) ([]string, error) {
	const op = "read the signing keys"
	value, _, err := c.call(ctx, request{op: op, path: "/jwks", priority: p})
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, key := range value.Get("keys").All() {
		if id := key.Get("kid").String(); id != "" {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		failed := unexpected("the answer has no keys")
		failed.Op = op
		return nil, failed
	}
	return ids, nil
}
