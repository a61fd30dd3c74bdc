package console

import (
	"time"
)

// timeFilter is the time that a list is limited to: a span that ends now, or a beginning and an
// end. The URL has all three.
type timeFilter struct {
	Since, Until time.Time
	Select       selectField
	Fields       []textField
}

// localLayout is that of the value of an input of type datetime-local.
const localLayout = "2006-01-02T15:04"

// spans are the spans that end now.
var spans = []struct {
	name, label string
	length      time.Duration
}{
	{"1h", "last hour", time.Hour},
	{"24h", "last 24 hours", 24 * time.Hour},
	{"7d", "last 7 days", 7 * 24 * time.Hour},
	{"30d", "last 30 days", 30 * 24 * time.Hour},
}

// timeFilter reads the time from the URL. Times without a zone are in the viewer's. What is no time
// is ignored, and the fields keep it.
func (v *visit) timeFilter() timeFilter {
	f := timeFilter{Select: selectField{Name: "range", Label: "Time", Options: []choice{{Label: "Any time"}}}}
	chosen := v.query("range")
	for _, s := range spans {
		f.Select.Options = append(f.Select.Options, choice{Value: s.name, Label: s.label, Selected: s.name == chosen})
		if s.name == chosen {
			f.Since = v.now().Add(-s.length)
		}
	}
	for _, field := range []struct {
		name, label string
		at          *time.Time
	}{{"since", "From", &f.Since}, {"until", "Before", &f.Until}} {
		text := v.query(field.name)
		shown := text
		if at, ok := v.parseTime(text); ok {
			*field.at, shown = at, at.In(v.prefs.Zone).Format(localLayout)
		}
		f.Fields = append(f.Fields, textField{Name: field.name, Label: field.label, Value: shown, Type: "datetime-local"})
	}
	return f
}

// parseTime reads a time with a zone, or one in the viewer's zone.
func (v *visit) parseTime(text string) (time.Time, bool) {
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, true
	}
	at, err := time.ParseInLocation(localLayout, text, v.prefs.Zone)
	return at, err == nil
}
