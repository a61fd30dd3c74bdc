// Package activity counts per minute how many events were stored and refused, and how late they
// came, for people who look at a mirror. Each process writes its counts of a minute every few
// seconds, in a transaction of its own, so that no commit of an event waits for it.
package activity
