// Package upkeep does the background work of a mirror and decides when it is due: the backfill,
// walks, sweeps and reads of the verify queue (sync.go), erasures and the removal of what is
// older than its retention (retention.go), and the record of which process keeps the mirror up to
// date (life.go). settings.go puts the configured settings into force.
//
// Package reconcile does the reading. This package knows when.
package upkeep
