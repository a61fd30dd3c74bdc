// Package reconcile makes a mirror complete and keeps it so by reading Clerk: [Reconciler.Backfill] at first,
// [Reconciler.Walk] over everything, [Reconciler.Sweep] over what changed last, [Reconciler.Verify] over what is in doubt.
//
// What is decided is in decide.go, without I/O. All that is written goes through package ingest, under a lease whose token
// is checked in each transaction: one process at a time walks, and one that was overtaken writes nothing.
//
// The rules are those of docs/correctness.md, section 7. An object that a list lacks is not deleted by that: only two
// answers of Clerk, a minute apart, that there is no such object hide its row, until it is seen again. What waits for a
// second answer is kept in the database.
package reconcile
