package webhook

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// Errors of the methods of [Publisher].
var (
	// ErrTooManyEndpoints means that there are 100 endpoints already.
	ErrTooManyEndpoints = store.ErrTooManyEndpoints
	// ErrBeforeFeed means that the change feed does not reach back to the time from which an
	// endpoint shall resume.
	ErrBeforeFeed = errors.New("the change feed does not reach back that far: resume from the oldest place (\"0\"), from a later time or from now")
)

// InvalidError says what is wrong with something that a method of [Publisher] was given.
type InvalidError string

// Error returns the text.
func (e InvalidError) Error() string { return string(e) }

// MaxOverlap is how long messages can be signed with the previous secret after a rotation, at most.
const MaxOverlap = 30 * 24 * time.Hour

// Endpoint describes an endpoint to be added.
type Endpoint struct {
	// URL is where messages are sent: https, without user and fragment. Plain http and private
	// addresses need [Options.AllowHosts].
	URL string
	// Description is a text for people, at most 500 bytes.
	Description string
	// Kinds selects the changes of these kinds. None selects all.
	Kinds []clerk.Kind
	// Types selects the changes of these types, such as "user.created" or "user.*". None selects
	// all.
	Types []string
	// ClerkOrganizationID selects the changes of an organization and of what belongs to it.
	ClerkOrganizationID string
	// From is where to begin. The zero value begins now.
	From Start
}

// Start is a place in the change feed. The zero value is its end: what happens from now on.
type Start struct {
	// Cursor begins after a change. "0" begins with the oldest.
	Cursor mirror.FeedCursor
	// At begins with the first change at a time or later.
	At time.Time
}

// Add stores an endpoint and returns it with its secret, which begins with whsec_. The secret is
// shown only now. The error is a [*URLError], an [InvalidError] or [ErrTooManyEndpoints].
func (p *Publisher) Add(ctx context.Context, n Endpoint) (mirror.WebhookEndpoint, string, error) {
	if err := p.sender.checkURL(n.URL); err != nil {
		return mirror.WebhookEndpoint{}, "", err
	}
	if err := n.check(); err != nil {
		return mirror.WebhookEndpoint{}, "", err
	}
	cursor, err := p.place(ctx, n.From)
	if err != nil {
		return mirror.WebhookEndpoint{}, "", err
	}
	e := &store.WebhookEndpoint{Secret: newSecret()}
	e.ID, e.URL, e.Description, e.Kinds, e.Types = newEndpointID(), n.URL, n.Description, n.Kinds, n.Types
	e.ClerkOrganizationID, e.Cursor, e.CreatedAt, e.Enabled = n.ClerkOrganizationID, cursor, clerk.TimeOf(time.Now()).Time(), true
	err = p.db.Update(ctx, func(tx *store.Tx) error {
		if err := tx.AddWebhookEndpoint(ctx, e, maxEndpoints); err != nil {
			return err
		}
		return audit(ctx, tx, e, p.by, "", "added")
	})
	return e.WebhookEndpoint, e.Secret, err
}

// check returns what is wrong with the description and the filters.
func (n *Endpoint) check() error {
	if len(n.Description) > maxDescriptionBytes || !utf8.ValidString(n.Description) ||
		strings.ContainsFunc(n.Description, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return InvalidError("the description has more than 500 bytes, or contains characters that cannot be printed")
	}
	if len(n.ClerkOrganizationID) > 100 || !printable(n.ClerkOrganizationID) {
		return InvalidError("the organization is no Clerk id (org_…)")
	}
	known := func(kind string) bool { return slices.Contains(clerk.Kinds(), clerk.Kind(kind)) }
	for _, kind := range n.Kinds {
		if !known(string(kind)) {
			return InvalidError(fmt.Sprintf("kind %q is not mirrored; kinds are %s", kind, kindNames()))
		}
	}
	operations := []string{"*", string(mirror.Created), string(mirror.Updated), string(mirror.Deleted), string(mirror.Erased)}
	for _, t := range n.Types {
		kind, operation, _ := strings.Cut(t, ".")
		if !known(kind) || !slices.Contains(operations, operation) {
			return InvalidError(fmt.Sprintf("type %q is not a kind, a dot and one of created, updated, deleted, erased or *; kinds are %s", t, kindNames()))
		}
	}
	ofKinds := func(t string) bool {
		kind, _, _ := strings.Cut(t, ".")
		return slices.Contains(n.Kinds, clerk.Kind(kind))
	}
	if len(n.Kinds) > 0 && len(n.Types) > 0 && !slices.ContainsFunc(n.Types, ofKinds) {
		return InvalidError("none of the types is one of the kinds: nothing would be sent")
	}
	if len(n.Types) > 100 {
		return InvalidError("more than 100 types")
	}
	return nil
}

