package clerk

import (
	"strconv"
	"strings"
	"time"
)

// Time is an instant in milliseconds since 1970-01-01 UTC, as Clerk writes times. Zero means that
// Clerk sent no time, or nothing that can be one.
type Time int64

const (
	secondsBelow = 100_000_000_000     // 10^11: smaller numbers are seconds (1973 in ms, the year 5138 in s)
	lastTime     = 253_402_300_799_999 // the end of the year 9999
)

// TimeOf converts a time.Time. What is below a millisecond is dropped. The zero time becomes 0.
func TimeOf(t time.Time) Time {
	if t.IsZero() {
		return 0
	}
	return Time(t.UnixMilli())
}

// Time converts to a time.Time in UTC. 0 becomes the zero time.
func (t Time) Time() time.Time {
	if t == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(t)).UTC()
}

// IsZero reports whether the time is absent.
func (t Time) IsZero() bool { return t == 0 }

// TimeLayout is the layout in which times are written in JSON: RFC 3339 in UTC with milliseconds.
const TimeLayout = "2006-01-02T15:04:05.000Z"

// String returns the time in [TimeLayout], or "" for 0.
func (t Time) String() string {
	if t == 0 {
		return ""
	}
	return t.Time().Format(TimeLayout)
}

// MarshalJSON writes the time as a string in [TimeLayout], and 0 as null.
func (t Time) MarshalJSON() ([]byte, error) {
	if t == 0 {
		return []byte("null"), nil
	}
	return strconv.AppendQuote(nil, t.String()), nil
}

// UnmarshalJSON reads what [Value.Time] reads. Other JSON is not an error: the time is 0 then.
func (t *Time) UnmarshalJSON(data []byte) error {
	v, err := Parse(data)
	*t = v.Time()
	return err
}

// Time reads a time: a number of milliseconds, a number of seconds (one below 10^11), or a string
// in RFC 3339. It returns 0 for anything else, and for times before 1970 or after the year 9999.
func (v Value) Time() Time {
	switch v.kind {
	case number:
		return timeOfNumber(v.text)
	case text:
		t, err := time.Parse(time.RFC3339Nano, v.text)
		if err != nil {
			return 0
		}
		return sane(t.UnixMilli())
	default:
		return 0
	}
}

func timeOfNumber(literal string) Time {
	if n, err := strconv.ParseInt(literal, 10, 64); err == nil {
		if n > 0 && n < secondsBelow {
			n *= 1000
		}
		return sane(n)
	}
	if !strings.ContainsAny(literal, ".eE") {
		return 0 // an integer beyond 64 bits
	}
	f, err := strconv.ParseFloat(literal, 64)
	if err != nil || f <= 0 || f > lastTime {
		return 0
	}
	if f < secondsBelow {
		f *= 1000
	}
	return sane(int64(f))
}

func sane(ms int64) Time {
	if ms <= 0 || ms > lastTime {
		return 0
	}
	return Time(ms)
}
