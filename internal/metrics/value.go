package metrics

import "time"

// Seconds returns a time in seconds since 1970, 0 for no time.
func Seconds(t time.Time) float64 {
	if t.IsZero() || t.UnixMilli() == 0 {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}

// Bool returns 1 for true and 0 for false.
func Bool(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
