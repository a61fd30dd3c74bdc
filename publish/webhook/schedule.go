package webhook

import (
	"math/rand/v2"
	"time"
)

// schedule returns the waits between the attempts of a message, which are Svix's: eight attempts in
// 27.6 hours.
func schedule() []time.Duration {
	return []time.Duration{5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 10 * time.Hour}
}

const (
	// jitter is by how much a wait is longer at random, at most, so that messages that failed
	// together are not all sent again in one moment.
	jitter = 0.1
	// maxRetryAfter bounds how long a receiver can delay the next attempt.
	maxRetryAfter = 10 * time.Hour
	// maxWait is longer than any message waits for its next attempt.
	maxWait = 12 * time.Hour
	// failingLimit is how long all attempts to an endpoint may fail before it is disabled.
	failingLimit = 5 * 24 * time.Hour
)

// nextAttempt returns how long to wait after a number of attempts that failed, and false if the
// message is given up. A receiver can ask for a longer wait, but not for a shorter one.
func nextAttempt(attempts int, retryAfter time.Duration) (time.Duration, bool) {
	waits := schedule()
	if attempts > len(waits) {
		return 0, false
	}
	wait := waits[attempts-1]
	wait += time.Duration(rand.Float64() * jitter * float64(wait)) //nolint:gosec // it need not be secret
	return max(wait, min(retryAfter, maxRetryAfter)), true
}
