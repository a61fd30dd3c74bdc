package clerkapi

import (
	"fmt"
	"sync"
	"time"
)

// Outage is a time in which Clerk answers no request. The zero value is none.
type Outage struct {
	Since   time.Time // of the first request that failed after the last answer
	Problem string    // of the last request: a sentence without its end
	Remedy  string    // likewise
}

// outage notes what the requests since the last answer failed by.
type outage struct {
	mu  sync.Mutex
	now Outage
}

func (o *outage) note(failed *Error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.now.Since.IsZero() {
		o.now.Since = time.Now()
	}
	o.now.Problem, o.now.Remedy = failed.Reason.Error(), failed.Remedy
	switch {
	case failed.Cause != nil:
		o.now.Problem = failed.Cause.Error()
	case failed.Status != 0:
		o.now.Problem = fmt.Sprintf("the answer is %d", failed.Status)
	}
}

func (o *outage) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.now = Outage{}
}

func (o *outage) current() Outage {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.now
}
