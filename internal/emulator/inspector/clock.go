package inspector

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/pages"
)

// clockData is the page of the clock.
type clockData struct {
	Ahead    string
	Steps    []clockStep
	Next     *emulator.Message // whose attempt is due next, nil if none is
	NextAt   time.Time
	NextWait string
}

// clockStep is a button that moves the clock.
type clockStep struct{ Advance, Label, Text string }

func (v *visit) clock() error {
	d := clockData{
		Ahead: ahead(v.clerk.Ahead()),
		Steps: []clockStep{
			{"5m", "5 minutes", "the third attempt of a webhook"},
			{"1h", "1 hour", "a locked user is unlocked"},
			{"24h", "1 day", "an old webhook secret ends"},
			{"168h", "7 days", "a session expires"},
			{"720h", "30 days", "an invitation expires"},
		},
	}
	if m, at, waits := v.clerk.NextMessage(); waits {
		d.Next, d.NextAt = &m, at
		d.NextWait = pages.Duration(max(0, at.Sub(v.now)))
	}
	return v.render("clock", "Clock", d)
}

func (v *visit) advance() error {
	step, err := parseDuration(v.form("advance"))
	if v.form("advance") == "next" {
		_, at, waits := v.clerk.NextMessage()
		if !waits {
			return v.report(pages.Flash{Kind: "warn", Text: "Nothing is due."}, "/clock")
		}
		step, err = max(0, at.Sub(v.clerk.Now())), nil
	}
	if err != nil {
		return v.report(pages.Flash{Kind: "bad", Text: "The clock goes forward by a duration such as 90s, 28h or 3d."}, "/clock")
	}
	if err := v.call(http.MethodPost, "/_emulator/clock", map[string]emulator.Duration{"advance": emulator.Duration(step)}, nil); err != nil {
		return v.refused(err, "/clock")
	}
	return v.done("The clock is "+pages.Duration(step)+" further.", "/clock")
}

// parseDuration reads a duration such as "90s", "28h" or "3d".
func parseDuration(text string) (time.Duration, error) {
	text = strings.ReplaceAll(strings.ToLower(text), " ", "")
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseFloat(days, 64)
		if err != nil || !(n >= 0 && n <= maxDays) {
			return 0, fmt.Errorf("%q is no number of days from 0 to %d", days, maxDays)
		}
		return time.Duration(n * float64(24*time.Hour)), nil
	}
	d, err := time.ParseDuration(text)
	if err == nil && d < 0 {
		err = fmt.Errorf("%s is negative", d)
	}
	return d, err
}

const maxDays = 36500