func kindNames() string {
	var names []string
	for _, kind := range clerk.Kinds() {
		names = append(names, string(kind))
	}
	return strings.Join(names, ", ")
}

// place finds a start in the change feed. The error is a [*mirror.CursorGoneError],
// [mirror.ErrInvalidCursor] or [ErrBeforeFeed].
func (p *Publisher) place(ctx context.Context, s Start) (mirror.FeedCursor, error) {
	switch {
	case s.Cursor != "" && !s.At.IsZero():
		return "", InvalidError("a start is a cursor or a time, not both")
	case !s.At.IsZero():
		cursor, known, err := p.db.FeedPlaceBefore(ctx, s.At)
		if err == nil && !known {
			err = ErrBeforeFeed
		}
		return cursor, err
	case s.Cursor != "":
		if _, _, err := s.Cursor.Split(); err != nil {
			return "", err
		}
		_, err := p.feed.Page(ctx, mirror.FeedQuery{After: s.Cursor, Limit: 1})
		return s.Cursor, err
	}
	page, err := p.feed.Page(ctx, mirror.FeedQuery{})
	return page.Next, err
}

// Endpoints lists all endpoints, in the order in which they were added.
func (p *Publisher) Endpoints(ctx context.Context) ([]mirror.WebhookEndpoint, error) {
	var list []store.WebhookEndpoint
	err := p.db.Snapshot(ctx, func(ctx context.Context) (err error) {
		if list, err = p.db.WebhookEndpoints(ctx); err != nil {
			return err
		}
		return p.db.WebhookCounts(ctx, list)
	})
	records := make([]mirror.WebhookEndpoint, len(list))
	for i := range list {
		records[i] = list[i].WebhookEndpoint
	}
	return records, err
}

// Endpoint returns the endpoint with an id (ep_…), or [mirror.ErrNotFound].
func (p *Publisher) Endpoint(ctx context.Context, id string) (mirror.WebhookEndpoint, error) {
	list, err := p.Endpoints(ctx)
	if err != nil {
		return mirror.WebhookEndpoint{}, err
	}
	for i := range list {
		if list[i].ID == id {
			return list[i], nil
		}
	}
	return mirror.WebhookEndpoint{}, fmt.Errorf("webhook endpoint %s %w", id, mirror.ErrNotFound)
}

// Remove removes an endpoint with its secret, its messages and its attempts.
func (p *Publisher) Remove(ctx context.Context, id string) error {
	return p.change(ctx, id, func(tx *store.Tx, e *store.WebhookEndpoint) error {
		if err := tx.RemoveWebhookEndpoint(ctx, e.ID); err != nil {
			return err
		}
		return audit(ctx, tx, e, p.by, e.URL, "removed")
	})
}

// Disable stops sending to an endpoint. The reason is a text for people, at most 500 bytes.
// Messages that wait are kept, and changes are sent when the endpoint is enabled again, as long as
// the change feed has them.
func (p *Publisher) Disable(ctx context.Context, id, reason string) error {
	if err := (&Endpoint{Description: reason}).check(); err != nil {
		return fmt.Errorf("the reason: %w", err)
	}
	if reason == "" {
		reason = "disabled"
	}
	return p.change(ctx, id, func(tx *store.Tx, e *store.WebhookEndpoint) error {
		return disable(ctx, tx, e, reason, p.by)
	})
}

