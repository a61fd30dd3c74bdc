package store

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/mirror"
)

// ErrInvalidCursor means that a text is not a cursor of the list that it was given to.
var ErrInvalidCursor = mirror.ErrInvalidCursor

// place is where a row stands in its list. at is zero in lists that are ordered by id alone.
type place struct {
	at clerk.Time
	id string
}

// The lists, as cursors name them.
const (
	usersList            = "users"
	usersSearch          = "users.search"
	sessionsList         = "sessions"
	organizationsList    = "organizations"
	organizationsSearch  = "organizations.search"
	membershipsList      = "memberships"
	invitationsList      = "invitations"
	deliveriesList       = "deliveries"
	newestDeliveriesList = "deliveries.newest"
	auditList            = "audit"
	driftList            = "drift"
	overridesList        = "overrides"
	revocationsList      = "keys.revocations"
	timelineList         = "users.timeline"
	walksList            = "sync.walks"
	webhookAttemptsList  = "webhooks.attempts"
	jobsList             = "jobs"
	jobFailuresList      = "jobs.failures"
)

// cursorOf writes a place as the cursor of a list.
func cursorOf(list string, p place) mirror.Cursor {
	text := list + "\n" + strconv.FormatInt(int64(p.at), 10) + "\n" + p.id
	return mirror.Cursor(base64.RawURLEncoding.EncodeToString([]byte(text)))
}

// placeOf reads a cursor of a list. found is false for the empty cursor.
func placeOf(list string, c mirror.Cursor) (p place, found bool, err error) {
	if c == "" {
		return p, false, nil
	}
	text, err := base64.RawURLEncoding.Strict().DecodeString(string(c))
	parts := strings.SplitN(string(text), "\n", 3)
	if err != nil || len(parts) != 3 || parts[0] != list || parts[2] == "" || !storable(parts[2]) {
		return p, false, fmt.Errorf("%q is %w", string(c), ErrInvalidCursor)
	}
	at, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil {
		return p, false, fmt.Errorf("%q is %w", string(c), ErrInvalidCursor)
	}
	return place{clerk.Time(at), parts[2]}, true, nil
}

// pageOf makes a page of the rows of a query by [where.pageBy], which reads one row more than the
// page has.
func pageOf[T any](rows []T, err error, limit int, list string, at func(*T) place) (p mirror.Page[T], _ error) {
	if err != nil {
		return p, err
	}
	if size := pageSize(limit); len(rows) > size {
		rows = rows[:size]
		p.Next = cursorOf(list, at(&rows[size-1]))
	}
	p.Items = append([]T{}, rows...)
	return p, nil
}

// pageBy returns the rest of a list query, and all arguments of the query.
func (w *where) pageBy(order string, limit int) (rest string, args []any) {
	args = append(slices.Clone(w.args), pageSize(limit)+1)
	return w.String() + " ORDER BY " + order + " LIMIT " + params(len(args), len(args)), args
}

// pageSize bounds a page: 50 rows by default, 500 at most.
func pageSize(limit int) int {
	switch {
	case limit <= 0:
		return 50
	case limit > 500:
		return 500
	}
	return limit
}

// EachPage calls do with one page of keys after another, until a page is empty. next returns the
// page after an id, "" at the beginning.
func EachPage(next func(after string) ([]row.Key, error), do func([]row.Key) error) error {
	for after := ""; ; {
		keys, err := next(after)
		if err != nil || len(keys) == 0 {
			return err
		}
		if err := do(keys); err != nil {
			return err
		}
		after = keys[len(keys)-1].ID
	}
}

// UpdateInPages calls do with one page after another of the keys of all rows of a kind. Each page
// has a transaction of its own, so that events wait for it no longer than for a commit. Where the
// application's OnChange refuses a page, do gets its keys one by one. Those that OnChange refuses
// stay as they are, and the last error is returned at the end.
func (db *DB) UpdateInPages(ctx context.Context, kind clerk.Kind, size int, do func(*Tx, []row.Key) error) (refused error) {
	for after := ""; ; {
		var keys []row.Key
		err := db.Update(ctx, func(tx *Tx) (err error) {
			if keys, err = tx.KeysAfter(ctx, kind, after, size); err != nil || len(keys) == 0 {
				return err
			}
			return do(tx, keys)
		})
		if isRefusal(err) {
			err = db.updateEach(ctx, keys, do)
		}
		switch {
		case isRefusal(err):
			refused = err
		case err != nil:
			return err
		}
		if len(keys) < size || ctx.Err() != nil {
			return cmp.Or(ctx.Err(), refused)
		}
		after = keys[len(keys)-1].ID
	}
}

// updateEach calls do with each key, in transactions of their own. It returns the last refusal of
// the application's OnChange, and any other error at once.
func (db *DB) updateEach(ctx context.Context, keys []row.Key, do func(*Tx, []row.Key) error) (refused error) {
	for i := range keys {
		switch err := db.Update(ctx, func(tx *Tx) error { return do(tx, keys[i:i+1]) }); {
		case isRefusal(err):
			refused = err
		case err != nil:
			return err
		}
	}
	return refused
}

// isRefusal reports whether the application's OnChange refused the changes of a transaction, and
// not only for now.
func isRefusal(err error) bool {
	_, ok := errors.AsType[*mirror.OnChangeError](err)
	return ok && !IsTransient(err)
}
