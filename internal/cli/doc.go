// Package cli is the command line of clerksync: one file per command, and what they share.
package cli
