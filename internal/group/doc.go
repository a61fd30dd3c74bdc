// Package group groups work: while one batch is being worked on, the next one gathers. The
// committer of events and the writer of the audit use it.
package group
