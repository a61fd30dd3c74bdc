package store

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/mirror"
)

// resetWithin is how long the rows of an instance may take to delete.
const resetWithin = 30 * time.Minute

// tablesOfInstance hold what belongs to one Clerk instance, beside the mirrored rows. The audit,
// the receipts of erasures, operators, endpoints of outgoing webhooks and the positions of
// consumers stay.
var tablesOfInstance = []string{
	"clerk_overrides", "clerk_role_keys", "clerk_inbox", "clerk_feed_marks", "clerk_consumer_parked", "clerk_verify", "clerk_verify_hidden",
	"clerk_suspects", "clerk_walks", "clerk_walk_history", "clerk_drift", "clerk_webhook_attempts", "clerk_webhook_messages",
	"clerk_job_failures", "clerk_jobs", "clerk_minutes", "clerk_instances", "clerk_machine_tokens", "clerk_revocations",
}

// factsOfInstance are the names of facts in clerk_meta that belong to one instance.
var factsOfInstance = []string{"jwks", "refused_keys", "incidents", metaRefused, metaInstance}

// PinInstance makes the database mirror an instance whose rows it has already. From now on walks
// that began earlier prove nothing.
func (db *DB) PinInstance(ctx context.Context, instance string, entry mirror.AuditEntry) error {
	return db.Update(ctx, func(tx *Tx) error {
		entry.Was, entry.Became = tx.settings.Instance, instance
		return errors.Join(tx.forgetFacts(ctx, "jwks", "refused_keys"), tx.exec(ctx, "DELETE FROM clerk_instances"),
			tx.changeInstance(ctx, instance), tx.AppendAudit(ctx, []mirror.AuditEntry{entry}))
	})
}

// ResetInstance deletes everything that is stored of the instance that the database mirrors, and
// makes it mirror another one. It returns how many mirrored rows were deleted. Readers of the
// change feed find another history. Rows of the application that refer to mirrored ones are a
// mirror.ErrReferenced, and then nothing is deleted.
func (db *DB) ResetInstance(ctx context.Context, instance string, entry mirror.AuditEntry) (rows int64, err error) {
	err = db.UpdateWithin(ctx, resetWithin, func(tx *Tx) error {
		rows = 0
		for _, t := range tables {
			n, err := tx.deleteAll(ctx, t.name)
			if err != nil {
				return err
			}
			rows += n
		}
		for _, name := range tablesOfInstance {
			if _, err := tx.deleteAll(ctx, name); err != nil {
				return err
			}
		}
		if err := errors.Join(tx.endHistory(ctx), tx.checkReferences(ctx), tx.forgetFacts(ctx, factsOfInstance...)); err != nil {
			return err
		}
		entry.Was, entry.Became = tx.settings.Instance, instance
		tx.Head.HighWater, tx.Head.LastReceivedAt = 0, 0
		return errors.Join(tx.changeInstance(ctx, instance), tx.AppendAudit(ctx, []mirror.AuditEntry{entry}))
	})
	var answer interface{ SQLState() string } // of Postgres, whose answer to a statement may come with a later one
	if errors.As(err, &answer) && (answer.SQLState() == "23503" || answer.SQLState() == "23001") {
		err = fmt.Errorf("%w: %w", mirror.ErrReferenced, err)
	}
	return rows, err
}

// deleteAll empties a table and returns how many rows it had.
func (tx *Tx) deleteAll(ctx context.Context, table string) (int64, error) {
	rows, err := tx.query(ctx, "SELECT count(*) FROM "+table)
	n, err := exactlyOne(scanAll(rows, err, scanOne[int64]))
	if err != nil || n == 0 {
		return 0, err
	}
	return n, tx.exec(ctx, "DELETE FROM "+table)
}

// endHistory removes the change feed but for its last change, which gets another tag: readers see
// that the history is another one.
func (tx *Tx) endHistory(ctx context.Context) error {
	tag := make([]byte, 4)
	_, _ = rand.Read(tag)
	return errors.Join(tx.exec(ctx, "DELETE FROM clerk_changes WHERE seq < (SELECT max(seq) FROM clerk_changes)"),
		tx.exec(ctx, "UPDATE clerk_changes SET tag = $1", hex.EncodeToString(tag)))
}

// checkReferences finds rows of the application that would refer to nothing. SQLite checks
// references only in connections that ask for it.
func (tx *Tx) checkReferences(ctx context.Context) error {
	if tx.db.engine != SQLite {
		return nil
	}
	rows, err := tx.query(ctx, `SELECT DISTINCT "table" FROM pragma_foreign_key_check WHERE parent LIKE 'clerk\_%' ESCAPE '\'`)
	names, err := scanAll(rows, err, scanOne[string])
	if err == nil && len(names) > 0 {
		slices.Sort(names)
		err = fmt.Errorf("%w: %s", mirror.ErrReferenced, strings.Join(names, ", "))
	}
	return err
}

func (tx *Tx) forgetFacts(ctx context.Context, names ...string) error {
	condition, arg := tx.db.engine.oneOf("name", names)
	return tx.exec(ctx, "DELETE FROM clerk_meta WHERE "+condition, arg)
}

// changeInstance makes the database mirror an instance, and closes what was proven before.
func (tx *Tx) changeInstance(ctx context.Context, instance string) error {
	at, err := tx.clock(ctx, clerk.TimeOf(tx.db.now()))
	if err != nil {
		return err
	}
	if err := tx.exec(ctx, "UPDATE clerk_leases SET token = token + 1, expires_at = 0"); err != nil { // what reads Clerk now is fenced
		return err
	}
	if err := tx.SetMeta(ctx, metaProvenFrom, strconv.FormatInt(at, 10)); err != nil {
		return err
	}
	return tx.ChangeSettings(ctx, func(s *Settings) { s.Instance = instance })
}

// CountMirrored counts all mirrored rows, deleted ones included.
func (db *DB) CountMirrored(ctx context.Context) (n int64, err error) {
	for _, t := range tables {
		rows, err := db.number(ctx, "SELECT count(*) FROM "+t.name)
		if err != nil {
			return 0, err
		}
		n += rows
	}
	return n, nil
}

// SampleUsers returns the Clerk ids of some users that are not deleted: the last ones by their id,
// which begins with the time when Clerk made them.
func (db *DB) SampleUsers(ctx context.Context, limit int) ([]string, error) {
	rows, err := db.query(ctx, "SELECT clerk_user_id FROM clerk_users WHERE sync_hidden = 0 ORDER BY clerk_user_id DESC LIMIT $1", limit)
	return scanAll(rows, err, func(r Row) (id string, err error) { return id, r.Scan(&id) })
}
