// Package reconcile makes a mirror complete and keeps it complete by reading Clerk's Backend API.
//
// There are three kinds of work. Each is one run: it takes the lease, works, and gives it back.
//
//	Backfill  backfill.go   reads everything once, resumable
//	Walk      walk.go       compares everything with Clerk and repairs differences, each day
//	Tick      sweep.go      each minute: recent changes, due suspects, verify queue, some sessions
//
// A walk of one list goes through the files in this order:
//
//	run.go          withLease: the lease, renewed while the work goes on
//	instance.go     checks that the secret key belongs to the mirrored Clerk instance
//	suspects.go     loadSuspects: rows that wait for a second answer from Clerk
//	list_walk.go    fetches the pages of one list and proves that they were the whole list
//	  pipeline.go   applies a page while the next one is fetched
//	  apply.go      writes a page through package ingest, and its drift in the same transaction
//	absence.go      reads by id what is stored and the whole list lacks
//	  read_by_id.go one object: found, not found or unanswered
//	suspects.go     settleAll: waits a minute and asks again, so that a second answer confirms
//	report.go       what was found and repaired
//
// policy.go and evidence.go hold the decisions, without I/O: when an absence is believed, how long
// a suspect waits, and which cause of drift is probable. sessions.go compares sessions, which Clerk
// lists only for one user at a time. stats.go counts for metrics.
//
// A suspect is a row about which Clerk said something that one answer does not prove:
//
//	                 404                    404, a minute later
//	live row ─────────────────▶ suspect ──────────────────────▶ hidden (inferred tombstone)
//	    ▲                          │                               │ 404, a week later
//	    └──────────────────────────┘                               ▼
//	       found again, or written meanwhile              permanently deleted
//
// Everything is written through package ingest, under a lease whose token each transaction checks:
// one process at a time reconciles, and a process that lost the lease writes nothing. A list that
// lacks an object never deletes it by itself. Suspects are stored, so that any process can continue
// after a restart. The rules are those of docs/correctness.md, section 7.
package reconcile
