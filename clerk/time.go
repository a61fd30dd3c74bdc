package clerk

import (
	"strconv"
	"strings"
	"time"
)

// Time is an instant in milliseconds since the Unix epoch, UTC. Zero means that Clerk
// said none, or nothing that can be a time.
type Time int64

const (
	secondsBelow = 100_000_000_000     // 10^11: smaller numbers are seconds (1973 in ms, the year 5138 in s)
	lastTime     = 253_402_300_799_999 // the end of the year 9999
)

// TimeOf converts a time.Time, to the millisecond.
func TimeOf(t time.Time) Time {
	if t.IsZero() {
		return 0
	}
	return Time(t.UnixMilli())
}

// Time converts to a time.Time in UTC; absent is the zero time.
func (t Time) Time() time.Time {
	if t == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(t)).UTC()
}

// IsZero reports whether the time is absent.
func (t Time) IsZero() bool { return t == 0 }

// TimeLayout is how times are written in JSON: RFC 3339, UTC, milliseconds.
const TimeLayout = "2006-01-02T15:04:05.000Z"

// String is the time in [TimeLayout], "" when absent.
func (t Time) String() string {
	if t == 0 {
		return ""
	}
	return t.Time().Format(TimeLayout)
}

// MarshalJSON writes the time as text in [TimeLayout], or null.
func (t Time) MarshalJSON() ([]byte, error) {
	if t == 0 {
		return []byte("null"), nil
	}
	return strconv.AppendQuote(nil, t.String()), nil
}

// UnmarshalJSON reads what [Value.Time] reads and never fails on other JSON: the time
// is then absent.
func (t *Time) UnmarshalJSON(data []byte) error {
	v, err := Parse(data)
	*t = v.Time()
	return err
}

// Time reads a number of milliseconds, of seconds (below 10^11), or RFC 3339 text.
// Anything else, times before 1970 and after the year 9999 are absent.
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
