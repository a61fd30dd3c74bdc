package mirror

import (
	"time"

	"github.com/clerksync/clerksync/clerk"
)

// Reasons for which clerksync disables a webhook endpoint by itself. Operators give reasons in
// their own words.
const (
	// WebhookGone means that the receiver answered 410 Gone.
	WebhookGone = "gone"
	// WebhookFailing means that every attempt failed for five days.
	WebhookFailing = "failing"
	// WebhookCursorGone means that changes after the endpoint's cursor are no longer known, so that
	// it cannot be continued without a gap. An operator must choose where to resume.
	WebhookCursorGone = "cursor_gone"
)

// WebhookEndpoint is a URL to which changes are sent. Its secret is not part of the record.
type WebhookEndpoint struct {
	// ID is the id of the endpoint, ep_….
	ID string `json:"id"`
	// URL is where messages are sent.
	URL string `json:"url"`
	// Description is a text for people.
	Description string `json:"description"`
	// Kinds are the kinds whose changes are sent. None sends all.
	Kinds []clerk.Kind `json:"kinds"`
	// Types are the types of changes that are sent, such as "user.created" or "user.*". None sends
	// all.
	Types []string `json:"types"`
	// ClerkOrganizationID is the organization whose changes are sent, empty for all.
	ClerkOrganizationID string `json:"clerk_organization_id"`
	// Enabled reports whether messages are sent.
	Enabled bool `json:"enabled"`
	// DisabledReason says why it is disabled: WebhookGone, WebhookFailing, WebhookCursorGone, or
	// what an operator gave.
	DisabledReason string `json:"disabled_reason"`
	// DisabledAt is when it was disabled.
	DisabledAt time.Time `json:"disabled_at"`
	// FailingSince is when the first attempt failed after the last one that succeeded, zero if the
	// last one succeeded.
	FailingSince time.Time `json:"failing_since"`
	// PreviousSecretUntil is until when messages are signed with the previous secret too, zero if
	// there is none.
	PreviousSecretUntil time.Time `json:"previous_secret_until"`
	// Cursor is the place in the change feed up to which messages were queued.
	Cursor FeedCursor `json:"cursor"`
	// CreatedAt is when the endpoint was added.
	CreatedAt time.Time `json:"created_at"`
	// Pending is how many messages wait to be delivered.
	Pending int64 `json:"pending"`
	// OldestPending is when the oldest change happened whose message waits, zero for none.
	OldestPending time.Time `json:"oldest_pending"`
	// Failed is how many messages were given up and can be sent again.
	Failed int64 `json:"failed"`
}

// MarshalJSON writes the fields, and null for a zero time.
func (e WebhookEndpoint) MarshalJSON() ([]byte, error) {
	if e.Kinds == nil {
		e.Kinds = []clerk.Kind{}
	}
	if e.Types == nil {
		e.Types = []string{}
	}
	return encode(e)
}

// WebhookAttempt is one attempt to deliver a message to an endpoint.
type WebhookAttempt struct {
	// ID orders attempts by time.
	ID string `json:"id"`
	// EndpointID is the endpoint.
	EndpointID string `json:"endpoint_id"`
	// MessageID is the id of the message, the same in all its attempts.
	MessageID string `json:"message_id"`
	// Type is the type of the message, such as "user.created" or "ping".
	Type string `json:"type"`
	// ObjectID is Clerk's id of the object that changed, empty for a ping.
	ObjectID string `json:"object_id"`
	// At is when the attempt began.
	At time.Time `json:"at"`
	// Attempt counts the attempts of the message, from 1 on.
	Attempt int `json:"attempt"`
	// Status is the status code of the answer, 0 for none.
	Status int `json:"status"`
	// DurationMS is how long it took, in milliseconds.
	DurationMS int64 `json:"duration_ms"`
	// Reason says why it failed; it is empty for an attempt that succeeded. See package
	// publish/webhook for the reasons.
	Reason string `json:"reason"`
}

// Delivered reports whether the receiver accepted the message.
func (a *WebhookAttempt) Delivered() bool { return a.Reason == "" }

// MarshalJSON writes the fields, and null for a zero time.
func (a WebhookAttempt) MarshalJSON() ([]byte, error) { return encode(a) }

// WebhookAttemptFilter selects attempts. The zero value selects all.
type WebhookAttemptFilter struct {
	// EndpointID selects the attempts of an endpoint.
	EndpointID string
	// MessageID selects the attempts of a message.
	MessageID string
	// Failed selects attempts that failed.
	Failed bool
	// After is where the page begins: [Page.Next] of the page before.
	After Cursor
	// Limit is the size of a page: 50 for 0, at most 500.
	Limit int
}
