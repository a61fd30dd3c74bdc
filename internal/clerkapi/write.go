package clerkapi

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"

	"github.com/clerksync/clerksync/clerk"
)

// Write is a change of one object at Clerk. Making it twice leaves the object as making it once, so
// that a request without an answer can be sent again.
type Write struct {
	op     string
	method string
	path   string
	body   string // JSON, "" for none
	ref    Ref
}

// MergePublicMetadata sets fields of a user's public metadata, and leaves all others.
func MergePublicMetadata(userID string, fields clerk.Value) Write {
	w := writeUser("change metadata of", userID, "/metadata")
	w.method, w.body = http.MethodPatch, clerk.Object().With("public_metadata", fields).JSON()
	return w
}

// Ban bans a user. Clerk ends the user's sessions.
func Ban(userID string) Write { return writeUser("ban user", userID, "/ban") }

// Unban lifts the ban of a user.
func Unban(userID string) Write { return writeUser("unban user", userID, "/unban") }

// Lock keeps a user from signing in for as long as the settings of the instance say. Sessions go
// on.
func Lock(userID string) Write { return writeUser("lock user", userID, "/lock") }

// Unlock lets a user sign in again.
func Unlock(userID string) Write { return writeUser("unlock user", userID, "/unlock") }

// DeleteUser deletes a user. [ErrNotFound] means that there was none, or that a request before,
// whose answer was lost, has deleted it.
func DeleteUser(userID string) Write {
	w := writeUser("delete user", userID, "")
	w.method = http.MethodDelete
	return w
}

// RevokeSession ends a session.
func RevokeSession(sessionID string) Write {
	return Write{
		op: "revoke session", method: http.MethodPost, path: "/sessions/" + sessionID + "/revoke",
		ref: Ref{Kind: clerk.KindSession, ID: sessionID},
	}
}

func writeUser(op, id, path string) Write {
	return Write{op: op, method: http.MethodPost, path: "/users/" + id + path, ref: Ref{Kind: clerk.KindUser, ID: id}}
}

// Write makes a change, and returns the object as Clerk's answer has it, which is what a read right
// after the change would return. The answer to [DeleteUser] has no body.
//
// A caller that is cancelled ends the wait for the budget. It does not end a request that was sent:
// Write then waits for the answer, but tries no more. [Error.Unknown] means that Clerk may have
// made the change.
func (c *Client) Write(ctx context.Context, w Write, p Priority) (Reading, error) {
	reading := Reading{Ref: w.ref}
	if !goodID(w.ref.ID) {
		return reading, invalid(w.op, "the id is missing or malformed")
	}
	w.op += " " + w.ref.ID
	value, answer, err := c.call(ctx, request{op: w.op, method: w.method, path: w.path, body: w.body, priority: p})
	if reading.Answer = answer; err != nil {
		return reading, err
	}
	var failed *Error
	if w.method == http.MethodDelete {
		if !value.Get("deleted").Bool() {
			failed = unexpected("the answer does not say that the object is deleted")
		}
	} else {
		failed = reading.extract(value)
	}
	if failed != nil {
		failed.Op, failed.Unknown = w.op, true
		return reading, failed
	}
	return reading, nil
}

// ActiveSessions returns the active sessions of a user, the newest first. more reports that there
// are more of them.
func (c *Client) ActiveSessions(ctx context.Context, userID string, p Priority) (ids []string, more bool, err error) {
	const op = "list the active sessions of "
	if !goodID(userID) {
		return nil, false, invalid(op+"a user", "the id is missing or malformed")
	}
	query := url.Values{"user_id": {userID}, "status": {"active"}, "paginated": {"true"}, "limit": {"500"}}
	value, _, err := c.call(ctx, request{op: op + userID, path: "/sessions?" + query.Encode(), priority: p})
	if err != nil {
		return nil, false, err
	}
	rows, total, err := decodePage(value, false)
	if err != nil {
		failed := unexpected(err.Error())
		failed.Op = op + userID
		return nil, false, failed
	}
	for _, row := range rows {
		if row.Get("user_id").String() == userID && row.Get("status").String() == "active" { // else the filter was ignored
			ids = append(ids, row.Get("id").String())
		}
	}
	return ids, total > len(rows), nil
}

// mayHaveReached reports whether Clerk may have done what a request that failed asked for.
func (e *Error) mayHaveReached() bool {
	switch {
	case errors.Is(e, ErrInvalid), e.Status == http.StatusNotImplemented:
		return false
	case e.Status == 0:
		dial, ok := errors.AsType[*net.OpError](e.Cause)
		return !ok || dial.Op != "dial"
	}
	return e.Status >= 500 || e.Status < 300 || e.Status == http.StatusRequestTimeout
}
