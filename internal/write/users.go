package write

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/clerkapi"
	"github.com/clerksync/clerksync/internal/privacy"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// SetRole sets public_metadata.role of a user, one of the ladder in force. Without a secret key it
// overrides the role here.
func (w *Writer) SetRole(ctx context.Context, userID, role string, by mirror.By, p clerkapi.Priority) (mirror.Written, error) {
	if err := w.Check(); err != nil {
		return mirror.Written{}, err
	}
	if ladder := w.DB.Settings().Roles(); !slices.Contains(ladder, role) {
		return mirror.Written{}, fmt.Errorf("%w: there are %s, and not %q", mirror.ErrInvalidRole, strings.Join(ladder, ", "), role)
	}
	c, user, err := w.changeOf(ctx, userID, by.Entry(mirror.AuditRole))
	if err != nil {
		return mirror.Written{}, err
	}
	if w.API == nil {
		return w.override(ctx, c, mirror.OverrideRole, role, by)
	}
	c.write = clerkapi.MergePublicMetadata(c.key.ID, clerk.Object().With("role", clerk.Text(role)))
	c.ends = []mirror.OverrideField{mirror.OverrideRole}
	c.entry.Was, c.entry.Became = user.Role, role
	return w.atClerk(ctx, c, p)
}

// SetBanned bans a user or lifts the ban. Without a secret key it overrides that here.
func (w *Writer) SetBanned(ctx context.Context, userID string, banned bool, by mirror.By, p clerkapi.Priority) (mirror.Written, error) {
	action, change := mirror.AuditUnbanned, clerkapi.Unban
	if banned {
		action, change = mirror.AuditBanned, clerkapi.Ban
	}
	if err := w.Check(); err != nil {
		return mirror.Written{}, err
	}
	c, user, err := w.changeOf(ctx, userID, by.Entry(action))
	if err != nil {
		return mirror.Written{}, err
	}
	if w.API == nil {
		return w.override(ctx, c, mirror.OverrideBanned, strconv.FormatBool(banned), by)
	}
	c.write, c.ends = change(c.key.ID), []mirror.OverrideField{mirror.OverrideBanned}
	c.switches(&user, "banned", user.Banned, banned)
	return w.atClerk(ctx, c, p)
}

// SetLocked locks a user out of signing in, or lifts a lock. That needs a secret key.
func (w *Writer) SetLocked(ctx context.Context, userID string, locked bool, by mirror.By, p clerkapi.Priority) (mirror.Written, error) {
	action, change := mirror.AuditUnlocked, clerkapi.Unlock
	if locked {
		action, change = mirror.AuditLocked, clerkapi.Lock
	}
	if err := w.Check(); err != nil {
		return mirror.Written{}, err
	}
	if w.API == nil {
		return mirror.Written{}, fmt.Errorf("%w: locks are at Clerk alone; a ban can be set here", mirror.ErrNoSecretKey)
	}
	c, user, err := w.changeOf(ctx, userID, by.Entry(action))
	if err != nil {
		return mirror.Written{}, err
	}
	c.write = change(c.key.ID)
	c.switches(&user, "locked", user.Locked, locked)
	return w.atClerk(ctx, c, p)
}

// switches says in the audit which state of a user is switched. Of a user who is not mirrored it is
// not known what it was.
func (c *change) switches(user *mirror.User, state string, was, becomes bool) {
	words := map[bool]string{true: state, false: "not " + state}
	if c.entry.Became = words[becomes]; user.ClerkUserID != "" {
		c.entry.Was = words[was]
	}
}

// changeOf returns a change of a user, and the user as stored. A user who is not mirrored may be at
// Clerk.
func (w *Writer) changeOf(ctx context.Context, userID string, entry mirror.AuditEntry) (*change, mirror.User, error) {
	userID = clerk.Text(userID).String() // as an event would name it
	entry.ClerkUserID = userID
	user, err := w.DB.UserByClerkID(ctx, userID)
	if errors.Is(err, store.ErrNotFound) {
		user, err = mirror.User{}, nil
	}
	return &change{key: row.Key{Kind: clerk.KindUser, ID: userID}, entry: entry}, user, err
}

