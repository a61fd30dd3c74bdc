// Package wait waits in a way that a context can end.
package wait
