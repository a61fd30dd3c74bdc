package machine

import "time"

// What tests see of the package's inside.
const (
	AddressBurst = addressBurst
	UnknownFor   = unknownFor
	MaxListed    = maxListed
)

// Flush stores at once what is not stored yet.
func (v *Verifier) Flush() { v.saver.flush() }

// SetClock replaces the clock.
func (v *Verifier) SetClock(now func() time.Time) { v.config.Now = now }
