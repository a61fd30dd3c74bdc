package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/store"
)

// rules are the redaction in force, parsed once for each change of the settings.
type rules struct {
	of        *store.Settings
	redaction Redaction
}

// redactionBy returns the redaction that settings of the database say. Before any was stored it is the configured one.
func (in *Ingest) redactionBy(s *store.Settings) Redaction {
	if s.Redact == nil {
		return in.redaction
	}
	if r := in.rules.Load(); r != nil && r.of == s {
		return r.redaction
	}
	redaction, err := ParseRedaction(s.Redact)
	if err != nil { // of a version that took other paths: what this one takes is redacted
		in.log.Warn("stored paths of redaction are not understood; run clerksync migrate to store the configured ones", "error", err)
	}
	in.rules.Store(&rules{s, redaction})
	return redaction
}

// renewAll reads deliveries again that were read by settings which are not in force any more: other paths are redacted
// now, or the database knows its instance.
func (in *Ingest) renewAll(tx *store.Tx, jobs []*job) error {
	for _, j := range jobs {
		if j.settings == tx.Settings().Revision {
			continue
		}
		renewed, err := in.renew(j.Prepared)
		if err != nil {
			return fmt.Errorf("read %s by the settings in force: %w", j.delivery.MessageID, err)
		}
		j.Prepared = renewed
	}
	return nil
}

// renew reads a delivery again from the body that was to be stored: redaction is idempotent.
func (in *Ingest) renew(p *Prepared) (*Prepared, error) {
	if p.delivery.Body == "" {
		return p, nil // nothing of it is kept
	}
	envelope, err := clerk.Parse([]byte(p.delivery.Body))
	if err != nil {
		return nil, err
	}
	next, err := in.read(envelope)
	if err != nil {
		return nil, err
	}
	next.replay, next.size, next.span = p.replay, p.size, p.span
	next.delivery.MessageID, next.delivery.ReceivedAt, next.delivery.SignedAt = p.delivery.MessageID, p.delivery.ReceivedAt, p.delivery.SignedAt
	next.delivery.Digest = p.delivery.Digest // of the body as it was delivered
	return next, nil
}

const (
	// metaRedaction is the revision of the rules by which everything that is stored was redacted.
	metaRedaction = "redaction"
	// metaRedactedBefore are the paths before a change that has not ended yet, as JSON; empty: there is none.
	metaRedactedBefore = "redaction_before"
)

// ChangeRedaction puts field paths into force that are never stored, and redacts by them what is stored: bodies of rows
// and of deliveries. It returns how many it rewrote. One that is interrupted goes on at the next call. What older rules
// took out does not come back by it, but by the next read from Clerk.
func (in *Ingest) ChangeRedaction(ctx context.Context, paths []string) (changed int64, err error) {
	paths = slices.Compact(slices.Sorted(slices.Values(paths)))
	if paths == nil {
		paths = []string{} // none, and that is stored
	}
	known := in.db.Settings().Redact
	if known == nil || !slices.Equal(known, paths) {
		err = in.db.Update(ctx, func(tx *store.Tx) error { return forceRedaction(ctx, tx, paths) })
	}
	if err != nil {
		return 0, fmt.Errorf("change the redaction: %w", err)
	}
	return in.redactStored(ctx)
}

func forceRedaction(ctx context.Context, tx *store.Tx, paths []string) error {
	known := tx.Settings().Redact
	if known != nil && slices.Equal(known, paths) {
		return nil
	}
	if known != nil { // the first ones of a database are no change
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

// redactStored redacts what was stored under other rules than those in force.
func (in *Ingest) redactStored(ctx context.Context) (changed int64, err error) {
	settings := in.db.Settings()
	revision := in.redactionBy(settings).revision()
	applied, err := in.db.Meta(ctx, metaRedaction)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return 0, err
	}
	if applied != revision {
		if changed, err = in.redactAll(ctx); err != nil {
			return changed, err
		}
	}
	before, err := in.db.Meta(ctx, metaRedactedBefore)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return changed, err
	}
	if applied == revision && before == "" {
		return changed, nil
	}
	return changed, in.db.Update(ctx, func(tx *store.Tx) error {
		if tx.Settings().Revision != settings.Revision {
			return nil // the process that changed them meanwhile also redacts what is stored
		}
		if before != "" {
			after, err := json.Marshal(settings.Redact)
			if err != nil {
				return err
			}
			err = tx.AppendAudit(ctx, []store.AuditEntry{{
				Action: store.AuditRedaction, Origin: fmt.Sprintf("%d bodies changed", changed), Was: before, Became: string(after),
			}})
			if err != nil {
				return err
			}
		}
		return errors.Join(tx.SetMeta(ctx, metaRedactedBefore, ""), tx.SetMeta(ctx, metaRedaction, revision))
	})
}

// redactAll redacts all rows and all deliveries.
func (in *Ingest) redactAll(ctx context.Context) (changed int64, err error) {
	head, err := in.db.Head(ctx)
	if err != nil {
		return 0, err
	}
	for _, kind := range clerk.Kinds() {
		if head.Seq == 0 {
			break // no row was ever written
		}
		n, err := in.redactRows(ctx, kind)
		if changed += n; err != nil {
			return changed, fmt.Errorf("redact stored rows: %w", err)
		}
	}
	n, err := in.redactBodies(ctx)
	if changed += n; err != nil {
		return changed, fmt.Errorf("redact stored deliveries: %w", err)
	}
	return changed, nil
}
