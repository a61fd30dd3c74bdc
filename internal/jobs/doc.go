// Package jobs does work on many objects in the background: it replays deliveries, changes, revokes
// and erases what a filter selects, and reads Clerk on demand.
//
// A job is planned, started, worked on and ended. All of it is in the database, so that any process
// shows and cancels it, and another process goes on with it where one was killed. One process at a
// time works on jobs, by a lease whose token is checked in each transaction that saves progress:
// what a process does after it lost the lease is not counted. Jobs that read lists at Clerk have a
// lease of their own, so that others need not wait for them.
//
// The objects of a job are read in parts, in the order of their creation, the oldest first, and
// those that came after the plan are left out: however the objects change while the job runs, each
// of them has its turn once. The place in this order is saved with the counts, every second. A
// process that is killed has done a few objects more than it saved. They are done again, which
// changes nothing.
//
// An object that cannot be worked on is listed as failed, and the job goes on. What is no fault of
// the object, such as a Clerk that does not answer, is waited for; after some minutes the job ends
// before the first object that had no answer, and can be started again.
package jobs
