// Package incident keeps the log short while the same thing happens again and again: one line when
// an incident begins, and one a minute with a count while it lasts. Callers who are not known must
// not be able to fill a disk.
package incident
