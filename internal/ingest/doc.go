// Package ingest turns signed events into mirrored rows so that the mirror converges: in
// whatever order events come, however often, the rows end up the same. It is the only
// writer of mirrored rows, whoever asks: webhook, replay, or a read from Clerk.
//
// The life of an event: [Ingest.Prepare] parses the body, redacts it and derives
// operations, without a clock or a database (prepare.go, operations.go). [Ingest.Submit]
// hands it to the committer, which gathers what waits into one transaction (commit.go).
// In it rows are loaded, merged in memory by one pure function (merge.go) and saved
// together with the inbox and the change feed (batch.go). Only then it is answered.
//
// The rules are those of docs/correctness.md.
package ingest
