package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/clerksync/clerksync/mirror"
)

// Dismiss sets dead letters aside, so that they no longer count as events that could not be
// applied. It dismisses all of them or none, and audits each. Dismissing a delivery twice changes
// nothing.
func (db *DB) Dismiss(ctx context.Context, messageIDs []string, by mirror.By) error {
	return db.Update(ctx, func(tx *Tx) error {
		for _, id := range messageIDs {
			if err := tx.dismiss(ctx, id, by); err != nil {
				return fmt.Errorf("delivery %s: %w", id, err)
			}
		}
		return nil
	})
}

func (tx *Tx) dismiss(ctx context.Context, id string, by mirror.By) error {
	rows, err := tx.query(ctx, deliveryColumns+" WHERE message_id = $1", id)
	d, err := exactlyOne(scanAll(rows, err, scanDelivery))
	switch {
	case err != nil:
		return err
	case d.State == mirror.DeliveryDismissed:
		return nil
	case d.State != mirror.DeliveryDead:
		return fmt.Errorf("%w: its state is %s", mirror.ErrNotDead, d.State)
	}
	if err := tx.exec(ctx, "UPDATE clerk_inbox SET state = 'dismissed' WHERE message_id = $1", id); err != nil {
		return err
	}
	entry := AuditDelivery(by.Entry(mirror.AuditDismissed), &d)
	entry.Became = string(mirror.DeliveryDismissed)
	return tx.AppendAudit(ctx, []mirror.AuditEntry{entry})
}

// AuditDelivery returns an entry with the delivery that it is about: its state, and whose it is.
func AuditDelivery(entry mirror.AuditEntry, d *Delivery) mirror.AuditEntry {
	entry.Object, entry.Was = d.MessageID, strings.TrimSuffix(string(d.State)+" "+d.Reason, " ")
	for _, subject := range d.Subjects {
		if user, ok := strings.CutPrefix(subject, "user:"); ok && entry.ClerkUserID == "" {
			entry.ClerkUserID = user
		}
		if organization, ok := strings.CutPrefix(subject, "organization:"); ok && entry.ClerkOrganizationID == "" {
			entry.ClerkOrganizationID = organization
		}
	}
	return entry
}
