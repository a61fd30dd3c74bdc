// Package clerk holds Clerk's objects and webhook events as Go values.
//
// Decoding is tolerant, because Clerk adds fields and event types without notice
// and its published examples differ from what it sends: unknown fields stay in the
// raw JSON, a null or a value of the wrong type reads as absent, and times are taken
// as milliseconds, seconds or RFC 3339 text. What an event must have to mean
// anything (its type, its data, the id of its object) is checked and named in a
// [FieldError] when it is missing.
//
// [Parse] reads JSON into a [Value] whose encoding is canonical: keys sorted, numbers
// as they were sent, the last of duplicate keys kept, and text that no Postgres
// database can hold (NUL, lone surrogates) replaced by U+FFFD. Two texts that say the
// same thing so become the same bytes.
//
// The package verifies no signature (see package webhook) and knows no database.
package clerk
