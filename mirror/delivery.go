package mirror

import (
	"time"

	"github.com/clerksync/clerksync/clerk"
)

// DeliveryState is what became of a delivery.
type DeliveryState string

// The states of a delivery.
const (
	DeliveryApplied     DeliveryState = "applied"
	DeliveryIgnored     DeliveryState = "ignored"     // acknowledged; it holds nothing to mirror
	DeliveryQuarantined DeliveryState = "quarantined" // kept, not applied: of another instance, or a changed duplicate
	DeliveryDead        DeliveryState = "dead"        // could not be applied
	DeliveryDismissed   DeliveryState = "dismissed"   // was dead; an operator decided that it need not be applied
	DeliveryErased      DeliveryState = "erased"      // names a user who was erased; it has no body any more
)

// SetAside reports whether a replay of many deliveries leaves out those in this state.
func (s DeliveryState) SetAside() bool { return s == DeliveryQuarantined || s == DeliveryDismissed }

// Delivery is a webhook message that was received, and what became of it.
type Delivery struct {
	// MessageID is the id of the message, msg_…. Clerk keeps it when it sends a message again.
	MessageID string `json:"message_id"`
	// ReceivedAt is when the message came first, by the clock of the server.
	ReceivedAt time.Time `json:"received_at"`
	// SignedAt is when the sender signed the last attempt.
	SignedAt time.Time `json:"signed_at"`
	// Type is the event type, such as user.updated.
	Type string `json:"type"`
	// InstanceID is the Clerk instance that the event names, ins_…, empty for none.
	InstanceID string `json:"instance_id"`
	// State is what became of it.
	State DeliveryState `json:"state"`
	// Reason says why it was not applied, empty where it was.
	Reason string `json:"reason"`
	// Problem is the message of the error of OnChange if Reason is "hook_failed", else empty.
	Problem string `json:"problem"`
	// Attempts is how many times it was received or replayed.
	Attempts int64 `json:"attempts"`
	// Subjects are the objects that it is about, and the users and organizations to which they
	// belong, as "kind:id".
	Subjects []string `json:"subjects"`
	// Revision is the version of the rules by which it was applied.
	Revision int `json:"revision"`

	body *string
}

// Body returns the event as it is stored: canonical JSON without what was redacted. It is empty
// where no body is kept.
func (d *Delivery) Body() string {
	if d.body == nil {
		return ""
	}
	return *d.body
}

// SetBody sets what [Delivery.Body] returns.
func (d *Delivery) SetBody(body string) { d.body = &body }

// MarshalJSON writes the exported fields, and null for a zero time.
func (d Delivery) MarshalJSON() ([]byte, error) { return encode(d) }

// DeliveryFilter selects deliveries. The zero value selects all.
type DeliveryFilter struct {
	// State selects deliveries in this state.
	State DeliveryState
	// Type selects an event type, or with a star at its end all that begin so: "user.*".
	Type string
	// Since selects deliveries that were received at this time or later.
	Since time.Time
	// Until selects deliveries that were received before this time.
	Until time.Time
	// Reason selects deliveries with this reason, such as "invalid".
	Reason string
	// Subject selects deliveries about an object, by its Clerk id or as "kind:id". Those about what
	// belongs to a user or an organization are about them, too.
	Subject string
	// ClerkOrganizationID selects deliveries about an organization and what belongs to it.
	ClerkOrganizationID string
	// Text selects deliveries whose body has this text. Case is ignored for ASCII.
	Text string
	// WithoutSetAside leaves out quarantined and dismissed deliveries.
	WithoutSetAside bool
	// RevisionBelow selects deliveries that were applied by rules older than this; 0 selects all.
	RevisionBelow int
	// NewestFirst lists by the time of arrival, the latest first, and not by message id.
	NewestFirst bool
	// After is where the page begins: [Page.Next] of the page before, in the same order.
	After Cursor
	// Limit is the size of a page: 50 for 0, at most 500.
	Limit int
}

// DeliveryCount is how many deliveries of a type are in a state.
type DeliveryCount struct {
	// Type is the event type.
	Type string `json:"type"`
	// State is what became of them.
	State DeliveryState `json:"state"`
	// Count is how many there are.
	Count int64 `json:"count"`
}

