package mirror

import "time"

// Activity is what a mirror received in a time, from the first minute to the present one. Numbers
// of the last seconds may be missing.
type Activity struct {
	// Minutes has each minute, the oldest first.
	Minutes []ActivityMinute `json:"minutes"`
	// Events is how many events were stored.
	Events int64 `json:"events"`
	// Refused is how many deliveries were refused, such as those that no secret signed.
	Refused int64 `json:"refused"`
	// LagP50MS is how many milliseconds half of the events needed at most, from what happened at
	// Clerk until it was stored; null if there were none. It is rounded up by a fifth at most.
	LagP50MS *int64 `json:"lag_p50_ms"`
	// LagP99MS is LagP50MS for 99 of 100 events.
	LagP99MS *int64 `json:"lag_p99_ms"`
}

// ActivityMinute is what a mirror received in a minute.
type ActivityMinute struct {
	// At is the beginning of the minute.
	At time.Time `json:"at"`
	// Events is how many events were stored.
	Events int64 `json:"events"`
	// Refused is how many deliveries were refused.
	Refused int64 `json:"refused"`
	// LagP50MS is the lag of half of the events, as in [Activity].
	LagP50MS *int64 `json:"lag_p50_ms"`
	// LagP99MS is the lag of 99 of 100 events, as in [Activity].
	LagP99MS *int64 `json:"lag_p99_ms"`
}

// MarshalJSON writes the fields, and null for a zero time.
func (m ActivityMinute) MarshalJSON() ([]byte, error) { return encode(m) }
