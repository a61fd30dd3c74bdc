// Package nats publishes the change feed of a mirror to a stream of NATS JetStream.
//
//	publisher, err := nats.New(m, nats.Options{URL: "nats://localhost:4222"})
//	…
//	err = publisher.Run(ctx)
//
// Each change becomes one message with the subject clerk.<kind>.<operation>, such as
// clerk.user.created. Its body is the change as JSON, the same text that GET /api/changes has. Its
// headers are Clerk-Kind, Clerk-Id, Clerk-Version, Clerk-Type and Clerk-Cursor.
//
// # The stream is the mark
//
// The publisher keeps no mark of its own. It reads the cursor of the last message in the stream and
// goes on after it. Each message is stored only if it follows the message that the publisher
// expects (Nats-Expected-Last-Sequence). So the stream has each change once, in the order of the
// feed, whatever fails: a lost acknowledgement, a node of the cluster, the publisher, or two
// publishers at a time. A publisher that finds messages of another one stands by, and takes over
// when the other one stops.
//
// # When the feed cannot be continued
//
// The place of the stream can be missing in the feed: the database was restored from a backup, or
// the publisher was off for longer than the feed keeps changes. The place can be missing in the
// stream, too: it is new, or it was purged while no publisher ran. Then the publisher sends
//
//  1. clerk.feed.reset: what was received before may be wrong;
//  2. clerk.<kind>.read for each live object: a snapshot;
//  3. clerk.feed.complete: the snapshot is complete. What it did not name does not exist.
//
// Changes follow. A consumer that removes at feed.complete what it has not read since feed.reset
// has a copy of the mirror again.
//
// # Files
//
//	options.go    Options and their defaults
//	publisher.go  Run: connects, publishes until something fails, and tries again
//	connection.go one connection, and the errors of permissions
//	stream.go     makes and checks the stream; reads where it ends
//	follow.go     reads the feed and decides what comes next: changes, a reset, a snapshot
//	window.go     messages that are sent and not acknowledged yet
//	message.go    a change as a message
//	standby.go    waits while another publisher works
//	state.go      what metrics and warnings show
package nats
