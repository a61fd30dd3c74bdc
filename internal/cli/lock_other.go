//go:build !unix

package cli

// lock does nothing: a process is kept from another one's state on Unix systems only.
func lock(string) (release func(), err error) { return func() {}, nil }
