package console

import (
	"fmt"
	"hash/fnv"
	"html/template"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/clerksync/clerksync/mirror"
)

// functions are what templates call. Times are methods of [view], because they need its zone.
func functions() template.FuncMap {
	return template.FuncMap{
		"icon":     icon,
		"id":       identifier,
		"shortid":  shorten,
		"chip":     chip,
		"state":    stateChip,
		"avatar":   avatar,
		"badge":    badge,
		"name":     personName,
		"number":   number,
		"plural":   plural,
		"duration": duration,
		"process":  processName,
		"dict":     dict,
		"len64":    func(list []string) int64 { return int64(len(list)) },
	}
}

// dict makes the data of a component: pairs of a name and a value.
func dict(pairs ...any) (map[string]any, error) {
	if len(pairs)%2 != 0 {
		return nil, fmt.Errorf("dict: %d arguments are no pairs", len(pairs))
	}
	m := make(map[string]any, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		name, ok := pairs[i].(string)
		if !ok {
			return nil, fmt.Errorf("dict: %v is no name", pairs[i])
		}
		m[name] = pairs[i+1]
	}
	return m, nil
}

// identifier shows an id: shortened in the middle, whole in the title, and copied by a click.
func identifier(id string) template.HTML {
	if id == "" {
		return none
	}
	whole := template.HTMLEscapeString(id)
	return template.HTML(`<code class="id" title="` + whole + `" data-copy>` + template.HTMLEscapeString(shorten(id)) + `</code>`) //nolint:gosec // escaped
}

// none stands where there is nothing to show.
const none template.HTML = `<span class="none" aria-label="none">–</span>`

const (
	idHead = 9 // characters that stay after the prefix of an id
	idTail = 4
)

// shorten shortens an id in the middle, so that its kind and its last characters stay.
func shorten(id string) string {
	prefix, rest, found := strings.Cut(id, "_")
	if !found {
		prefix, rest = "", id
	} else {
		prefix += "_"
	}
	if utf8.RuneCountInString(rest) <= idHead+idTail+1 {
		return id
	}
	r := []rune(rest)
	return prefix + string(r[:idHead-idTail]) + "…" + string(r[len(r)-idTail:])
}

// chip shows a word with a colour and an icon, so that the colour is never alone. kind is ok, warn,
// bad, info, busy or neutral.
func chip(kind, text string) template.HTML {
	icons := map[string]string{"ok": "check", "warn": "alert", "bad": "cross", "info": "info", "busy": "busy"}
	shown := template.HTML("")
	if name, ok := icons[kind]; ok {
		shown = icon(name)
	} else {
		kind = "neutral"
	}
	return `<span class="chip ` + template.HTML(kind) + `">` + shown + template.HTML(template.HTMLEscapeString(text)) + `</span>` //nolint:gosec // escaped
}

// stateKinds are the colours of the states of records.
var stateKinds = map[string]string{
	// users
	"active": "ok", "banned": "bad", "locked": "warn", "inactive": "warn", "stub": "neutral",
	// sessions
	string(mirror.SessionPending): "info", string(mirror.SessionEnded): "neutral", string(mirror.SessionExpired): "neutral",
	string(mirror.SessionRemoved): "neutral", string(mirror.SessionReplaced): "neutral", string(mirror.SessionRevoked): "bad",
	string(mirror.SessionAbandoned): "neutral",
	// deliveries
	string(mirror.DeliveryApplied): "ok", string(mirror.DeliveryIgnored): "neutral", string(mirror.DeliveryQuarantined): "warn",
	string(mirror.DeliveryDead): "bad", string(mirror.DeliveryDismissed): "neutral", string(mirror.DeliveryErased): "neutral",
	// consumers, jobs and endpoints
	"running": "busy", "paused": "warn", "not_running": "neutral", "planned": "info", "waiting": "info", "cancelling": "busy",
	"cancelled": "neutral", "done": "ok", "failed": "bad", "disabled": "neutral", "enabled": "ok",
	// invitations
	"accepted": "ok",
	// findings and warnings
	"ok": "ok", "info": "info", "warning": "warn", "failure": "bad", "error": "bad",
}

// stateChip shows a state of a record.
func stateChip(state any) template.HTML {
	text := fmt.Sprint(state)
	if text == "" {
		return none
	}
	return chip(stateKinds[text], stateText(text))
}

