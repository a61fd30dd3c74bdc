package pages

import (
	"html/template"
	"strconv"
	"time"
)

// TimeLayout is the layout of an exact time. The frame has its zone, and so has the title of each
// time.
const TimeLayout = "2 Jan 2006, 15:04:05"

const titleLayout = "Mon 2 Jan 2006, 15:04:05.000 MST (UTC-07:00)"

// Ago shows a time relative to now, with the exact time in the title. The script keeps it current.
func (p Preferences) Ago(t, now time.Time) template.HTML {
	if t.IsZero() {
		return None
	}
	return p.timeElement(t, relative(now.Sub(t)), "ago")
}

// Time shows an exact time.
func (p Preferences) Time(t time.Time) template.HTML {
	if t.IsZero() {
		return None
	}
	return p.timeElement(t, t.In(p.Zone).Format(TimeLayout), "exact")
}

func (p Preferences) timeElement(t time.Time, text, class string) template.HTML {
	at := t.UTC().Format("2006-01-02T15:04:05.000Z")
	title := template.HTMLEscapeString(t.In(p.Zone).Format(titleLayout))
	text = template.HTMLEscapeString(text)
	return template.HTML(`<time class="` + class + `" datetime="` + at + `" title="` + title + `">` + text + `</time>`) //nolint:gosec // escaped
}

// relative says how long ago something was, or how far ahead it is, in its largest unit. pages.js
// has the same steps.
func relative(d time.Duration) string {
	const day = 24 * time.Hour
	ahead := d < 0
	if ahead {
		d = -d
	}
	var text string
	switch {
	case d < 5*time.Second:
		return "now"
	case d < time.Minute:
		text = strconv.Itoa(int(d.Seconds())) + " s"
	case d < time.Hour:
		text = strconv.Itoa(int(d.Minutes())) + " min"
	case d < day:
		text = strconv.Itoa(int(d.Hours())) + " h"
	case d < 60*day:
		text = strconv.Itoa(int(d/day)) + " d"
	case d < 730*day:
		text = strconv.Itoa(int(d/(30*day))) + " mo"
	default:
		text = strconv.Itoa(int(d/(365*day))) + " y"
	}
	if ahead {
		return "in " + text
	}
	return text + " ago"
}
