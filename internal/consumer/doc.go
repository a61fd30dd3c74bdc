// Package consumer runs durable consumers of the change feed. A consumer has a name. Its place is
// in the database, one process at a time works for it, and each change is handled or parked.
//
//	service.go   Service: Run and Close, for any number of consumers of a process
//	admin.go     what operators see and do
//	consumer.go  Config, Options; one consumer: register, wait for the lease, work, begin again
//	tenure.go    the time during which this process has the lease: deadline, renewal, control
//	work.go      the loop: due retries, new changes, saves
//	deliver.go   one change: call the function, hold back, park
//	save.go      progress, and what the database says in return
//	held.go      what is held back, by object
//	backoff.go   when a failed change is tried again
//	stats.go     what is counted
//
// What holds, and why:
//
//   - No change is lost. The place moves in the transaction that stores what was held back or
//     parked before it, and never past a change that was not handled.
//   - One process works at a time, by a lease. A process whose lease ran out stops before its next
//     call. If it was stopped in the middle of a call, another process may begin meanwhile; nothing
//     that the first one saves afterwards is accepted, because the lease's token is another one.
//   - A place is stored only in exchange for the one that this process read or stored last. So a
//     rewind by an operator, or a database that was restored from a copy, is noticed before
//     anything is written, and the work goes on from what is stored.
//   - The changes of an object are handled in the order of the feed. A change that failed holds
//     back the later ones of its object, and no others.
package consumer
