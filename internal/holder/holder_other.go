//go:build !linux

package holder

// On other systems processes cannot be identified: the lease of a dead process has to expire.

func selfID() int { return 0 }

func thisMachine() string { return "" }

func beganAt(int) string { return "" }

func gone(int, string) bool { return false }
