// Package clerkapi reads from Clerk's Backend API: one object by id ([Client.Object]), whole lists ([Client.Walk]). It
// changes nothing there.
//
// # What is promised
//
//   - Never more than the budget in any ten seconds, over all callers of a [Client], retries included. A 429 pauses
//     every request for as long as Clerk asks, and halves the rate, which recovers by a twentieth every ten seconds.
//   - An outage is not amplified: retries are few and spread at random, after failures in a row nothing is sent for a
//     while, then one request alone finds out.
//   - [ErrNotFound] is Clerk's own word. A proxy's 404, a page of HTML, half an answer, a login page with status 200
//     are [ErrUnavailable].
//   - A walk that is [Walked.Complete] brought each object that was there from its beginning to its end, and none that
//     was not there at some time in between. One that can't prove it says why, and is no proof of absence.
//   - Everything that is read carries the earliest time at which it can have been true ([Answer.ObservedAt]). The
//     caller's horizon is taken after the wait for the budget and before the request is sent, also when several callers
//     share one request: a horizon taken by whoever joins later would make an old answer look new.
//   - Bodies are bounded, redirects are not followed, and the secret key goes to the configured host alone: it is in no
//     error, log line or printed value.
//   - Raw JSON is kept: unknown fields stay in [Reading.Body] and [Page.Rows].
//
// # What is not
//
//   - The budget is one client's. Other processes with the same key have their own, and Clerk's 429 is all that they
//     share; divide the budget by their number.
//   - Walks by offset depend on an order that Clerk keeps: creation, for all lists but domains and sessions, which are
//     short. Where it fails them the count says so.
//   - [RecentUsers] proves nothing about what it did not bring: a user changed during the sweep moves to its front.
//   - Sessions can't be walked for a whole instance, nor subscriptions; Clerk has no such lists.
//
// Time is time.Now's monotonic clock, for waiting only; tests run it in testing/synctest.
//
// Sources: https://clerk.com/docs/reference/backend-api, https://clerk.com/docs/guides/how-clerk-works/system-limits.
package clerkapi
