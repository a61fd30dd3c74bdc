// Package sqlite opens an SQLite file as a mirror's database, with the pure Go driver
// modernc.org/sqlite: no cgo, so that programs cross-compile and install with go alone.
//
// The file is in WAL mode: other processes may read it, and join its documented tables
// and views, while the mirror writes.
package sqlite