// disable disables an endpoint. No actor means that clerksync did it by itself.
func disable(ctx context.Context, tx *store.Tx, e *store.WebhookEndpoint, reason string, by mirror.By) error {
	if !e.Enabled {
		return nil
	}
	e.Enabled, e.DisabledAt, e.DisabledReason = false, clerk.TimeOf(time.Now()).Time(), reason
	if err := tx.SaveWebhookEndpoint(ctx, e); err != nil {
		return err
	}
	return audit(ctx, tx, e, by, "enabled", "disabled: "+reason)
}

// Enable sends to an endpoint again: first what waits, then the changes since. If changes are
// missing that happened meanwhile, it returns a [*mirror.CursorGoneError], and [Publisher.Resume]
// chooses another place.
func (p *Publisher) Enable(ctx context.Context, id string) error {
	e, err := p.db.WebhookEndpoint(ctx, id)
	if err != nil {
		return err
	}
	if _, err := p.place(ctx, Start{Cursor: e.Cursor}); err != nil {
		return err
	}
	return p.change(ctx, id, func(tx *store.Tx, e *store.WebhookEndpoint) error { return p.enable(ctx, tx, e, "enabled") })
}

// enable enables an endpoint and makes due what waits.
func (p *Publisher) enable(ctx context.Context, tx *store.Tx, e *store.WebhookEndpoint, became string) error {
	was := "enabled"
	if !e.Enabled {
		was = "disabled: " + e.DisabledReason
	}
	e.Enabled, e.DisabledAt, e.DisabledReason, e.FailingSince = true, time.Time{}, "", time.Time{}
	if err := tx.SaveWebhookEndpoint(ctx, e); err != nil {
		return err
	}
	if err := tx.HurryWebhooks(ctx, e.ID, time.Now()); err != nil {
		return err
	}
	return audit(ctx, tx, e, p.by, was, became)
}

// Resume continues an endpoint from a place in the change feed, and enables it. Changes that were
// delivered before are sent again, with the same message ids. discard removes the messages that
// wait or failed; else they are sent too.
func (p *Publisher) Resume(ctx context.Context, id string, from Start, discard bool) error {
	cursor, err := p.place(ctx, from)
	if err != nil {
		return err
	}
	return p.change(ctx, id, func(tx *store.Tx, e *store.WebhookEndpoint) error {
		if discard {
			if _, err := tx.DropWebhookMessages(e.ID); err != nil {
				return err
			}
		}
		e.Cursor = cursor
		return p.enable(ctx, tx, e, "resumed from "+string(cursor))
	})
}

// Resend lets failed messages of an endpoint be sent again, with all their attempts, and retries
// what waits for its next attempt now. An empty message id selects all messages, else only that
// one: [mirror.ErrNotFound] means that it neither failed nor waits. Resend returns how many had
// failed.
func (p *Publisher) Resend(ctx context.Context, id, messageID string) (failed int64, err error) {
	var seq int64
	if messageID != "" {
		cursor, ok := cursorOf(messageID)
		if !ok {
			return 0, fmt.Errorf("message %s %w", messageID, mirror.ErrNotFound)
		}
		if seq, _, err = cursor.Split(); err != nil {
			return 0, err
		}
	}
	err = p.change(ctx, id, func(tx *store.Tx, e *store.WebhookEndpoint) error {
		if seq != 0 {
			switch found, err := tx.HasWebhookMessage(ctx, e.ID, seq); {
			case err != nil:
				return err
			case !found:
				return fmt.Errorf("message %s %w: it was delivered, or is no longer kept", messageID, mirror.ErrNotFound)
			}
		}
		if failed, err = tx.ResendWebhooks(ctx, e.ID, seq, time.Now()); err != nil {
			return err
		}
		if err = tx.SaveWebhookEndpoint(ctx, e); err != nil { // the next revision, so that the process that sends looks at once
			return err
		}
		return audit(ctx, tx, e, p.by, "", "sends again: "+cmp.Or(messageID, "all that failed"))
	})
	return failed, err
}

