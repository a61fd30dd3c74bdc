package inspector

import (
	"cmp"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/clerksync/clerksync/internal/emulator"
)

// faultsData is the form with all faults.
type faultsData struct {
	On      bool
	Presets []preset
	Groups  []faultGroup
	Problem string
}

type faultGroup struct {
	Title  string
	Fields []faultField
}

// faultField is a rate in percent, or a duration.
type faultField struct {
	Name  string // as in JSON, such as "api.slow"
	Label string
	Text  string
	Value string
	Rate  bool
	On    bool
}

// preset is a set of faults that one button turns on.
type preset struct {
	Name, Label, Text string
	Current           bool

	faults emulator.Faults
}

func presets() []preset {
	const hour = emulator.Duration(time.Hour)
	slow := emulator.APIFaults{Slow: 1, SlowFor: emulator.Duration(3 * time.Second)}
	return []preset{
		{Name: "none", Label: "None", Text: "everything arrives at once, and once"},
		{
			Name: "unreliable", Label: "Unreliable webhooks", Text: "some come twice, late, out of order, or only at the second attempt",
			faults: emulator.Faults{Duplicate: 0.1, Reorder: 0.3, Delay: 0.1, DelayMax: emulator.Duration(10 * time.Second), Fail: 0.1},
		},
		{Name: "outage", Label: "No webhooks for an hour", Text: "no attempt reaches an endpoint; they are repeated later", faults: emulator.Faults{Outage: hour}},
		{Name: "lost", Label: "Webhooks are lost", Text: "nothing is sent, and nothing is repeated", faults: emulator.Faults{Drop: 1}},
		{
			Name: "down", Label: "Clerk is down", Text: "each call of either API gets 500, 502 or 503",
			faults: emulator.Faults{API: emulator.APIFaults{ServerError: 1}, Frontend: emulator.APIFaults{ServerError: 1}},
		},
		{
			Name: "limited", Label: "Rate limit is reached", Text: "each call of the Backend API gets 429, with Retry-After",
			faults: emulator.Faults{API: emulator.APIFaults{TooMany: 1}},
		},
		{
			Name: "slow", Label: "Clerk is slow", Text: "each answer of either API takes three seconds",
			faults: emulator.Faults{API: slow, Frontend: slow},
		},
	}
}

// faultWords are the names and descriptions of faults by their names in JSON. Those of "api" are
// those of "frontend", too.
var faultWords = map[string][2]string{
	"duplicate":             {"Duplicate", "a delivered webhook is delivered again"},
	"reorder":               {"Reorder", "a webhook is held back, behind younger ones"},
	"reorder_window":        {"Reorder by up to", "default 200ms"},
	"delay":                 {"Delay", "a webhook is held back for longer"},
	"delay_max":             {"Delay by up to", "default 1m"},
	"fail":                  {"Fail", "the attempt is lost on its way, and is repeated"},
	"unheard":               {"Answer lost", "it arrives, the answer is lost, and it is repeated"},
	"drop":                  {"Drop", "it is never sent"},
	"burst":                 {"Burst", "what is due is sent together, once in this time"},
	"wrong_signature":       {"Wrong signature", "a forged copy comes before the true one"},
	"wrong_instance":        {"Wrong instance", "an event of another instance comes before the true one"},
	"outage":                {"Outage", "from now on, for this long, nothing reaches an endpoint"},
	"api.too_many_requests": {"Too many requests", "429 with Retry-After: 1"},
	"api.server_error":      {"Server error", "500, 502 or 503"},
	"api.slow":              {"Slow", "the answer comes late"},
	"api.slow_for":          {"Slow for", "default 1s"},
	"api.truncate":          {"Truncate", "the connection breaks in the middle of the body"},
	"api.page_shift":        {"Page shift", "a page by offset skips a row, as after a deletion before it"},
	"api.flagged":           {"Flagged", "a revoked or expired token of a machine passes verification, with its flags"},
}

// groupNames are the titles of groups of faults, by their names in JSON.
var groupNames = map[string]string{"": "Webhooks", "api": "Backend API", "frontend": "Frontend API"}

