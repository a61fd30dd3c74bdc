// Package row has the mirrored row as a Go value: its key, its version, its sync state, and what is
// derived from them without a database. Package converge computes rows, package store saves them.
package row
