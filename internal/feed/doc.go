// Package feed reads the change feed for everyone who follows it: pages, waiting, snapshots, and
// the live rows of what changed.
//
//	feed.go      Feed: Page, Changes, Head, Oldest
//	filter.go    what a query selects
//	window.go    reads of the table: cursors are checked in the same read
//	latest.go    the changes of a query from the end backwards, for people
//	follower.go  the one reader of news in a process, and who waits for them
//	ring.go      the last changes, in memory
//	reached.go   Reached
//	snapshot.go  live rows as entries with the operation read, then the changes since
//	object.go    the live rows of changes
package feed
