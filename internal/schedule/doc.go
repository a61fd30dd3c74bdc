// Package schedule decides when everything at Clerk is compared again, and from what age on such a
// comparison is late. It is pure: it reads no clock and no database.
package schedule
