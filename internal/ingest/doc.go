// Package ingest writes verified events and reads from Clerk into the mirror. It is the only writer
// of mirrored rows.
//
// The life of an event:
//
//  1. [Ingest.Prepare] parses the body, redacts it and derives operations, without a database
//     (prepare.go).
//  2. [Ingest.Submit] hands it to the queue, which gathers what waits into one transaction
//     (commit.go).
//  3. The transaction loads the rows, decides about each message (inbox.go), and merges each
//     event's delta if all of its operations succeeded (batch.go). Package converge computes the
//     delta.
//  4. It saves rows, verify queue (verify.go), change feed and inbox together. Then the sender is
//     answered.
//
// Reads from Clerk take the same way from the third step on (reads.go): single objects
// (apply_read.go) and pages of lists (apply_page.go).
package ingest
