// Package nearest finds the known name that somebody probably meant who wrote an unknown one.
package nearest
