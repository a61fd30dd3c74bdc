package feed

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// include adds to each change the live row of its object, and the end of the feed as of the same
// moment. The history is confirmed again, since the changes may have been read from memory.
func (f *Feed) include(ctx context.Context, changes []mirror.Change) error {
	if len(changes) == 0 {
		return nil
	}
	last, err := placeOf(changes[len(changes)-1].Cursor)
	if err != nil {
		return err
	}
	return f.db.Snapshot(ctx, func(ctx context.Context) error {
		head, err := f.confirm(ctx, last)
		if gone, ok := errors.AsType[*mirror.CursorGoneError](err); ok && gone.Reason == mirror.CursorExpired {
			head, err = gone.Head, nil // the change was removed since
		}
		if err != nil {
			return err
		}
		rows, err := f.liveObjects(ctx, changes)
		for i := range changes {
			c := &changes[i]
			c.Object, c.AsOf = json.RawMessage("null"), head
			if o, ok := rows[c.Kind][c.ID]; ok && c.Operation != mirror.Erased {
				c.Object = o.Columns
			}
		}
		return err
	})
}

// liveObjects reads the live rows of changed objects: one query a kind.
func (f *Feed) liveObjects(ctx context.Context, changes []mirror.Change) (map[clerk.Kind]map[string]store.LiveObject, error) {
	ids := map[clerk.Kind][]string{}
	for i := range changes {
		c := &changes[i]
		if c.Operation != mirror.Erased {
			ids[c.Kind] = append(ids[c.Kind], c.ID)
		}
	}
	rows := make(map[clerk.Kind]map[string]store.LiveObject, len(ids))
	for kind, wanted := range ids {
		slices.Sort(wanted)
		found, err := f.db.LiveObjects(ctx, kind, slices.Compact(wanted))
		if err != nil {
			return nil, err
		}
		rows[kind] = make(map[string]store.LiveObject, len(found))
		for _, o := range found {
			rows[kind][o.Key.ID] = o
		}
	}
	return rows, nil
}