// Rotate gives an endpoint a new secret and returns it; it is shown only now. For the overlap, at
// most [MaxOverlap], messages are signed with the previous secret too. An overlap of 0 ends the
// previous secret at once, as when it leaked.
func (p *Publisher) Rotate(ctx context.Context, id string, overlap time.Duration) (secret string, err error) {
	if overlap < 0 || overlap > MaxOverlap {
		return "", InvalidError("the overlap is not between 0 and 30 days")
	}
	secret = newSecret()
	err = p.change(ctx, id, func(tx *store.Tx, e *store.WebhookEndpoint) error {
		e.PreviousSecret, e.PreviousSecretUntil = e.Secret, clerk.TimeOf(time.Now().Add(overlap)).Time()
		if overlap == 0 {
			e.PreviousSecret, e.PreviousSecretUntil = "", time.Time{}
		}
		e.Secret = secret
		if err := tx.SaveWebhookEndpoint(ctx, e); err != nil {
			return err
		}
		return audit(ctx, tx, e, p.by, "", "secret rotated")
	})
	return secret, err
}

// Ping sends a message of type ping to an endpoint now, also to a disabled one, and returns how
// that ended. The attempt is kept like others.
func (p *Publisher) Ping(ctx context.Context, id string) (mirror.WebhookAttempt, error) {
	e, err := p.db.WebhookEndpoint(ctx, id)
	if err != nil {
		return mirror.WebhookAttempt{}, err
	}
	began := time.Now()
	messageID, body, err := ping(e.ID, began)
	if err != nil {
		return mirror.WebhookAttempt{}, err
	}
	a := p.sender.send(ctx, e.URL, secretsOf(&e, began), messageID, body)
	if err := ctx.Err(); a.reason != "" && err != nil {
		return mirror.WebhookAttempt{}, err
	}
	attempt := attemptOf(e.ID, messageID, began, time.Since(began), a)
	attempt.Type, attempt.Attempt = pingType, 1
	p.record(attempt)
	err = p.change(ctx, id, func(tx *store.Tx, e *store.WebhookEndpoint) error {
		if err := tx.AppendWebhookAttempts(ctx, []*mirror.WebhookAttempt{attempt}); err != nil {
			return err
		}
		return audit(ctx, tx, e, p.by, "", "pinged")
	})
	return *attempt, err
}

// Attempts returns a page of attempts, newest first. They are kept for 30 days, and at most the
// 10,000 latest of each endpoint.
func (p *Publisher) Attempts(ctx context.Context, f mirror.WebhookAttemptFilter) (mirror.Page[mirror.WebhookAttempt], error) {
	return p.db.WebhookAttempts(ctx, f)
}

// change runs a transaction with an endpoint, or returns [mirror.ErrNotFound].
func (p *Publisher) change(ctx context.Context, id string, fn func(*store.Tx, *store.WebhookEndpoint) error) error {
	return p.db.Update(ctx, func(tx *store.Tx) error {
		e, err := tx.WebhookEndpoint(ctx, id)
		if err != nil {
			return err
		}
		return fn(tx, &e)
	})
}

// audit records what was done with an endpoint.
func audit(ctx context.Context, tx *store.Tx, e *store.WebhookEndpoint, by mirror.By, was, became string) error {
	entry := by.Entry(mirror.AuditWebhook)
	entry.Object, entry.ClerkOrganizationID, entry.Was, entry.Became = e.ID, e.ClerkOrganizationID, was, became
	return tx.AppendAudit(ctx, []mirror.AuditEntry{entry})
}
