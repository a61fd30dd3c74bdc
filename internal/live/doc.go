// Package live answers from memory what the hot path asks: the stored user, session and place in the active
// organization of who calls. What it keeps is bounded, and true: the committer of this process drops what an
// event changed before the event is answered, and the change feed tells what other processes changed.
//
// It promises that an answer is no older than [MaxStale], or an error. It starts nothing: the feed is asked by
// the requests that need it, four times a second at most.
package live
