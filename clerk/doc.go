// Package clerk reads what Clerk sends: webhook events and objects of the Backend API.
//
// [ParseEvent] reads the body of a webhook. It returns the event's type, the kind and the id of its
// object, and the object itself as a [Value]:
//
//	event, err := clerk.ParseEvent(body)
//	if err != nil {
//		return err
//	}
//	if event.Kind == clerk.KindUser && !event.Deleted {
//		fmt.Println(event.ID, event.Data.Get("first_name").String())
//	}
//
// Verify the signature first, with package webhook. This package trusts what it is given.
//
// # Tolerant reading
//
// Clerk adds fields and event types without notice, and its published examples differ from what it
// sends. So a [Value] answers every question: a field that is absent, null or of another type reads
// as "", 0 or false, and fields that this package does not know are kept. Times are read from
// milliseconds, seconds or RFC 3339 text. Only what gives an event its meaning is required: the
// type, the data and the id of the object. A [FieldError] names what is missing.
//
// # Canonical JSON
//
// [Parse] reads JSON into a [Value] whose encoding is canonical: keys are sorted, numbers stay as
// they were sent, and the last of duplicate keys is kept. Text that Postgres cannot store (NUL and
// lone surrogates) is replaced by U+FFFD. Two texts that mean the same become the same bytes, so
// they can be compared and hashed.
//
// Source: https://clerk.com/docs/guides/development/webhooks/overview.
package clerk
