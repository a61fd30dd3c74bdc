// Package holder names the processes that hold something in a shared database, so that another
// process of the same machine can tell whether a holder is gone.
package holder
