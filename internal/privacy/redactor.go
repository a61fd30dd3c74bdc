package privacy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// Redactor redacts by the paths that a database says, or by configured ones as long as the database
// has none.
type Redactor struct {
	db         *store.DB
	log        *slog.Logger
	configured Redaction
	parsed     atomic.Pointer[parsed]
}

// parsed is the redaction that settings say. It is parsed once for each change of the settings.
type parsed struct {
	settings  *store.Settings
	redaction Redaction
}

// NewRedactor returns a Redactor of a database.
func NewRedactor(db *store.DB, log *slog.Logger, configured Redaction) *Redactor {
	return &Redactor{db: db, log: log, configured: configured}
}

// Redact removes what must not be stored. It is idempotent, so the stored body gives the same
// operations as the delivered one, and an event and a read of the same object agree.
func (r *Redactor) Redact(v clerk.Value) (redacted clerk.Value, changed bool) {
	v, changed = redactSecrets(v)
	redaction := r.inForce(r.db.Settings())
	if len(redaction) == 0 {
		return v, changed
	}
	v, byPath := redaction.apply(v)
	return v, changed || byPath
}

// inForce returns the redaction by the settings of the database.
func (r *Redactor) inForce(s *store.Settings) Redaction {
	if s.Redact == nil {
		return r.configured
	}
	if p := r.parsed.Load(); p != nil && p.settings == s {
		return p.redaction
	}
	redaction, err := ParseRedaction(s.Redact)
	if err != nil {
		// stored by a version that accepted other paths; what this version accepts is redacted
		r.log.Warn("stored paths of redaction are not understood; run clerksync migrate to store the configured ones", "error", err)
	}
	r.parsed.Store(&parsed{s, redaction})
	return redaction
}

// Names of values in clerk_meta.
const (
	metaRedaction      = "redaction"        // the revision of the rules that were applied to all that is stored
	metaRedactedBefore = "redaction_before" // the paths before an unfinished change, as JSON; or empty
)

// ChangeRedaction puts field paths into force that are never stored, and redacts by them what is
// stored: bodies of rows and of deliveries. It returns how many bodies it rewrote. If it is
// interrupted, the next call continues it. What earlier rules removed comes back only with the next
// read from Clerk.
func (r *Redactor) ChangeRedaction(ctx context.Context, paths []string) (changed int64, err error) {
	paths = slices.Compact(slices.Sorted(slices.Values(paths)))
	if paths == nil {
		paths = []string{} // none, and that is stored
	}
	known := r.db.Settings().Redact
	if known == nil || !slices.Equal(known, paths) {
		err = r.db.Update(ctx, func(tx *store.Tx) error { return storePaths(ctx, tx, paths) })
	}
	if err != nil {
		return 0, fmt.Errorf("change the redaction: %w", err)
	}
	return r.redactStored(ctx)
}

func storePaths(ctx context.Context, tx *store.Tx, paths []string) error {
	known := tx.Settings().Redact
	if known != nil && slices.Equal(known, paths) {
		return nil
	}
	if known != nil { // the first paths of a database are no change
		before, err := json.Marshal(known)
		if err != nil {
			return err
		}
		if err := tx.SetMeta(ctx, metaRedactedBefore, string(before)); err != nil {
			return err
		}
	}
	return tx.ChangeSettings(ctx, func(s *store.Settings) { s.Redact = paths })
}

// redactStored redacts what was stored by other rules than those in force.
func (r *Redactor) redactStored(ctx context.Context) (changed int64, err error) {
	settings := r.db.Settings()
	revision := r.inForce(settings).revision()
	applied, err := r.meta(ctx, metaRedaction)
	if err != nil {
		return 0, err
	}
	if applied != revision {
		if changed, err = r.redactAll(ctx); err != nil {
			return changed, err
		}
	}
	before, err := r.meta(ctx, metaRedactedBefore)
	if err != nil || applied == revision && before == "" {
		return changed, err
	}
	return changed, r.db.Update(ctx, func(tx *store.Tx) error {
		if tx.Settings().Revision != settings.Revision {
			return nil // the process that changed them meanwhile also redacts what is stored
		}
		if before != "" {
			if err := auditPaths(ctx, tx, before, settings.Redact, changed); err != nil {
				return err
			}
		}
		return errors.Join(tx.SetMeta(ctx, metaRedactedBefore, ""), tx.SetMeta(ctx, metaRedaction, revision))
	})
}

func (r *Redactor) meta(ctx context.Context, name string) (string, error) {
	value, err := r.db.Meta(ctx, name)
	if errors.Is(err, store.ErrNotFound) {
		return "", nil
	}
	return value, err
}

func auditPaths(ctx context.Context, tx *store.Tx, before string, paths []string, changed int64) error {
	after, err := json.Marshal(paths)
	if err != nil {
		return err
	}
	return tx.AppendAudit(ctx, []mirror.AuditEntry{{
		Action: mirror.AuditRedaction, Origin: fmt.Sprintf("%d bodies changed", changed), Was: before, Became: string(after),
	}})
}

// redactAll redacts all rows and all deliveries.
func (r *Redactor) redactAll(ctx context.Context) (changed int64, err error) {
	head, err := r.db.Head(ctx)
	if err != nil {
		return 0, err
	}
	for _, kind := range clerk.Kinds() {
		if head.Seq == 0 {
			break // no row was ever written
		}
		n, err := r.redactRows(ctx, kind)
		if changed += n; err != nil {
			return changed, fmt.Errorf("redact stored rows: %w", err)
		}
	}
	n, err := r.redactBodies(ctx)
	if changed += n; err != nil {
		return changed, fmt.Errorf("redact stored deliveries: %w", err)
	}
	return changed, nil
}

func (r *Redactor) redactRows(ctx context.Context, kind clerk.Kind) (changed int64, err error) {
	err = r.db.UpdateInPages(ctx, kind, rowsPage, func(tx *store.Tx, keys []row.Key) error {
		n, err := r.redactPage(ctx, tx, keys)
		changed += n
		return err
	})
	return changed, err
}

// redactPage redacts the rows of some keys.
func (r *Redactor) redactPage(ctx context.Context, tx *store.Tx, keys []row.Key) (changed int64, err error) {
	return rewriteRows(ctx, tx, keys, func(stored *row.Row) bool {
		if stored.Raw == "" {
			return false
		}
		body, _ := r.Redact(stored.Body())
		if body.JSON() == stored.Raw {
			return false
		}
		setBody(stored, body)
		return true
	})
}

func (r *Redactor) redactBodies(ctx context.Context) (changed int64, err error) {
	for cursor := ""; ; {
		list, last, err := r.db.Bodies(ctx, cursor, bodiesPage, bodiesBytes)
		if err != nil || last == "" {
			return changed, err
		}
		cursor = last
		var differ []store.Delivery
		for _, d := range list {
			body, err := clerk.Parse([]byte(d.Body))
			if err != nil {
				continue // damaged, so its fields cannot be found
			}
			if redacted, _ := r.Redact(body); redacted.JSON() != d.Body {
				d.Body = redacted.JSON()
				differ = append(differ, d)
			}
		}
		if len(differ) == 0 {
			continue
		}
		changed += int64(len(differ))
		if err := r.db.Update(ctx, func(tx *store.Tx) error { return tx.RewriteBodies(ctx, differ) }); err != nil {
			return changed, err
		}
		if ctx.Err() != nil {
			return changed, ctx.Err()
		}
	}
}
