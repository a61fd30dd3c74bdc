package clerk

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Kind is a kind of object that Clerk sends events about.
type Kind string

// The kinds of objects. All but [KindEmail] and [KindSMS] are state that can be mirrored. Those two
// are messages that Clerk sent or wants the application to send. They hold one-time codes in plain
// text: never store or log them.
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

// Mirrored reports whether a mirror stores objects of this kind. It is false for [KindEmail],
// [KindSMS] and the kind "" of unknown event types.
func (k Kind) Mirrored() bool { return k != "" && k != KindEmail && k != KindSMS }

// eventTypes lists every known event type by the part before the dot. The list is that of Clerk's
// published specification, and subscriptionItem.created of its SDK.
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

// EventTypes returns all known event types, such as "user.created", sorted.
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

// EventPrefix returns what the types of all events of this kind begin with, dot included, such as
// "organizationMembership." for [KindMembership]. It returns "" for an unknown kind.
func (k Kind) EventPrefix() string {
	for prefix, t := range eventTypes {
		if t.kind == k {
			return prefix + "."
		}
	}
	return ""
}

// KindOfEvent returns the kind of object that an event type is about, and whether the type says
// that the object was deleted. The kind of an unknown type is "".
func KindOfEvent(eventType string) (kind Kind, deleted bool) {
	prefix, verb, _ := strings.Cut(eventType, ".")
	t, ok := eventTypes[prefix]
	if !ok || !slices.Contains(t.verbs, verb) {
		return "", false
	}
	return t.kind, verb == "deleted"
}

// objectNames maps the member "object" of Clerk's objects to their kind. For some kinds Clerk's
// schema and its examples use different names.
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

// KindOfObject returns the kind that the member "object" of a Clerk object names, such as
// [KindMembership] for "organization_membership". It returns "" for an unknown name.
func KindOfObject(name string) Kind { return objectNames[name] }

// Kinds returns the kinds that a mirror stores, sorted. See [Kind.Mirrored].
func Kinds() []Kind {
	kinds := map[Kind]bool{}
	for _, t := range eventTypes {
		if t.kind.Mirrored() {
			kinds[t.kind] = true
		}
	}
	return slices.Sorted(maps.Keys(kinds))
}

// ParseKind returns the kind that a word names: the kind itself, its plural, or either without
// "organization_", such as "organization_membership", "memberships" and "users". ok is false for
// words that name no kind which a mirror stores.
func ParseKind(word string) (kind Kind, ok bool) {
	for _, kind := range Kinds() {
		short := strings.TrimPrefix(string(kind), "organization_")
		for _, name := range []string{string(kind), short} {
			plural := name + "s"
			if stem, found := strings.CutSuffix(name, "y"); found {
				plural = stem + "ies"
			}
			if word == name || word == plural {
				return kind, true
			}
		}
	}
	return "", false
}

// Event is the body of a webhook delivery.
type Event struct {
	// Type is the event type as Clerk sent it, such as "user.created".
	Type string
	// Kind is the kind of the object, or "" if Type is unknown.
	Kind Kind
	// Deleted reports that the object was deleted. Data may then hold no more than its id.
	Deleted bool
	// OccurredAt is when the event happened, by Clerk's clock. It is 0 if the event does not say.
	OccurredAt Time
	// InstanceID is the Clerk instance (ins_…), or "" if the event does not say.
	InstanceID string
	// ID is the id of the object in Data, such as user_….
	ID string
	// Data is the object as it was at the time of the event.
	Data Value
	// Envelope is the whole body.
	Envelope Value
}

// FieldError is the error for an event that lacks something that every event of its kind has. It
// depends on the content of the event alone, so delivering the same event again fails again.
type FieldError struct {
	Field   string // the JSON path of the member, such as "data.id"
	Problem string // what is wrong with it, such as "is missing"
}

// Error returns the field and the problem.
func (e *FieldError) Error() string {
	return fmt.Sprintf("event is invalid: %s %s", e.Field, e.Problem)
}

// ParseEvent reads the body of a webhook.
//
// A body that is not a JSON object is a [*SyntaxError]. If a required member is missing, ParseEvent
// returns a [*FieldError] together with the event as far as it could be read. An event of an
// unknown type is not an error: its Kind is "".
func ParseEvent(body []byte) (*Event, error) {
	envelope, err := Parse(body)
	if err != nil {
		return nil, err
	}
	return EventOf(envelope)
}

// EventOf is [ParseEvent] for a body that was already parsed.
func EventOf(envelope Value) (*Event, error) {
	if !envelope.IsObject() {
		return nil, &SyntaxError{Problem: "the body is not a JSON object"}
	}
	e := &Event{
		Type:       envelope.Get("type").String(),
		OccurredAt: envelope.Get("timestamp").Time(),
		InstanceID: envelope.Get("instance_id").String(),
		Data:       envelope.Get("data"),
		Envelope:   envelope,
	}
	if e.Type == "" {
		return e, &FieldError{"type", missing(envelope.Get("type"), "a string")}
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
		return e, &FieldError{"data.id", missing(e.Data.Get("id"), "a string")}
	}
	if named, known := objectNames[e.Data.Get("object").String()]; known && named != e.Kind {
		return e, &FieldError{"data.object", fmt.Sprintf("is %q in an event about %q", named, e.Kind)}
	}
	return e, nil
}

// missing says what is wrong with a required member.
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
