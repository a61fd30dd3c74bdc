package clerkapi

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"

	"github.com/clerksync/clerksync/clerk"
)

// List names a list of objects at Clerk.
type List struct {
	Kind   clerk.Kind
	UserID string // of sessions, which Clerk lists for one user at a time
	// Recent lists users by their last update, newest first. Such a walk is meant to be stopped.
	Recent bool
}

// All returns the list of all objects of a kind.
func All(kind clerk.Kind) List { return List{Kind: kind} }

// RecentUsers returns the list of users, the last changed ones first.
func RecentUsers() List { return List{Kind: clerk.KindUser, Recent: true} }

// SessionsOf returns the list of a user's sessions that Clerk still has.
func SessionsOf(userID string) List { return List{Kind: clerk.KindSession, UserID: userID} }

// String returns the name of the list, which is part of cursors.
func (l List) String() string {
	switch {
	case l.Recent:
		return "recent " + string(l.Kind)
	case l.UserID != "":
		return string(l.Kind) + " " + l.UserID
	}
	return string(l.Kind)
}

// source says how a list is read.
type source struct {
	path  string
	query url.Values
	bare  bool // an array; otherwise {data, total_count}
	// ordered lists are ordered by created_at, oldest first: new rows come last, and a page that
	// begins with a row older than the last one seen leaves none out.
	ordered bool
	keyset  bool
}

func (l List) source() (source, error) {
	lists := map[clerk.Kind]string{
		clerk.KindUser: "/users", clerk.KindOrganization: "/organizations", clerk.KindMembership: "/organization_memberships",
		clerk.KindInvitation: "/organization_invitations", clerk.KindDomain: "/organization_domains",
		clerk.KindRole: "/organization_roles", clerk.KindPermission: "/organization_permissions",
	}
	path, known := lists[l.Kind]
	s := source{path: path, query: url.Values{"order_by": {"+created_at"}}, ordered: true}
	switch {
	case l.Kind == clerk.KindSession && goodID(l.UserID) && !l.Recent:
		s = source{path: "/sessions", query: url.Values{"user_id": {l.UserID}, "paginated": {"true"}}}
	case !known || l.UserID != "" || l.Recent && l.Kind != clerk.KindUser:
		return s, fmt.Errorf("the Backend API has no list of %q", l.String())
	case l.Recent:
		s = source{path: path, query: url.Values{"order_by": {"-updated_at"}}, bare: true}
	case l.Kind == clerk.KindUser:
		s.bare, s.keyset = true, true
	case l.Kind == clerk.KindDomain: // cannot be ordered
		s.query, s.ordered = url.Values{}, false
	}
	return s, nil
}

// fetch reads a page. total is -1 if the list does not return it.
func (c *Client) fetch(
	ctx context.Context, op string, s source, query url.Values,
) (rows []clerk.Value, total int, a Answer, err error) {
	value, a, err := c.call(ctx, request{op: op, path: s.path + "?" + query.Encode()})
	if err != nil {
		return nil, 0, a, err
	}
	if rows, total, err = decodePage(value, s.bare); err != nil {
		failed := unexpected(err.Error())
		failed.Op = op
		return nil, 0, a, failed
	}
	return rows, total, a, nil
}

// decodePage returns the rows of a page, in either of Clerk's two shapes. Each row has an id.
func decodePage(value clerk.Value, bare bool) (rows []clerk.Value, total int, err error) {
	total = -1
	if !bare {
		if total, err = decodeTotal(value); err != nil {
			return nil, 0, err
		}
		value = value.Get("data")
	}
	if !value.IsArray() {
		return nil, 0, errors.New("the answer is not a list")
	}
	rows = make([]clerk.Value, 0, value.Len())
	for _, row := range value.All() {
		if row.Get("id").String() == "" {
			return nil, 0, errors.New("a row of the list has no id")
		}
		rows = append(rows, row)
	}
	return rows, total, nil
}

func decodeTotal(value clerk.Value) (int, error) {
	n, ok := value.Get("total_count").Int()
	if !ok || n < 0 {
		return 0, errors.New("the answer has no total_count")
	}
	return int(n), nil
}

// Total returns how many objects a list has now.
func (c *Client) Total(ctx context.Context, list List, p Priority) (int, error) {
	op := "count " + list.String()
	s, err := list.source()
	if err != nil {
		return 0, invalid(op, err.Error())
	}
	path := "/users/count"
	if list.Kind != clerk.KindUser {
		s.query.Set("limit", strconv.Itoa(1))
		path = s.path + "?" + s.query.Encode()
	}
	value, _, err := c.call(ctx, request{op: op, path: path, priority: p})
	if err != nil {
		return 0, err
	}
	total, err := decodeTotal(value)
	if err != nil {
		failed := unexpected(err.Error())
		failed.Op = op
		return 0, failed
	}
	return total, nil
}
