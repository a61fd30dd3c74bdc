package emulator

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"time"
)

// Faults say how unreliable the network is. Rates go from 0 to 1 and count for each message or
// request; the zero value is a perfect network.
type Faults struct {
	Duplicate      float64  `json:"duplicate"`       // sent again, although it was delivered
	Reorder        float64  `json:"reorder"`         // held back up to ReorderWindow, behind younger ones
	ReorderWindow  Duration `json:"reorder_window"`  // 200ms unless told
	Delay          float64  `json:"delay"`           // held back up to DelayMax
	DelayMax       Duration `json:"delay_max"`       // one minute unless told
	Fail           float64  `json:"fail"`            // the attempt is lost on its way; Svix tries again
	Unheard        float64  `json:"unheard"`         // delivered, but the answer is lost; Svix tries again
	Drop           float64  `json:"drop"`            // never sent: lost for good
	Burst          Duration `json:"burst"`           // what falls due is sent together, once in this time
	WrongSignature float64  `json:"wrong_signature"` // a forged copy is sent before the true one
	WrongInstance  float64  `json:"wrong_instance"`  // another instance's event is sent before the true one
	Outage         Duration `json:"outage"`          // no attempt reaches the endpoint, from now on for this long

	API APIFaults `json:"api"`
}

// APIFaults are those of the Backend API.
type APIFaults struct {
	TooMany     float64  `json:"too_many_requests"` // 429 with Retry-After: 1
	ServerError float64  `json:"server_error"`      // 500, 502 or 503
	Slow        float64  `json:"slow"`              // answered after SlowFor
	SlowFor     Duration `json:"slow_for"`          // one second unless told
	Truncate    float64  `json:"truncate"`          // the connection breaks in the middle of the body
	PageShift   float64  `json:"page_shift"`        // a page by offset skips a row, as after a deletion before it
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
		default: // any value does
		}
	}
	return nil
}

// apiFault is what befalls one request.
type apiFault struct {
	err      *APIError
	slow     time.Duration
	truncate bool
}

func (e *Emulator) apiFault(c *call) apiFault {
	f := e.faults.API
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
	return fault
}

// asError is nil, and not a nil pointer in an interface, where there is none.
func (f apiFault) asError() error {
	if f.err == nil {
		return nil
	}
	return f.err
}
