//go:build !linux && !darwin

package sqlite

// freeBytes does not know.
func freeBytes(string) (free int64, known bool) { return 0, false }
