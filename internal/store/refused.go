package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/clerksync/clerksync/clerk"
)

// metaRefused is the name under which clerk_meta keeps what the application's OnChange said last.
const metaRefused = "on_change_refused"

// Refused is what the application's OnChange refused, and what is therefore not stored.
type Refused struct {
	DeadLetters int64 // events
	Objects     int64 // that were read from Clerk, and stay as they were
	Last        LastRefusal
}

// LastRefusal is what OnChange said last.
type LastRefusal struct {
	At       clerk.Time `json:"at"`
	Problem  string     `json:"problem"`
	Erasures int64      `json:"erasures"` // users whose erasure is due and was refused
}

// Any reports whether anything is refused now.
func (r *Refused) Any() bool { return r.DeadLetters+r.Objects+r.Last.Erasures > 0 }

// isRefused are the events that OnChange refused, as a partial index says it. Health counts them
// each second.
const isRefused = "state = 'dead' AND reason = 'hook_failed'"

// maxRefused bounds how many of them are counted.
const maxRefused = 100_000

// Refused returns what the application's OnChange refused. Of the events it counts a hundred
// thousand at most.
func (db *DB) Refused(ctx context.Context) (r Refused, err error) {
	const count = "SELECT count(*) FROM (SELECT message_id FROM clerk_inbox WHERE " + isRefused + " ORDER BY message_id LIMIT $1) AS counted"
	r.DeadLetters, err = db.number(ctx, count, maxRefused)
	if err != nil {
		return r, err
	}
	if r.Objects, err = db.number(ctx, "SELECT count(*) FROM clerk_suspects WHERE reason = 'hook'"); err != nil {
		return r, err
	}
	text, err := db.Meta(ctx, metaRefused)
	if errors.Is(err, ErrNotFound) {
		return r, nil
	}
	r.Last = parseRefusal(text)
	return r, err
}

// parseRefusal reads the stored value. A damaged one counts as none.
func parseRefusal(text string) (last LastRefusal) {
	if json.Unmarshal([]byte(text), &last) != nil {
		return LastRefusal{}
	}
	return last
}

// NoteRefusal keeps what the application's OnChange said.
func (tx *Tx) NoteRefusal(ctx context.Context, problem string) error {
	return tx.changeRefusal(ctx, func(last *LastRefusal) { last.At, last.Problem = clerk.TimeOf(tx.db.now()), problem })
}

// NoteRefusedErasures keeps how many users could not be erased because the application's OnChange
// refused, and what it said last.
func (db *DB) NoteRefusedErasures(ctx context.Context, users int, problem string) error {
	text, err := db.Meta(ctx, metaRefused)
	if errors.Is(err, ErrNotFound) {
		err = nil
	}
	if err != nil || users == 0 && parseRefusal(text).Erasures == 0 {
		return err
	}
	return db.Update(ctx, func(tx *Tx) error {
		return tx.changeRefusal(ctx, func(last *LastRefusal) {
			if last.Erasures = int64(users); users > 0 {
				last.At, last.Problem = clerk.TimeOf(db.now()), problem
			}
		})
	})
}

func (tx *Tx) changeRefusal(ctx context.Context, change func(*LastRefusal)) error {
	rows, err := tx.query(ctx, "SELECT value FROM clerk_meta WHERE name = $1", metaRefused)
	stored, err := scanAll(rows, err, scanOne[string])
	if err != nil {
		return err
	}
	var last LastRefusal
	if len(stored) > 0 {
		last = parseRefusal(stored[0])
	}
	change(&last)
	text, err := json.Marshal(last)
	if err != nil {
		return fmt.Errorf("encode a refusal: %w", err)
	}
	return tx.SetMeta(ctx, metaRefused, string(text))
}
