// Package store holds all SQL of clerksync: the mirrored tables, the inbox, the change
// feed and the head row that orders every write, for SQLite and Postgres alike.
//
// One SQL text serves both engines; dialect.go holds the few differences. Reads go
// through the live views, which hide what is deleted and the children of what is
// deleted. Writes of mirrored rows happen in one place, [DB.Update], which locks the
// head row first, so that there is one writer at a time across all processes and a
// sequence number is a commit order.
//
// The package decides nothing about convergence: it loads rows, saves rows and derives
// columns from the body that package ingest chose. It compares no versions.
package store
