// Package converge has the rules by which a mirror converges: in whatever order events and reads
// come, however often, the rows end up the same. It is pure: it knows no database, no clock and no
// telemetry.
//
// An event or a read becomes operations (operation.go). A [Delta] merges them into copies of the
// rows (delta.go, merge.go) and collects what follows: changes, entries of the verify queue,
// changes of roles. The caller saves it, or drops it if an operation failed. projection.go says
// which fields of an object count.
//
// docs/correctness.md explains the rules.
package converge