// stateText returns a state in words. A dead letter is called a failed delivery.
func stateText(state string) string {
	if state == string(mirror.DeliveryDead) {
		return "failed"
	}
	return strings.ReplaceAll(state, "_", " ")
}

// avatarColours is how many colours the initials of people have; console.css names them.
const avatarColours = 6

// avatar shows the initials of a person in a colour that belongs to the id.
func avatar(name, id string) template.HTML { return initials("avatar", name, id) }

// badge shows the initials of an organization.
func badge(name, id string) template.HTML { return initials("avatar square", name, id) }

func initials(class, name, id string) template.HTML {
	text := ""
	for word := range strings.FieldsSeq(name) {
		first, _ := utf8.DecodeRuneInString(word)
		text += strings.ToUpper(string(first))
		if utf8.RuneCountInString(text) == 2 {
			break
		}
	}
	if text == "" {
		text = "?"
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(id)) // never fails
	class += " a" + strconv.Itoa(int(h.Sum32()%avatarColours))
	return template.HTML(`<span class="` + class + `" aria-hidden="true">` + template.HTMLEscapeString(text) + `</span>`) //nolint:gosec // escaped
}

// personName returns what a user is called: the name, else the user name, the address or the id.
func personName(u mirror.User) string {
	for _, name := range []string{strings.TrimSpace(u.FirstName + " " + u.LastName), u.Username, u.Email} {
		if name != "" {
			return name
		}
	}
	return shorten(u.ClerkUserID)
}

// processName returns what people call the holder of a lease: its process id, if the name has one.
func processName(holder string) string {
	if parts := strings.Split(holder, " "); len(parts) == 4 {
		return "process " + parts[2]
	}
	return shorten(holder)
}

// number shows an integer with commas.
func number(n any) string {
	digits := fmt.Sprint(n)
	sign := ""
	if strings.HasPrefix(digits, "-") {
		sign, digits = "-", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}

// plural shows a number with its noun.
func plural(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return number(n) + " " + many
}

// duration shows a duration in its two largest units.
func duration(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < 0:
		return "-" + duration(-d)
	case d < time.Second:
		return strconv.FormatInt(d.Milliseconds(), 10) + " ms"
	case d < 10*time.Second:
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + " s"
	case d < time.Minute:
		return strconv.Itoa(int(d.Seconds())) + " s"
	case d < time.Hour:
		return two(d, time.Minute, "min", time.Second, "s")
	case d < day:
		return two(d, time.Hour, "h", time.Minute, "min")
	default:
		return two(d, day, "d", time.Hour, "h")
	}
}

func two(d, large time.Duration, largeName string, small time.Duration, smallName string) string {
	text := strconv.FormatInt(int64(d/large), 10) + " " + largeName
	if rest := d % large / small; rest > 0 {
		text += " " + strconv.FormatInt(int64(rest), 10) + " " + smallName
	}
	return text
}

// Layouts of times. The zone is in the frame, and in the title of each time.
const (
	timeLayout  = "2 Jan 2006, 15:04:05"
	titleLayout = "Mon 2 Jan 2006, 15:04:05.000 MST (UTC-07:00)"
)

// Ago shows a time relative to now, with the exact time in the title. The script keeps it current.
func (v *view) Ago(t time.Time) template.HTML {
	if t.IsZero() {
		return none
	}
	return v.timeElement(t, relative(v.now().Sub(t)), "ago")
}

// Time shows an exact time.
func (v *view) Time(t time.Time) template.HTML {
	if t.IsZero() {
		return none
	}
	return v.timeElement(t, t.In(v.prefs.zone).Format(timeLayout), "exact")
}

func (v *view) timeElement(t time.Time, text, class string) template.HTML {
	at := t.UTC().Format("2006-01-02T15:04:05.000Z")
	title := template.HTMLEscapeString(t.In(v.prefs.zone).Format(titleLayout))
	text = template.HTMLEscapeString(text)
	return template.HTML(`<time class="` + class + `" datetime="` + at + `" title="` + title + `">` + text + `</time>`) //nolint:gosec // escaped
}

// relative says how long ago something was, or how far ahead it is, in its largest unit.
// console.js has the same steps.
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