// DeliveryGroup counts the deliveries of one type that could not be applied for one reason.
type DeliveryGroup struct {
	// Type is the event type.
	Type string `json:"type"`
	// State is dead or quarantined.
	State DeliveryState `json:"state"`
	// Reason says why they were not applied.
	Reason string `json:"reason"`
	// Count is how many there are.
	Count int64 `json:"count"`
	// AtLeast reports that there may be more than Count, because not all were looked at.
	AtLeast bool `json:"at_least"`
	// FirstAt is when the first of them was received.
	FirstAt time.Time `json:"first_at"`
	// LastAt is when the last of them was received.
	LastAt time.Time `json:"last_at"`
	// LastMessageID is the id of that message.
	LastMessageID string `json:"last_message_id"`
}

// MarshalJSON writes the fields, and null for a zero time.
func (g DeliveryGroup) MarshalJSON() ([]byte, error) { return encode(g) }

// Outcome is the result of applying a delivery.
type Outcome string

// The outcomes.
const (
	OutcomeProcessed   Outcome = "processed"
	OutcomeDuplicate   Outcome = "duplicate" // it was applied before
	OutcomeIgnored     Outcome = "ignored"
	OutcomeQuarantined Outcome = "quarantined"
	OutcomeInvalid     Outcome = "invalid"     // a dead letter: sending it again cannot help
	OutcomeFailed      Outcome = "failed"      // a dead letter by our own fault: a later attempt may succeed
	OutcomeUnavailable Outcome = "unavailable" // not stored, or it is not known whether it was: send it again
	OutcomeUnreadable  Outcome = "unreadable"  // of a replay alone: the stored body is damaged
)

// ReplayOptions change how deliveries are replayed.
type ReplayOptions struct {
	// DryRun finds out what would become of the deliveries, and changes nothing.
	DryRun bool
	// KeepGoing continues after a delivery that could not be applied.
	KeepGoing bool
	// Progress is called with the report so far from time to time, never twice at a time. It may be
	// nil.
	Progress func(ReplayReport)
}

// ReplayReport is the result of replaying many deliveries.
type ReplayReport struct {
	// DryRun reports that nothing was changed.
	DryRun bool `json:"dry_run"`
	// Replayed is how many deliveries were applied, or tried.
	Replayed int64 `json:"replayed"`
	// Outcomes counts them by outcome.
	Outcomes map[Outcome]int64 `json:"outcomes"`
	// Skipped is how many deliveries have no body: it was not kept, is older than the retention, or
	// names a user who was erased.
	Skipped int64 `json:"skipped"`
	// Changes is how many entries the change feed would get, in a dry run.
	Changes int64 `json:"changes"`
	// Failed is how many deliveries could not be applied.
	Failed int64 `json:"failed"`
	// Failures are the first hundred of them.
	Failures []ReplayFailure `json:"failures"`
	// Stopped reports that the replay ended at the first failure: there may be more to replay.
	Stopped bool `json:"stopped"`
}

// ReplayFailure is a delivery that could not be applied.
type ReplayFailure struct {
	// MessageID is the id of the message, msg_….
	MessageID string `json:"message_id"`
	// Status is invalid, failed, unavailable or unreadable.
	Status Outcome `json:"status"`
	// Problem says what is wrong.
	Problem string `json:"problem"`
}

// ReplayPreview is what a replay of one delivery would do.
type ReplayPreview struct {
	// Outcome is what would become of it.
	Outcome Outcome `json:"outcome"`
	// Problem says why it could not be applied, empty if it could.
	Problem string `json:"problem"`
	// Operations are what the event says about objects: first the object that it is about, then
	// those that are embedded in it.
	Operations []DeliveryOperation `json:"operations"`
	// Changes are the entries that the change feed would get. They have no cursor and no time.
	Changes []Change `json:"changes"`
}

// DeliveryOperation is what a delivery says about an object. It takes effect if the mirror has
// nothing newer.
type DeliveryOperation struct {
	// Kind is the kind of the object.
	Kind clerk.Kind `json:"kind"`
	// ID is Clerk's id of the object.
	ID string `json:"id"`
	// Delete reports that the object was deleted. Else the delivery has its data.
	Delete bool `json:"delete"`
	// Embedded reports that the data is a copy inside another object. It can be old or partial, so
	// that it counts only while nothing better is known.
	Embedded bool `json:"embedded"`
	// UpdatedAt is when Clerk last changed the object, zero if the delivery does not say so.
	UpdatedAt time.Time `json:"updated_at"`
	// ObservedAt is when Clerk made the event.
	ObservedAt time.Time `json:"observed_at"`
}

// MarshalJSON writes the fields, and null for a zero time.
func (o DeliveryOperation) MarshalJSON() ([]byte, error) { return encode(o) }
