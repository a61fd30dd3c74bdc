package emulator

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"time"
)

// Faults say how unreliable the network is. Rates are from 0 to 1, for each message or request. The
// zero value is a perfect network.
type Faults struct {
	Duplicate      float64  `json:"duplicate"`       // sent again, although it was delivered
	Reorder        float64  `json:"reorder"`         // delayed up to ReorderWindow, behind younger messages
	ReorderWindow  Duration `json:"reorder_window"`  // default 200ms
	Delay          float64  `json:"delay"`           // delayed up to DelayMax
	DelayMax       Duration `json:"delay_max"`       // default one minute
	Fail           float64  `json:"fail"`            // the attempt is lost; Svix retries
	Unheard        float64  `json:"unheard"`         // delivered, but the answer is lost; Svix retries
	Drop           float64  `json:"drop"`            // never sent
	Burst          Duration `json:"burst"`           // due messages are sent together, once in this time
	WrongSignature float64  `json:"wrong_signature"` // a forged copy is sent before the true one
	WrongInstance  float64  `json:"wrong_instance"`  // another instance's event is sent before the true one
	Outage         Duration `json:"outage"`          // for this long, from now, no attempt reaches an endpoint

	API      APIFaults `json:"api"`      // of the Backend API
	Frontend APIFaults `json:"frontend"` // of the Frontend API
}

// APIFaults are the faults of one of the two APIs.
type APIFaults struct {
	TooMany     float64  `json:"too_many_requests"` // 429 with Retry-After: 1
	ServerError float64  `json:"server_error"`      // 500, 502 or 503
	Slow        float64  `json:"slow"`              // answered after SlowFor
	SlowFor     Duration `json:"slow_for"`          // default one second
	Truncate    float64  `json:"truncate"`          // the connection breaks in the middle of the body
	PageShift   float64  `json:"page_shift"`        // a page by offset skips a row, as after a deletion before it
	Flagged     float64  `json:"flagged"`           // a revoked or expired token of a machine passes verification, with its flags
}

// Duration is a time span, in JSON a text such as "28h" or "250ms".
type Duration time.Duration

// MarshalJSON writes the form that UnmarshalJSON reads.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(d).String()) }

// UnmarshalJSON reads a text such as "28h".
func (d *Duration) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf(`a duration is a text such as "28h": %w`, err)
	}
	v, err := time.ParseDuration(s)
	if err != nil {
		return fmt.Errorf("a duration: %w", err)
	}
	*d = Duration(v)
	return nil
}

func (d Duration) or(otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return time.Duration(d)
}

// check refuses rates outside of 0 to 1 and negative durations.
func (f Faults) check() error { return checkFaults(reflect.ValueOf(f)) }

func checkFaults(v reflect.Value) error {
	for i := range v.NumField() {
		field, name := v.Field(i), v.Type().Field(i).Tag.Get("json")
		switch field.Kind() {
		case reflect.Float64:
			if r := field.Float(); !(r >= 0 && r <= 1) {
				return fmt.Errorf("fault %s: a rate goes from 0 to 1, not %v", name, r)
			}
		case reflect.Int64:
			if field.Int() < 0 {
				return fmt.Errorf("fault %s: a duration is not negative", name)
			}
		case reflect.Struct:
			if err := checkFaults(field); err != nil {
				return err
			}
		default: // any value is valid
		}
	}
	return nil
}

// apiFault is the fault of one request.
type apiFault struct {
	err      *APIError
	slow     time.Duration
	truncate bool
}

// fault decides which of the faults a request meets.
func (e *Emulator) fault(c *call, f APIFaults) apiFault {
	if f == (APIFaults{}) {
		return apiFault{}
	}
	var fault apiFault
	switch {
	case e.chaos.chance(f.TooMany):
		fault.err = tooMany(1)
	case e.chaos.chance(f.ServerError):
		status := []int{http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable}[e.chaos.IntN(3)]
		fault.err = fail(status, "internal_clerk_error", "Oops, an unexpected error occurred", "There was an internal error on our servers.")
	}
	if e.chaos.chance(f.Slow) {
		fault.slow = f.SlowFor.or(time.Second)
	}
	fault.truncate = fault.err == nil && e.chaos.chance(f.Truncate)
	offset := c.query.Get("offset")
	c.shifted = offset != "" && offset != "0" && e.chaos.chance(f.PageShift)
	c.flagged = e.chaos.chance(f.Flagged)
	return fault
}

// asError returns nil, not a nil pointer in an interface, if there is no error.
func (f apiFault) asError() error {
	if f.err == nil {
		return nil
	}
	return f.err
}
