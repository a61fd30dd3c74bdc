package mirror

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/clerksync/clerksync/clerk"
)

// Operation is what happened to an object.
type Operation string

// The operations of the change feed.
const (
	// Created means that the object's own data is stored for the first time, or again after the
	// object was deleted or not found. An object of which only the id is known, because another
	// object refers to it, has an Updated before its Created.
	Created Operation = "created"
	// Updated means that something changed that is stored of the object.
	Updated Operation = "updated"
	// Deleted means that the object was deleted, or that Clerk no longer has it.
	Deleted Operation = "deleted"
	// Erased means that the personal data of a user was removed permanently. Whoever keeps copies
	// of it must erase them too.
	Erased Operation = "erased"
	// Read is no change: a snapshot delivers each live object with it.
	Read Operation = "read"
)

// Change is an entry of the change feed. It says that an object changed. What the object is now,
// the live view says, or Object if the reader asked for it.
type Change struct {
	// Cursor is the place of the change in the feed. It identifies the change: a consumer that gets
	// a change twice gets it with the same cursor. In a snapshot it is the place where the next
	// entry begins.
	Cursor FeedCursor `json:"cursor"`
	// At is when the change was stored, by the clock of the process that stored it.
	At time.Time `json:"at"`
	// Kind is the kind of the object.
	Kind clerk.Kind `json:"kind"`
	// ID is Clerk's id of the object.
	ID string `json:"id"`
	// Operation is what happened to it.
	Operation Operation `json:"operation"`
	// Version is the version of the object that was stored. Compare versions for equality only.
	Version string `json:"version"`
	// Fields are the names of what changed. It is empty for a new object.
	Fields []string `json:"fields"`
	// ClerkUserID is the user to whom the object belongs, empty if that is not known. A user
	// belongs to itself.
	ClerkUserID string `json:"clerk_user_id"`
	// ClerkOrganizationID is the organization to which the object belongs, empty for none. An
	// organization belongs to itself.
	ClerkOrganizationID string `json:"clerk_organization_id"`
	// Origin is what caused the change: the id of a message, or one of the origins below. It is
	// empty in a snapshot.
	Origin string `json:"origin"`
	// Object is the row of the live view as of AsOf, with its columns as keys. It has no private
	// metadata. It is nil unless [FeedQuery.IncludeObject] asks for it, and null if there is no
	// live row.
	Object json.RawMessage `json:"object,omitempty"`
	// AsOf is the change up to which Object is known to be complete. Object may also show later
	// ones, which have entries of their own.
	AsOf FeedCursor `json:"as_of,omitempty"`
}

// Origins of changes that no message caused.
const (
	// OriginRead means that an object was read from Clerk, by its id or in a list.
	OriginRead = "read"
	// OriginOperator means that an operator changed the object at Clerk: the audit says who.
	OriginOperator = "operator"
	// OriginOverride means that an operator set or removed a local override: the audit says who.
	OriginOverride = "override"
	// OriginErasure means that the data of a user was erased.
	OriginErasure = "erasure"
	// OriginLadder means that another role ladder is in force.
	OriginLadder = "ladder"
)

// Type is the kind and the operation, such as "user.created" or
// "organization_membership.deleted".
func (c Change) Type() string { return string(c.Kind) + "." + string(c.Operation) }

// MarshalJSON writes the fields, "type", and null for a zero time.
func (c Change) MarshalJSON() ([]byte, error) {
	if c.Fields == nil {
		c.Fields = []string{}
	}
	text, err := encode(c)
	if err != nil {
		return nil, err
	}
	return append([]byte(`{"type":`+strconv.Quote(c.Type())+`,`), text[1:]...), nil
}

// FeedCursor is a place in the change feed: the last change that a reader has seen. It stays valid
// until that change is older than the retention of the feed. "0" is the place before the first
// change; the empty cursor is the present end.
type FeedCursor string

// FeedStart is the place before the first change.
const FeedStart FeedCursor = "0"

const tagBytes = 4

// NewFeedCursor returns the cursor of a change. FeedStart is that of number 0.
func NewFeedCursor(seq int64, tag string) FeedCursor {
	if seq == 0 {
		return FeedStart
	}
	return FeedCursor(strconv.FormatInt(seq, 10) + "-" + tag)
}