// override sets a value here, because Clerk cannot be asked.
func (w *Writer) override(ctx context.Context, c *change, field mirror.OverrideField, value string, by mirror.By) (mirror.Written, error) {
	at, err := w.Ingest.SetOverride(ctx, mirror.Override{Kind: c.key.Kind, ID: c.key.ID, Field: field, Value: value}, by)
	if err != nil {
		return mirror.Written{}, err
	}
	w.done(ctx, c)
	return mirror.Written{Where: mirror.Here, Cursor: at}, nil
}

// DeleteAndErase deletes a user at Clerk and erases the user here. A user who is not at Clerk any
// more is erased. Without a secret key the user is only erased here.
func (w *Writer) DeleteAndErase(ctx context.Context, userID string, by mirror.By, p clerkapi.Priority) (mirror.Written, error) {
	written, err := w.DeleteAndEraseRows(ctx, userID, by, p)
	if err != nil {
		return written, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	return written, w.FinishErasures(ctx)
}

// DeleteAndEraseRows is [Writer.DeleteAndErase], and leaves the search for copies to
// [Writer.FinishErasures], which searches for many users at once.
func (w *Writer) DeleteAndEraseRows(ctx context.Context, userID string, by mirror.By, p clerkapi.Priority) (written mirror.Written, err error) {
	if err := w.Check(); err != nil {
		return written, err
	}
	c, _, err := w.changeOf(ctx, userID, by.Entry(mirror.AuditDeleted))
	if err != nil {
		return written, err
	}
	c.entry.Became, written.Where = "erased here", mirror.Here
	gone := false
	if w.API != nil {
		c.write = clerkapi.DeleteUser(c.key.ID)
		_, err := w.send(ctx, c, p)
		if gone = errors.Is(err, clerkapi.ErrNotFound); err != nil && !gone {
			return mirror.Written{}, w.failed(ctx, c, err)
		}
		written.Where, c.entry.Became = mirror.AtClerk, "deleted at Clerk, erased here"
		if gone {
			c.entry.Became = "not at Clerk any more, erased here"
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	written.Cursor, err = w.erase(ctx, c)
	switch notHere := errors.Is(err, store.ErrNotFound); {
	case notHere && (w.API == nil || gone):
		return mirror.Written{}, w.failed(ctx, c, fmt.Errorf("user %s %w", c.key.ID, store.ErrNotFound))
	case notHere:
		c.entry.Became = "deleted at Clerk"
		if err := w.Ingest.Record(ctx, c.entry); err != nil {
			return written, fmt.Errorf("%w: %w", mirror.ErrNotStored, err)
		}
		_, written.Cursor, err = w.DB.FeedEnds(ctx)
		w.done(ctx, c)
		return written, err
	case err != nil && w.API != nil:
		return written, w.notStored(ctx, c, err)
	case err != nil:
		return mirror.Written{}, w.failed(ctx, c, err)
	}
	w.done(ctx, c)
	return written, nil
}

// erase empties the rows of a user, in one transaction with the audit.
func (w *Writer) erase(ctx context.Context, c *change) (at mirror.FeedCursor, err error) {
	err = w.Ingest.EraseWith(ctx, c.options(&at), c.key.ID)
	return at, err
}

// FinishErasures removes copies of users who were erased. A running server does the same if this
// fails.
func (w *Writer) FinishErasures(ctx context.Context) error {
	_, err := privacy.FinishErasures(ctx, w.DB)
	if err == nil {
		_, err = w.DB.TruncateWAL(ctx)
	}
	if err != nil {
		return fmt.Errorf("the user is erased, and copies in other rows are not yet: %w", err)
	}
	return nil
}