func (v *visit) faults() error {
	f := v.clerk.Faults()
	return v.render("faults", "Faults", faultsOf(&f))
}

func faultsOf(f *emulator.Faults) faultsData {
	d := faultsData{On: *f != emulator.Faults{}, Presets: presets()}
	for i := range d.Presets {
		d.Presets[i].Current = d.Presets[i].faults == *f
	}
	groups := map[string]int{}
	eachFault(f, func(group, name string, value reflect.Value) {
		at, known := groups[group]
		if !known {
			at = len(d.Groups)
			groups[group] = at
			d.Groups = append(d.Groups, faultGroup{Title: cmp.Or(groupNames[group], group)})
		}
		label, text := wordsOf(name)
		field := faultField{Name: name, Label: label, Text: text, Rate: value.Kind() == reflect.Float64, On: !value.IsZero()}
		switch {
		case field.Rate && field.On:
			field.Value = strconv.FormatFloat(value.Float()*100, 'g', 6, 64)
		case field.On:
			field.Value = time.Duration(value.Int()).String()
		}
		d.Groups[at].Fields = append(d.Groups[at].Fields, field)
	})
	return d
}

// wordsOf returns the name and the description of a fault.
func wordsOf(name string) (label, text string) {
	words, ok := faultWords[strings.Replace(name, "frontend.", "api.", 1)]
	if !ok {
		return name, ""
	}
	return words[0], words[1]
}

// eachFault calls a function for every rate and every duration of faults: with its group, its name
// in JSON, and its value.
func eachFault(f *emulator.Faults, call func(group, name string, value reflect.Value)) {
	var walk func(group string, v reflect.Value)
	walk = func(group string, v reflect.Value) {
		for i := range v.NumField() {
			name := v.Type().Field(i).Tag.Get("json")
			if group != "" {
				name = group + "." + name
			}
			if field := v.Field(i); field.Kind() == reflect.Struct {
				walk(name, field)
			} else {
				call(group, name, field)
			}
		}
	}
	walk("", reflect.ValueOf(f).Elem())
}

// saveFaults puts the faults of a form, or those of a preset, into force.
func (v *visit) saveFaults() error {
	if name := v.form("preset"); name != "" {
		for _, p := range presets() {
			if p.Name == name {
				if err := v.clerk.SetFaults(p.faults); err != nil {
					return err
				}
				return v.done("Faults: "+p.Label+".", "/faults")
			}
		}
		return &problem{Status: http.StatusNotFound, Title: "Not found", Text: "There is no such set of faults."}
	}
	var f emulator.Faults
	problem := v.readFaults(&f)
	if problem == "" {
		if err := v.clerk.SetFaults(f); err != nil {
			problem = err.Error()
		}
	}
	if problem != "" {
		d := faultsOf(&f)
		d.Problem = problem
		for _, g := range d.Groups {
			for i := range g.Fields {
				g.Fields[i].Value = v.form(g.Fields[i].Name)
			}
		}
		return v.renderStatus(http.StatusUnprocessableEntity, "faults", "Faults", d)
	}
	return v.done("The faults are in force from now on.", "/faults")
}

// readFaults reads the form. It returns what is wrong with it, or an empty text.
func (v *visit) readFaults(f *emulator.Faults) (problem string) {
	eachFault(f, func(_, name string, value reflect.Value) {
		text := v.form(name)
		if text == "" || problem != "" {
			return
		}
		label, _ := wordsOf(name)
		if value.Kind() == reflect.Float64 {
			percent, err := strconv.ParseFloat(text, 64)
			if err != nil || !(percent >= 0 && percent <= 100) {
				problem = fmt.Sprintf("%s goes from 0 to 100 percent, not %s.", label, text)
				return
			}
			value.SetFloat(percent / 100)
			return
		}
		d, err := parseDuration(text)
		if err != nil {
			problem = fmt.Sprintf("%s is a duration such as 250ms, 30s or 28h, not %s.", label, text)
			return
		}
		value.SetInt(int64(d))
	})
	return problem
}
