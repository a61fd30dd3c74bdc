package clerk

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Kind names a kind of object that Clerk announces.
type Kind string

// The kinds. [KindEmail] and [KindSMS] are announcements, not state: they carry one-time
// codes in clear and are never to be stored.
const (
	KindUser             Kind = "user"
	KindSession          Kind = "session"
	KindOrganization     Kind = "organization"
	KindMembership       Kind = "organization_membership"
	KindInvitation       Kind = "organization_invitation"
	KindDomain           Kind = "organization_domain"
	KindRole             Kind = "role"
	KindPermission       Kind = "permission"
	KindSubscription     Kind = "subscription"
	KindSubscriptionItem Kind = "subscription_item"
	KindPaymentAttempt   Kind = "payment_attempt"
	KindWaitlistEntry    Kind = "waitlist_entry"
	KindEmail            Kind = "email"
	KindSMS              Kind = "sms"
)

// Mirrored reports whether objects of the kind are state that a mirror keeps.
func (k Kind) Mirrored() bool { return k != "" && k != KindEmail && k != KindSMS }

// eventTypes lists, under the part before the dot, every event type known today
// (Clerk's published specification, and subscriptionItem.created of its SDK).
var eventTypes = map[string]struct {
	kind  Kind
	verbs []string
}{
	"user":                   {KindUser, []string{"created", "updated", "deleted"}},
	"session":                {KindSession, []string{"created", "pending", "ended", "removed", "revoked"}},
	"organization":           {KindOrganization, []string{"created", "updated", "deleted"}},
	"organizationMembership": {KindMembership, []string{"created", "updated", "deleted"}},
	"organizationInvitation": {KindInvitation, []string{"created", "accepted", "revoked"}},
	"organizationDomain":     {KindDomain, []string{"created", "updated", "deleted"}},
	"role":                   {KindRole, []string{"created", "updated", "deleted"}},
	"permission":             {KindPermission, []string{"created", "updated", "deleted"}},
	"email":                  {KindEmail, []string{"created"}},
	"sms":                    {KindSMS, []string{"created"}},
	"waitlistEntry":          {KindWaitlistEntry, []string{"created", "updated"}},
	"subscription":           {KindSubscription, []string{"created", "updated", "active", "pastDue"}},
	"subscriptionItem": {KindSubscriptionItem, []string{
		"created", "updated", "active", "canceled", "upcoming", "ended", "abandoned", "incomplete", "pastDue", "freeTrialEnding",
	}},
	"paymentAttempt": {KindPaymentAttempt, []string{"created", "updated"}},
}

// EventTypes lists the known event types, sorted.
func EventTypes() []string {
	var all []string
	for prefix, t := range eventTypes {
		for _, verb := range t.verbs {
			all = append(all, prefix+"."+verb)
		}
	}
	slices.Sort(all)
	return all
}

// EventPrefix returns the part of an event type that names the kind, with its dot, such as
// "organizationMembership." for [KindMembership]. It returns "" for a kind that no event is about.
func (k Kind) EventPrefix() string {
	for prefix, t := range eventTypes {
		if t.kind == k {
			return prefix + "."
		}
	}
	return ""
}

// KindOfEvent answers the kind that an event type is about and whether it says that the
// object is gone. The kind is "" for a type that is not known.
func KindOfEvent(eventType string) (kind Kind, deleted bool) {
	prefix, verb, _ := strings.Cut(eventType, ".")
	t, ok := eventTypes[prefix]
	if !ok || !slices.Contains(t.verbs, verb) {
		return "", false
	}
	return t.kind, verb == "deleted"
}

// objectNames are the values of `object` in what Clerk sends, which differ between
// schema and examples for some kinds.
var objectNames = map[string]Kind{
	"user": KindUser, "session": KindSession, "organization": KindOrganization,
	"organization_membership": KindMembership, "organization_invitation": KindInvitation,
	"organization_domain": KindDomain, "role": KindRole, "permission": KindPermission,
	"commerce_subscription": KindSubscription, "subscription": KindSubscription,
	"commerce_subscription_item": KindSubscriptionItem, "subscription_item": KindSubscriptionItem,
	"commerce_payment_attempt": KindPaymentAttempt, "payment_attempt": KindPaymentAttempt,
	"waitlist_entry": KindWaitlistEntry, "waitlistEntry": KindWaitlistEntry,
	"email": KindEmail, "sms_message": KindSMS,
}

// KindOfObject is the kind that the member `object` of what Clerk sends names, "" where that is none.
func KindOfObject(name string) Kind { return objectNames[name] }

// Kinds lists the mirrored kinds, sorted.
func Kinds() []Kind {
	kinds := map[Kind]bool{}
	for _, t := range eventTypes {
		if t.kind.Mirrored() {
			kinds[t.kind] = true
		}
	}
	return slices.Sorted(maps.Keys(kinds))
}

// Event is one webhook delivery's body.
type Event struct {
	Type       string
	Kind       Kind   // "" when the type is not known
	Deleted    bool   // the object is gone; Data may then be no more than its id
	OccurredAt Time   // the envelope's time, 0 when it tells none
	InstanceID string // "" when it tells none
	ID         string // of the object in Data
	Data       Value
	Envelope   Value // the whole body
}

// FieldError says that an event lacks something it must have. It depends on the event's
// content alone: delivering the same event again can not cure it.
type FieldError struct {
	Field   string // the JSON path, for example "data.id"
	Problem string
}

func (e *FieldError) Error() string {
	return fmt.Sprintf("event is invalid: %s %s", e.Field, e.Problem)
}

// ParseEvent reads a webhook body. What is not a JSON object gives a [*SyntaxError].
// An event that lacks what it must have gives a [*FieldError], beside the event as far
// as it could be read. An event of a type that is not known is no error: its Kind is "".
func ParseEvent(body []byte) (*Event, error) {
	envelope, err := Parse(body)
	if err != nil {
		return nil, err
	}
	return EventOf(envelope)
}

// EventOf reads an event from an envelope that was parsed before; see [ParseEvent].
func EventOf(envelope Value) (*Event, error) {
	if !envelope.IsObject() {
		return nil, &SyntaxError{Problem: "the body is no JSON object"}
	}
	e := &Event{
		Type:       envelope.Get("type").String(),
		OccurredAt: envelope.Get("timestamp").Time(),
		InstanceID: envelope.Get("instance_id").String(),
		Data:       envelope.Get("data"),
		Envelope:   envelope,
	}
	if e.Type == "" {
		return e, &FieldError{"type", missing(envelope.Get("type"), "a text")}
	}
	e.Kind, e.Deleted = KindOfEvent(e.Type)
	e.ID = e.Data.Get("id").String()
	if !e.Kind.Mirrored() {
		return e, nil
	}
	if !e.Data.IsObject() {
		return e, &FieldError{"data", missing(e.Data, "an object")}
	}
	if e.ID == "" {
		return e, &FieldError{"data.id", missing(e.Data.Get("id"), "a text")}
	}
	if named, known := objectNames[e.Data.Get("object").String()]; known && named != e.Kind {
		return e, &FieldError{"data.object", fmt.Sprintf("is %q in an event about %q", named, e.Kind)}
	}
	return e, nil
}

func missing(v Value, want string) string {
	switch {
	case !v.Exists():
		return "is missing"
	case v.IsNull():
		return "is null"
	case v.String() == "" && v.kind == text:
		return "is empty"
	default:
		return "is not " + want
	}
}
