// Package buildinfo says which version of clerksync a program has, and what it was built from, by
// what the Go toolchain stamped into the program. Nothing is set by flags of a linker, so that it
// is right for releases, for go install and for a build in a checkout.
package buildinfo
