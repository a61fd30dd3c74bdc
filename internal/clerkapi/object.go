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

// Ref names an object at Clerk. Most kinds need the id alone. An invitation needs its organization too. A membership
// has no read by id: it is that of UserID in OrganizationID; a subscription is that of UserID or of OrganizationID.
// Their ID may be empty: whichever there is.
type Ref struct {
	Kind           clerk.Kind
	ID             string
	OrganizationID string
	UserID         string
}

// Reading is what Clerk says of an object.
type Reading struct {
	Ref  Ref // with the ID that was found
	Body clerk.Value
	Answer
}

// Object reads one object. Calls for the same object at the same priority share a request, and none of them is failed
// by another that gives up; each of them gets the horizon that was taken before that request.
//
// [ErrNotFound] is Clerk's word that there is no such object now, and comes with a Reading without body, whose
// ObservedAt dates the absence. One answer is not a deletion: it may come from a replica that lags.
func (c *Client) Object(ctx context.Context, ref Ref, p Priority) (Reading, error) {
	op := ref.op()
	path, err := ref.path()
	if err != nil {
		return Reading{Ref: ref}, invalid(op, err.Error())
	}
	return c.share(ctx, flightKey{ref, p}, func(ctx context.Context) (Reading, error) {
		value, answer, err := c.get(ctx, request{op, path, p})
		reading := Reading{Ref: ref, Answer: answer}
		var failed *Error
		switch {
		case err == nil:
			if failed = reading.take(value); failed != nil {
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

// goodID is true for what Clerk's ids are made of: such a text can't lead a path elsewhere.
func goodID(id string) bool {
	odd := func(r rune) bool {
		return r != '_' && r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}
	return id != "" && len(id) <= 255 && !strings.ContainsFunc(id, odd)
}

// path is where the object is read, below /v1.
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
		return "", errors.New("the Backend API has no read of one " + fmt.Sprintf("%q", string(r.Kind)))
	}
	if slices.ContainsFunc(need, func(id string) bool { return !goodID(id) }) {
		return "", errors.New("an id is missing or is none")
	}
	return path, nil
}

// take finds the object in an answer, and makes sure that it is the one that was asked for.
func (r *Reading) take(value clerk.Value) *Error {
	if r.Ref.Kind == clerk.KindMembership {
		rows, _, err := decodePage(value, false)
		if err != nil {
			return odd(err.Error())
		}
		value = clerk.Value{}
		for _, row := range rows {
			if row.Get("public_user_data").Get("user_id").String() != r.Ref.UserID {
				return odd("the filter by user was ignored")
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
		return odd("the answer is no object with an id")
	case r.Ref.ID != "" && id != r.Ref.ID && r.Ref.Kind == clerk.KindSubscription:
		return &Error{Reason: ErrNotFound, Attempts: 1} // the payer has another one
	case r.Ref.ID != "" && id != r.Ref.ID:
		return odd("the answer is another object")
	}
	r.Ref.ID, r.Body = id, value
	return nil
}

// odd is an answer of Clerk's that can't be one to what was asked.
func odd(problem string) *Error {
	return &Error{Reason: ErrUnavailable, Attempts: 1, Remedy: remedyForeign, Cause: errors.New(problem)}
}

// KeyIDs are the ids of the instance's signing keys, by which an instance is known.
func (c *Client) KeyIDs(ctx context.Context, p Priority) ([]string, error) {
	const op = "read the signing keys"
	value, _, err := c.get(ctx, request{op, "/jwks", p})
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
		failed := odd("the answer has no keys")
		failed.Op = op
		return nil, failed
	}
	return ids, nil
}