// Split returns the number of the change and its tag. The tag is random, so that the same number in
// another history of the database is recognized. The error is [ErrInvalidCursor], also for the
// cursor of a snapshot that is not complete.
func (c FeedCursor) Split() (seq int64, tag string, err error) {
	if c == FeedStart {
		return 0, "", nil
	}
	number, tag, found := strings.Cut(string(c), "-")
	seq, err = strconv.ParseInt(number, 10, 64)
	raw, notHex := hex.DecodeString(tag)
	if !found || err != nil || notHex != nil || seq < 1 || len(raw) != tagBytes || NewFeedCursor(seq, hex.EncodeToString(raw)) != c {
		return 0, "", ErrInvalidCursor
	}
	return seq, tag, nil
}

// FeedQuery selects changes. The zero value selects what comes from now on.
type FeedQuery struct {
	// After is the place behind which the page begins: [FeedPage.Next] of the page before.
	// [FeedStart] begins with the first change, and is a [CursorGoneError] once that was removed:
	// its Oldest is where the feed then begins. If After is empty, the page is empty and Next is
	// the present end of the feed, unless Snapshot is set.
	After FeedCursor
	// Kinds selects the changes of these kinds. None selects all.
	Kinds []clerk.Kind
	// Types selects the changes of these types, such as "user.created" or "user.*". None selects
	// all.
	Types []string
	// ClerkUserID selects the changes of a user, and of what belongs to the user: sessions,
	// memberships and subscriptions. With Snapshot it selects the live objects in the same way, so
	// that a consumer can read again what belongs to a user whose change it got.
	ClerkUserID string
	// ClerkOrganizationID selects the changes of an organization, and of what belongs to it: its
	// memberships, invitations, domains and subscriptions, but not the changes of its members. With
	// Snapshot it selects the live objects in the same way.
	ClerkOrganizationID string
	// Limit is the greatest number of changes of a page: 100 for 0, at most 1000.
	Limit int
	// Wait is how long to wait for a change if there is none. 0 returns at once.
	Wait time.Duration
	// IncludeObject adds the row of the live view to each change.
	IncludeObject bool
	// Snapshot, with an empty After, begins with all live objects of these kinds, each as a change
	// with the operation Read. Kinds and Types select among the changes after them only. Next leads
	// through them, and then to the changes since the first page.
	Snapshot []clerk.Kind
}

// ChangeFilter selects changes for people, the latest first. The zero value selects all. Programs
// that follow the feed use a [FeedQuery].
type ChangeFilter struct {
	// Kinds selects the changes of these kinds. None selects all.
	Kinds []clerk.Kind
	// Types selects the changes of these types, such as "user.created" or "user.*". None selects
	// all.
	Types []string
	// ClerkUserID selects the changes of a user, and of what belongs to the user.
	ClerkUserID string
	// ClerkOrganizationID selects the changes of an organization, and of what belongs to it.
	ClerkOrganizationID string
	// After is where the page begins: [Page.Next] of the page before.
	After Cursor
	// Limit is the size of a page: 50 for 0, at most 500.
	Limit int
}

// FeedPage is a part of the change feed.
type FeedPage struct {
	// Changes are the selected changes, in order. It is empty, and never nil, when there are none.
	Changes []Change `json:"data"`
	// Next is where the next page begins. It moves on even if no change was selected.
	Next FeedCursor `json:"next_cursor"`
	// CaughtUp reports whether Next was the end of the feed when the page was read.
	CaughtUp bool `json:"caught_up"`
}

// Reasons of a [CursorGoneError].
const (
	// CursorExpired means that changes after the cursor are older than the retention of the feed
	// and were removed.
	CursorExpired = "expired"
	// CursorOtherHistory means that the change is not in this database: the database was restored
	// from a copy, or a failover lost what was committed.
	CursorOtherHistory = "other_history"
)

// CursorGoneError means that the changes after a cursor are not known, so that a reader cannot go
// on from it. It must read the objects again, for example with [FeedQuery.Snapshot].
type CursorGoneError struct {
	// Cursor is the cursor that cannot be continued.
	Cursor FeedCursor
	// Reason is CursorExpired or CursorOtherHistory.
	Reason string
	// Oldest is the first place from which the feed can be read.
	Oldest FeedCursor
	// Head is the end of the feed.
	Head FeedCursor
}

// Error says why, and what to do.
func (e *CursorGoneError) Error() string {
	why := "the changes after it were removed, because they are older than the retention of the feed"
	if e.Reason == CursorOtherHistory {
		why = "the database has another history: it was restored from a copy, or a failover lost changes"
	}
	return fmt.Sprintf("the change feed cannot be continued after the cursor %s: %s; take a new snapshot", e.Cursor, why)
}
