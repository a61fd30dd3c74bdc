// Package clerkapi calls Clerk's Backend API: it reads one object by id ([Client.Object]) and whole
// lists ([Client.Walk]), and makes the changes that operators ask for ([Client.Write]).
//
// A read goes through the files in this order:
//
//	object.go, page.go   what to read: path and query of an object or a list
//	flight.go            concurrent reads of the same object share one request
//	retry.go             callWithRetry: attempts, pauses between them
//	  breaker.go         after failures in a row no request is sent for a while
//	  budget.go          at most so many requests in any ten seconds
//	  send.go            one request, and what its answer means
//	errors.go, answer.go why a read failed, and the earliest time at which an answer was true
//	walk.go              pages of a list, and whether they were all of it
//	  keyset.go          users, in the order of their creation
//	  offset.go          other lists, by offset, with overlapping pages
//	  cursor.go          a stored position in a walk
//	write.go             changes of single objects
//	machine.go           API keys and opaque tokens: verified, read, revoked
//
// # Guarantees
//
//   - A [Client] never sends more requests than its budget in any ten seconds, retries included,
//     except verifications of API keys and M2M tokens ([Client.VerifyToken]). A 429 to a read
//     or an OAuth token pauses every request for as long as Clerk asks, and halves the rate, which
//     recovers by a twentieth every ten seconds. A 429 to a change pauses that change alone: Clerk
//     limits the changes of one object too, and its answer does not say which limit it was.
//   - OAuth tokens that nobody knows use half of the budget at most ([Capped]). While they do, they
//     leave the other half to all other calls, and these leave them theirs.
//   - An outage is not amplified: retries are few and spread at random. After several failures in a
//     row nothing is sent for a while, then one request alone probes.
//   - [ErrNotFound] is Clerk's own answer. A proxy's 404, an HTML page, half an answer, a login
//     page with status 200 are [ErrUnavailable].
//   - Changes are only those that can be made twice. One that may have been made, although no
//     answer says so, is marked ([Error.Unknown]).
//   - A walk with [WalkResult.Complete] returned each object that existed during the whole walk,
//     and none that did not exist at some time during it. A walk that cannot prove this says why,
//     and proves no absence.
//   - Every answer carries the earliest time at which it can have been true ([Answer.ObservedAt]).
//     The fence is taken after the wait for the budget and before the request is sent, also if
//     several callers share the request: a later fence would make an old answer look new.
//   - Bodies are bounded, redirects are not followed, and the secret key is sent to the configured
//     host only. It is in no error, log line or printed value.
//   - Raw JSON is kept: unknown fields stay in [Reading.Body] and [Page.Rows].
//
// # Limits
//
//   - The budget belongs to one client. Other processes with the same key have their own, and share
//     only Clerk's 429; divide the budget by their number.
//   - Walks by offset depend on an order that Clerk keeps: creation, for all lists except domains
//     and sessions, which are short. If Clerk does not keep it, the count shows that.
//   - [RecentUsers] proves nothing about users that it did not return: a user that changes during
//     the walk moves to the front of the list.
//   - Clerk cannot list all sessions or subscriptions of an instance.
//
// Time is the monotonic clock of time.Now, for waiting only; tests use testing/synctest.
//
// Sources: https://clerk.com/docs/reference/backend-api,
// https://clerk.com/docs/guides/how-clerk-works/system-limits.
package clerkapi
