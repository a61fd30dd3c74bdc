package reach

import (
	"net/http"
	"strconv"
	"sync"
	"time"
)

const (
	// Noticed is the difference of clocks from which on some tokens are refused.
	Noticed = 5 * time.Second
	// longestRoundTrip bounds what is measured: of a slow answer it is not known when it was
	// dated.
	longestRoundTrip = 4 * time.Second
)

// Clock compares the clock of this machine with the Date headers of answers. The zero value has
// compared nothing; nil compares nothing. It is safe for concurrent use.
type Clock struct {
	// Now is the clock that is compared, nil for that of the machine.
	Now func() time.Time

	mu    sync.Mutex
	ahead time.Duration
}

// Observe compares the clock with an answer that was asked for and came at these times.
func (c *Clock) Observe(asked, came time.Time, header http.Header) {
	date, err := http.ParseTime(header.Get("Date"))
	took := came.Sub(asked)
	if c == nil || err != nil || took < 0 || took > longestRoundTrip {
		return
	}
	if age, err := strconv.ParseUint(header.Get("Age"), 10, 31); err == nil { // from a cache
		date = date.Add(time.Duration(age) * time.Second)
	}
	if c.Now != nil {
		moved := time.Until(c.Now())
		asked, came = asked.Add(moved), came.Add(moved)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead = Ahead(asked, came, date.Add(500*time.Millisecond)) // the header is cut to seconds
}

// Ahead returns how far this clock is ahead of the last answer's, negative if it is behind. It
// returns 0 if nothing was compared, or if the difference is less than [Noticed].
func (c *Clock) Ahead() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ahead
}

// Ahead returns how far this clock is ahead of another one, which was read between asked and came.
// A difference that the time between them explains, or that is less than [Noticed], is 0.
func Ahead(asked, came, other time.Time) time.Duration {
	half := came.Sub(asked) / 2
	ahead := asked.Add(half).Sub(other)
	if ahead.Abs()-half < Noticed {
		return 0
	}
	return ahead.Round(time.Second)
}

// Transport returns a transport that compares the clock with the answers of another one.
func (c *Clock) Transport(next http.RoundTripper) http.RoundTripper { return watched{next, c} }

type watched struct {
	http.RoundTripper
	clock *Clock
}

// RoundTrip implements [http.RoundTripper].
func (w watched) RoundTrip(r *http.Request) (*http.Response, error) {
	asked := time.Now()
	response, err := w.RoundTripper.RoundTrip(r)
	if err == nil {
		w.clock.Observe(asked, time.Now(), response.Header)
	}
	return response, err
}
