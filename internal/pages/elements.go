package pages

import (
	"fmt"
	"hash/fnv"
	"html/template"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Functions returns what templates call. The components need them all.
func Functions() template.FuncMap {
	return template.FuncMap{
		"icon":     Icon,
		"id":       Identifier,
		"shortid":  Shorten,
		"chip":     Chip,
		"avatar":   Avatar,
		"badge":    Badge,
		"number":   Number,
		"plural":   Plural,
		"duration": Duration,
		"dict":     Dict,
	}
}

// Dict makes the data of a component: pairs of a name and a value.
func Dict(pairs ...any) (map[string]any, error) {
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

// Identifier shows an id: shortened in the middle, whole in the title, and copied by a click.
func Identifier(id string) template.HTML {
	if id == "" {
		return None
	}
	whole := template.HTMLEscapeString(id)
	return template.HTML(`<code class="id" title="` + whole + `" data-copy>` + template.HTMLEscapeString(Shorten(id)) + `</code>`) //nolint:gosec // escaped
}

// None stands where there is nothing to show.
const None template.HTML = `<span class="none" aria-label="none">–</span>`

const (
	idHead = 9 // characters that stay after the prefix of an id
	idTail = 4
)

// Shorten shortens an id in the middle, so that its kind and its last characters stay.
func Shorten(id string) string {
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

// Chip shows a word with a colour and an icon, so that the colour is never alone. kind is ok, warn,
// bad, info, busy or neutral.
func Chip(kind, text string) template.HTML {
	icons := map[string]string{"ok": "check", "warn": "alert", "bad": "cross", "info": "info", "busy": "busy"}
	shown := template.HTML("")
	if name, ok := icons[kind]; ok {
		shown = Icon(name)
	} else {
		kind = "neutral"
	}
	return `<span class="chip ` + template.HTML(kind) + `">` + shown + template.HTML(template.HTMLEscapeString(text)) + `</span>` //nolint:gosec // escaped
}

// avatarColours is how many colours the initials of people have; pages.css names them.
const avatarColours = 6

// Avatar shows the initials of a person in a colour that belongs to the id.
func Avatar(name, id string) template.HTML { return initials("avatar", name, id) }

// Badge shows the initials of an organization.
func Badge(name, id string) template.HTML { return initials("avatar square", name, id) }

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

// Number shows an integer with commas.
func Number(n any) string {
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

// Plural shows a number with its noun.
func Plural(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return Number(n) + " " + many
}

// Duration shows a duration in its two largest units.
func Duration(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < 0:
		return "-" + Duration(-d)
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
