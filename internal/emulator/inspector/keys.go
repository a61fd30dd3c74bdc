package inspector

import (
	"net/http"

	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/pages"
)

// keysData is what an application must know about the instance.
type keysData struct {
	emulator.Keys

	Env string // environment variables to paste, empty if there are none
}

func (v *visit) keys() error {
	d := keysData{Keys: v.clerk.Keys(v.ownURL())}
	if v.options.Env != nil {
		d.Env = v.options.Env(d.Keys)
	}
	return v.render("keys", "Keys", d)
}

func (v *visit) rotate() error {
	path, text := "/_emulator/keys/rotate", "There is a new signing key. The one before still verifies tokens."
	if v.form("what") == "webhooks" {
		path, text = "/_emulator/webhooks/rotate", "There is a new webhook secret. For 24 hours the one before signs, too."
	}
	if err := v.call(http.MethodPost, path, nil, nil); err != nil {
		return v.refused(err, "/keys")
	}
	return v.done(text, "/keys")
}

func (v *visit) askToReset() error {
	return v.render("confirm", "Reset", pages.Confirmation{
		Title: "Return to the start?", Button: "Reset", Danger: true, Action: "/reset", Back: "/keys",
		Text: []string{
			"People, organizations and sessions are those of the start.", "Messages and faults are gone, and the clock shows real time.",
			"Keys and endpoints stay.", "Your application is not told: begin there with an empty database, too.",
		},
	})
}

func (v *visit) reset() error {
	if err := v.call(http.MethodPost, "/_emulator/reset", nil, nil); err != nil {
		return v.refused(err, "/keys")
	}
	return v.done("Everything is as at the start.", "/")
}
