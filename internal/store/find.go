package store

import (
	"database/sql"
	"fmt"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/row"
)

// Wanted names what a transaction needs to know of what is stored.
type Wanted struct {
	Rows       []row.Key
	Users      []string // whether they were erased
	Deliveries []string // message ids
	Walks      bool     // the starts of the last complete walks
}

// Found is what is stored of what was wanted. It lacks what is not stored.
type Found struct {
	Rows       map[row.Key]*row.Row
	Erased     map[string]bool
	Deliveries map[string]Delivery // what a second delivery needs to know of an earlier one
	Walks      map[string]Start    // by list; those of earlier versions did not note them
}

// Find looks up what is wanted, on Postgres in one round trip.
func (tx *Tx) Find(w Wanted) (Found, error) {
	found, err := tx.askFor(w)
	if err != nil {
		return found, err
	}
	return found, tx.send()
}

// askFor asks for what is wanted. What it returns is complete after the next send.
func (tx *Tx) askFor(w Wanted) (f Found, err error) {
	if f.Rows, err = tx.askRows(w.Rows); err != nil {
		return f, err
	}
	f.Erased = make(map[string]bool)
	const erased = "SELECT clerk_user_id FROM clerk_users WHERE sync_erased = 1 AND "
	err = tx.askOneOf(func(r Row) error {
		id, err := scanOne[string](r)
		f.Erased[id] = true
		return err
	}, erased, "clerk_user_id", w.Users)
	if err != nil {
		return f, fmt.Errorf("ask which users were erased: %w", err)
	}
	f.Deliveries = make(map[string]Delivery)
	const deliveries = "SELECT message_id, state, attempts, COALESCE(digest, ''), received_at FROM clerk_inbox WHERE "
	err = tx.askOneOf(func(r Row) error {
		var d Delivery
		err := r.Scan(&d.MessageID, &d.State, &d.Attempts, &d.Digest, &d.ReceivedAt)
		f.Deliveries[d.MessageID] = d
		return err
	}, deliveries, "message_id", w.Deliveries)
	if err != nil {
		return f, fmt.Errorf("ask which messages came before: %w", err)
	}
	if w.Walks {
		f.Walks = make(map[string]Start)
		err = tx.ask(func(r Row) error {
			var list string
			var s Start
			err := r.Scan(&list, &s.Write, &s.ObservedAt, &s.By)
			f.Walks[list] = s
			return err
		}, "SELECT list, complete_write, complete_observed_at, complete_by FROM clerk_walks WHERE complete_observed_at > 0")
	}
	return f, err
}

// askRows asks for the rows with the keys, those that exist.
func (tx *Tx) askRows(keys []row.Key) (map[row.Key]*row.Row, error) {
	byKind := map[clerk.Kind][]string{}
	for _, k := range keys {
		byKind[k.Kind] = append(byKind[k.Kind], k.ID)
	}
	found := make(map[row.Key]*row.Row, len(keys))
	for kind, ids := range byKind {
		t := tables[kind]
		err := tx.askOneOf(func(r Row) error {
			one, text, err := scanRow(kind, r)
			if err != nil {
				return err
			}
			if tx.db.engine == SQLite {
				tx.noteStored(t, one, text)
			}
			found[one.Key] = one
			return nil
		}, t.selectRows[tx.db.engine], t.key(), ids)
		if err != nil {
			return nil, fmt.Errorf("load %s: %w", t.name, err)
		}
	}
	return found, nil
}

// scanRow reads a row. text is what its checksum covers, until the next row is read.
func scanRow(kind clerk.Kind, from Row) (r *row.Row, text sql.RawBytes, err error) {
	r = &row.Row{Key: row.Key{Kind: kind}}
	var sum int64
	err = from.Scan(&r.ID, &r.UserID, &r.OrganizationID, &r.BannedAt, &r.SignedInAt, &r.ActiveAt,
		&r.DeletedAt, &r.Raw, (*boolean)(&r.Tombstoned), (*boolean)(&r.Terminal), &r.Rank, &r.UpdatedAt, &r.ObservedAt,
		&r.Revision, &r.Digest, (*boolean)(&r.Read), &r.SeenAt, &r.GoneAt, &r.HintAt, &r.Written, (*boolean)(&r.Erased), &r.ReadAfter,
		(*boolean)(&r.Provision.Deprovisioned), &r.Provision.UpdatedAt, &r.Provision.ObservedAt, &r.Overrides, &text, &sum)
	r.Altered = !holds(text, sum)
	if !r.Tombstoned {
		r.DeletedAt = 0
	}
	return r, text, err
}
