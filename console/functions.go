package console

import (
	"fmt"
	"html/template"
	"maps"
	"strings"
	"time"

	"github.com/clerksync/clerksync/internal/pages"
	"github.com/clerksync/clerksync/mirror"
)

// functions are what templates call. Times are methods of [view], because they need its zone.
func functions() template.FuncMap {
	f := pages.Functions()
	maps.Copy(f, template.FuncMap{
		"state":    stateChip,
		"name":     personName,
		"sentence": sentence,
		"process":  processName,
		"len64":    func(list []string) int64 { return int64(len(list)) },
	})
	return f
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
		return pages.None
	}
	return pages.Chip(stateKinds[text], stateText(text))
}

// stateText returns a state in words. A dead letter is called a failed delivery.
func stateText(state string) string {
	if state == string(mirror.DeliveryDead) {
		return "failed"
	}
	return strings.ReplaceAll(state, "_", " ")
}

// personName returns what a user is called: the name, else the user name, the address or the id.
func personName(u mirror.User) string {
	for _, name := range []string{strings.TrimSpace(u.FirstName + " " + u.LastName), u.Username, u.Email} {
		if name != "" {
			return name
		}
	}
	return pages.Shorten(u.ClerkUserID)
}

// processName returns what people call the holder of a lease: its process id, if the name has one.
func processName(holder string) string {
	if parts := strings.Split(holder, " "); len(parts) == 4 {
		return "process " + parts[2]
	}
	return pages.Shorten(holder)
}

// Ago shows a time relative to now.
func (v *view) Ago(t time.Time) template.HTML { return v.prefs.Ago(t, v.now()) }

// NowMS returns the time of the mirror in milliseconds. The script shows times relative to it,
// because the clock of the browser may be wrong.
func (v *view) NowMS() int64 { return v.now().UnixMilli() }

// Time shows an exact time.
func (v *view) Time(t time.Time) template.HTML { return v.prefs.Time(t) }
