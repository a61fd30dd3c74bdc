// Package live answers from memory what the hot path asks: the stored user, session and place in
// the active organization of the caller. What it keeps is bounded, and true: the committer of this
// process drops what an event changed before the event is answered, and the change feed tells what
// other processes changed.
//
// Once an event is answered, or its entry in the feed was read, no request that begins afterwards
// is judged by older facts; docs/correctness.md, section 9, says why. An answer is no older than
// [MaxStale], or an error. While the database hangs, a breaker refuses at once what needs it.
//
// It runs nothing by itself: requests have the feed read when they need it, four times a second at
// most.
package live
