package store

import (
	"context"

	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/mirror"
)

// FeedWindow selects changes with a bounded amount of work: those after After and up to Through.
// The sequence has no gaps, so that the size of the window bounds what is read.
type FeedWindow struct {
	After   int64
	Through int64
	// Types lists the wanted types between commas, ",user.created,user.updated,". "" selects all.
	// It may select too much: callers look at each change themselves.
	Types string
	// UserID and OrganizationID select what belongs to them. "" selects all.
	UserID         string
	OrganizationID string
	Limit          int
}

// selectWindow also returns the change of the cursor itself, so that its tag is checked in the same
// read, and the last change of the window or of the feed, so that a reader moves on where nothing
// is selected. In the pattern, the underscores of kinds match any character, which is too much and
// never too little.
const selectWindow = "SELECT " + changeColumns + `, (SELECT seq FROM clerk_head WHERE one = 1) AS head
	FROM clerk_changes WHERE seq >= $1 AND seq <= $2 AND (
		seq = $1 OR seq = $2 OR seq = (SELECT seq FROM clerk_head WHERE one = 1)
		OR ($3 = '' OR $3 LIKE '%,' || kind || '.' || operation || ',%') AND ($4 = '' OR clerk_user_id = $4)
			AND ($5 = '' OR clerk_organization_id = $5))
	ORDER BY seq LIMIT $6`

// FeedWindow lists changes in order: the one at w.After (the first of the feed if that is 0), the
// selected ones, and the last one of the window or of the feed. head is the number of the last
// change of the feed, 0 if nothing was found.
func (db *DB) FeedWindow(ctx context.Context, w FeedWindow) (changes []row.Change, head int64, err error) {
	rows, err := db.query(ctx, selectWindow, max(w.After, 1), w.Through, w.Types, w.UserID, w.OrganizationID, w.Limit+2)
	changes, err = scanAll(rows, err, func(r Row) (row.Change, error) { return scanChange(r, &head) })
	return changes, head, err
}

// An index has the changes of a user.
const (
	selectLatest       = selectLatestOf + " AND ($4 = '' OR clerk_user_id = $4) ORDER BY seq DESC LIMIT $6"
	selectLatestOfUser = selectLatestOf + " AND clerk_user_id = $4 ORDER BY seq DESC LIMIT $6"
	selectLatestOf     = "SELECT " + changeColumns + ` FROM clerk_changes WHERE seq > $1 AND seq <= $2
		AND ($3 = '' OR $3 LIKE '%,' || kind || '.' || operation || ',%') AND ($5 = '' OR clerk_organization_id = $5)`
)

// LatestChanges lists the selected changes of a window, the latest first. Through is part of the
// window, and After is not.
func (db *DB) LatestChanges(ctx context.Context, w FeedWindow) ([]row.Change, error) {
	text := selectLatest
	if w.UserID != "" {
		text = selectLatestOfUser
	}
	rows, err := db.query(ctx, text, w.After, w.Through, w.Types, w.UserID, w.OrganizationID, w.Limit)
	return scanAll(rows, err, func(r Row) (row.Change, error) { return scanChange(r) })
}

// FeedEnds returns the first place from which the feed can be read, and its end. Both are
// [mirror.FeedStart] in an empty feed.
func (db *DB) FeedEnds(ctx context.Context) (oldest, head mirror.FeedCursor, err error) {
	oldest, _, head, err = db.FeedEndsAndChange(ctx, 0)
	return oldest, head, err
}

// FeedEndsAndChange is [DB.FeedEnds] with the cursor of a change as of the same moment, "" if it is
// not there.
func (db *DB) FeedEndsAndChange(ctx context.Context, seq int64) (oldest, at, head mirror.FeedCursor, err error) {
	const text = `SELECT seq, tag FROM clerk_changes WHERE seq = $1
		OR seq = (SELECT min(seq) FROM clerk_changes) OR seq = (SELECT max(seq) FROM clerk_changes) ORDER BY seq`
	rows, err := db.query(ctx, text, seq)
	found, err := scanAll(rows, err, func(r Row) (c row.Change, err error) { return c, r.Scan(&c.Seq, &c.Tag) })
	oldest, head = mirror.FeedStart, mirror.FeedStart
	for i := range found {
		head = FeedCursor(&found[i])
		if i == 0 && found[i].Seq > 1 { // else nothing was removed
			oldest = head
		}
		if found[i].Seq == seq {
			at = head
		}
	}
	return oldest, at, head, err
}

// FeedEnd returns the place of the last change, this transaction's own included.
func (tx *Tx) FeedEnd(ctx context.Context) (mirror.FeedCursor, error) {
	if tx.Head.Seq == 0 {
		return mirror.FeedStart, nil
	}
	rows, err := tx.query(ctx, "SELECT tag FROM clerk_changes WHERE seq = $1", tx.Head.Seq)
	tag, err := exactlyOne(scanAll(rows, err, scanOne[string]))
	return mirror.NewFeedCursor(tx.Head.Seq, tag), err
}

// FeedCursor returns the place of a change.
func FeedCursor(c *row.Change) mirror.FeedCursor { return mirror.NewFeedCursor(c.Seq, c.Tag) }

// FeedEntry returns a change as the API shows it.
func FeedEntry(c *row.Change) mirror.Change {
	return mirror.Change{
		Cursor: FeedCursor(c), At: c.At.Time().UTC(), Kind: c.Key.Kind, ID: c.Key.ID, Operation: mirror.Operation(c.Operation),
		Version: c.Version, Fields: c.Fields, ClerkUserID: c.UserID, ClerkOrganizationID: c.OrganizationID,
		Origin: c.Origin,
	}
}
