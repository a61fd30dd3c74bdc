package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/row"
)

// Settings are stored in the database and decide how it is read and written. They are in force for
// every process that uses the database, whatever that process is configured with.
type Settings struct {
	// Revision counts the changes. A handle that has not loaded the settings yet has 0.
	Revision int64
	// Ladder is the role ladder by which all stored roles were derived, lowest first; nil: none was
	// stored yet.
	Ladder []string
	// Redact lists the field paths that are never stored; nil: none were stored yet, not even an
	// empty list.
	Redact []string
	// Instance is the Clerk instance (ins_…) that the database mirrors; empty: it is not known yet.
	Instance string
	// OnChange means that an application with an OnChange uses the database. Changes that other
	// processes make pass it by.
	OnChange bool
}

// Roles returns the ladder, or the default one before any was stored.
func (s *Settings) Roles() []string {
	if s.Ladder == nil {
		return DefaultLadder()
	}
	return s.Ladder
}

// The names under which clerk_meta keeps the settings.
const (
	metaLadder   = "ladder"
	metaRedact   = "redaction_paths"
	metaInstance = "instance"
	metaOnChange = "on_change" // "1": an application has one
)

// selectSettings reads all of them in one statement, and so at one moment.
const selectSettings = `SELECT h.settings, COALESCE(m.name, ''), COALESCE(m.value, '')
	FROM clerk_head h LEFT JOIN clerk_meta m ON m.name IN ('ladder', 'redaction_paths', 'instance', 'on_change') WHERE h.one = 1`

func scanSettings(rows *sql.Rows, err error) (*Settings, error) {
	s := &Settings{}
	found, err := scanAll(rows, err, func(r Row) (none struct{}, err error) {
		var name, value string
		if err := r.Scan(&s.Revision, &name, &value); err != nil {
			return none, err
		}
		switch name {
		case metaLadder:
			err = json.Unmarshal([]byte(value), &s.Ladder)
		case metaRedact:
			err = json.Unmarshal([]byte(value), &s.Redact)
		case metaInstance:
			s.Instance = value
		case metaOnChange:
			s.OnChange = value == "1"
		}
		return none, err
	})
	if err == nil && len(found) == 0 {
		err = ErrNotFound
	}
	if err == nil && s.Ladder != nil {
		err = CheckLadder(s.Ladder)
	}
	if err != nil {
		return nil, fmt.Errorf("read the settings of the database: %w", err)
	}
	return s, nil
}

// Settings returns the settings as this process knows them: as of the last transaction, or of the
// last LoadSettings. The result is shared: read it, never change it.
func (db *DB) Settings() *Settings { return db.settings.Load() }

// LoadSettings reads the settings that are in force now.
func (db *DB) LoadSettings(ctx context.Context) (*Settings, error) {
	before := db.settings.Load()
	rows, err := db.query(ctx, selectSettings)
	s, err := scanSettings(rows, err)
	if err != nil {
		return nil, err
	}
	db.settings.CompareAndSwap(before, s) // a transaction that ended meanwhile knows better
	return s, nil
}

// Settings returns the settings that are in force in this transaction. No one else can change them
// before it ends.
func (tx *Tx) Settings() *Settings { return tx.settings }

// learnSettings makes sure that the transaction works by the settings that are in force. It costs a
// comparison, and a statement only after a change.
func (tx *Tx) learnSettings(ctx context.Context) error {
	tx.settings = tx.db.settings.Load()
	if tx.settings.Revision == tx.Head.Settings {
		return nil
	}
	rows, err := tx.query(ctx, selectSettings)
	if tx.settings, err = scanSettings(rows, err); err != nil {
		return err
	}
	if !tx.readOnly { // else a writer may have changed them since this moment of the database
		tx.db.settings.Store(tx.settings)
	}
	return nil
}

// ChangeSettings puts other settings into force. They hold in the rest of this transaction, and for
// all others from its commit on.
func (tx *Tx) ChangeSettings(ctx context.Context, change func(*Settings)) error {
	next := *tx.settings
	change(&next)
	if next.Ladder != nil {
		if err := CheckLadder(next.Ladder); err != nil {
			return err
		}
	}
	for name, list := range map[string][]string{metaLadder: next.Ladder, metaRedact: next.Redact} {
		if list == nil {
			continue
		}
		value, err := json.Marshal(list)
		if err != nil {
			return fmt.Errorf("encode the %s: %w", name, err)
		}
		if err := tx.SetMeta(ctx, name, string(value)); err != nil {
			return err
		}
	}
	if next.Instance != "" {
		if err := tx.SetMeta(ctx, metaInstance, next.Instance); err != nil {
			return err
		}
	}
	if next.OnChange != tx.settings.OnChange {
		if err := tx.SetMeta(ctx, metaOnChange, map[bool]string{true: "1", false: "0"}[next.OnChange]); err != nil {
			return err
		}
	}
	tx.Head.Settings++
	next.Revision = tx.Head.Settings
	tx.settings, tx.changedSettings = &next, true
	return nil
}

// RememberInstance notes which Clerk instance the database mirrors, unless it knows one already. It
// returns the one that the database mirrors from now on.
func (db *DB) RememberInstance(ctx context.Context, instance string) (string, error) {
	if known := db.Settings().Instance; known != "" || instance == "" {
		return known, nil
	}
	known := ""
	err := db.Update(ctx, func(tx *Tx) error {
		if known = tx.settings.Instance; known != "" {
			return nil
		}
		known = instance
		return tx.ChangeSettings(ctx, func(s *Settings) { s.Instance = instance })
	})
	return known, err
}

// RememberOnChange notes whether an application with an OnChange uses the database. It writes
// nothing if the database knows that already.
func (db *DB) RememberOnChange(ctx context.Context, used bool) error {
	if db.Settings().OnChange == used {
		return nil
	}
	return db.Update(ctx, func(tx *Tx) error {
		if tx.settings.OnChange == used {
			return nil
		}
		return tx.ChangeSettings(ctx, func(s *Settings) { s.OnChange = used })
	})
}

// UsersOfAnotherRole lists users by id, from after one on, who may have another role by the ladder
// next than by the one before. It may list some whose role stays; it lists everyone whose role
// changes.
func (tx *Tx) UsersOfAnotherRole(ctx context.Context, before, next []string, after string, limit int) ([]row.Key, error) {
	names := params(3, 2+len(next))
	condition := " AND (role NOT IN (" + names + ") OR role_rejected IN (" + names + ")"
	args := make([]any, 0, len(next)+1)
	for _, role := range next {
		args = append(args, role)
	}
	if before[0] != next[0] { // who claims no role on the ladder has the lowest
		condition += fmt.Sprintf(" OR role = $%d OR role_rejected IS NOT NULL", 3+len(next))
		args = append(args, before[0])
	}
	return tx.keys(ctx, clerk.KindUser, condition+")", after, limit, args...)
}
