package feed

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

const (
	snapshotPrefix = "s."
	// maxSnapshotCursor bounds the cursor of a snapshot: all kinds and a key of any length that
	// occurs.
	maxSnapshotCursor = 2048
)

// progress is how far a snapshot has come. Its text is the cursor: any process can go on with it.
type progress struct {
	Head  mirror.FeedCursor `json:"h"` // before the first row was read
	Kinds []clerk.Kind      `json:"k"` // those to read, the present one first
	After string            `json:"a"` // the key of the present kind that was read last
}

func (p *progress) cursor() mirror.FeedCursor {
	text, _ := json.Marshal(p) //nolint:errchkjson // texts alone
	return mirror.FeedCursor(snapshotPrefix + base64.RawURLEncoding.EncodeToString(text))
}

// progressOf parses the cursor of a snapshot. Any text that no snapshot has returned is refused.
func progressOf(c mirror.FeedCursor) (p progress, err error) {
	invalid := fmt.Errorf("the cursor of a snapshot: %w", mirror.ErrInvalidCursor)
	if len(c) > maxSnapshotCursor {
		return p, invalid
	}
	text, err := base64.RawURLEncoding.Strict().DecodeString(strings.TrimPrefix(string(c), snapshotPrefix))
	if err != nil || json.Unmarshal(text, &p) != nil || p.cursor() != c || p.Kinds == nil || repeats(p.Kinds) || checkKinds(p.Kinds) != nil {
		return p, invalid
	}
	if _, _, err := p.Head.Split(); err != nil {
		return p, invalid
	}
	return p, nil
}

func repeats(kinds []clerk.Kind) bool {
	sorted := slices.Sorted(slices.Values(kinds))
	return len(slices.Compact(sorted)) < len(kinds)
}

// begin returns the progress of a new snapshot.
func (f *Feed) begin(ctx context.Context, kinds []clerk.Kind) (progress, error) {
	if err := checkKinds(kinds); err != nil {
		return progress{}, err
	}
	if repeats(kinds) {
		return progress{}, fmt.Errorf("%w: a snapshot has a kind twice", mirror.ErrInvalidFilter)
	}
	head, err := f.Head(ctx)
	return progress{Head: head, Kinds: kinds}, err
}

// snapshot reads the next page of a snapshot, all of it as of one moment. The page after the last
// one begins at the end of the feed from before the first one.
func (f *Feed) snapshot(ctx context.Context, q *mirror.FeedQuery, p progress, limit int) (page mirror.FeedPage, err error) {
	begun, err := placeOf(p.Head)
	if err != nil {
		return page, err
	}
	err = f.db.Snapshot(ctx, func(ctx context.Context) error {
		head, err := f.confirm(ctx, begun)
		filter := store.LiveFilter{UserID: q.ClerkUserID, OrganizationID: q.ClerkOrganizationID}
		for reads := 0; err == nil && len(p.Kinds) > 0 && len(page.Changes) < limit && reads < maxWindows; reads++ {
			var entries []mirror.Change
			entries, err = f.readRows(ctx, &p, filter, limit-len(page.Changes))
			page.Changes = append(page.Changes, entries...)
		}
		for i := range page.Changes {
			if q.IncludeObject {
				page.Changes[i].AsOf = head
			} else {
				page.Changes[i].Object = nil
			}
		}
		if page.Next = p.cursor(); len(p.Kinds) == 0 {
			page.Next = p.Head
		}
		page.CaughtUp = page.Next == head
		return err
	})
	return page, err
}

// readRows reads live rows of the present kind, and moves the progress on.
func (f *Feed) readRows(ctx context.Context, p *progress, filter store.LiveFilter, limit int) ([]mirror.Change, error) {
	keys, err := f.db.KeysFor(ctx, p.Kinds[0], filter, p.After, limit)
	if err != nil {
		return nil, err
	}
	objects, err := f.db.LiveObjects(ctx, p.Kinds[0], keys)
	entries := make([]mirror.Change, len(objects))
	for i := range objects {
		o := &objects[i]
		p.After = o.Key.ID
		entries[i] = mirror.Change{
			Cursor: p.cursor(), At: f.now().UTC(), Kind: o.Key.Kind, ID: o.Key.ID, Operation: mirror.Read, Version: o.Version,
			ClerkUserID: o.UserID, ClerkOrganizationID: o.OrganizationID, Object: o.Columns,
		}
	}
	if len(keys) == limit {
		p.After = keys[limit-1]
	} else {
		p.Kinds, p.After = p.Kinds[1:], ""
	}
	return entries, err
}
