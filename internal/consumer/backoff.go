package consumer

import "time"

const (
	shortestRetry = 200 * time.Millisecond
	longestRetry  = 5 * time.Minute
	// jitter is the part of a pause that is random, so that what failed together is not tried
	// together again.
	jitter = 0.25
)

// backoff returns the pause after a number of failed tries. random is from 0 to 1.
func backoff(attempts int64, shortest, longest time.Duration, random float64) time.Duration {
	d := shortest
	for range attempts - 1 {
		if d >= longest/2 {
			d = longest
			break
		}
		d *= 2
	}
	return d - time.Duration(jitter*random*float64(d))
}
