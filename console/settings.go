package console

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/mirror"
)

func (h *handler) settingsRoutes() []route {
	return []route{
		{pattern: "GET /settings", section: "settings", serve: showSettings},
		{pattern: "GET /settings/configuration", section: "settings", serve: showConfiguration},
		{pattern: "GET /settings/operators", section: "settings", serve: showOperators},
		{pattern: "POST /settings/operators", section: "settings", serve: addOperator, operators: true},
		{pattern: "GET /settings/operators/{id}/revoke", section: "settings", serve: askRevokeOperator},
		{pattern: "POST /settings/operators/{id}/revoke", section: "settings", serve: revokeOperator, operators: true},
		{pattern: "GET /settings/checks", section: "settings", serve: showChecks},
		{pattern: "POST /settings/checks", section: "settings", serve: runChecks, reads: true},
	}
}

func (v *visit) settingsTabs(current string) (tabs []tab) {
	for _, t := range []struct{ name, label string }{
		{"", "Preferences"}, {"configuration", "Configuration"}, {"operators", "Operators"}, {"checks", "Checks"},
	} {
		parts := []string{"settings"}
		if t.name != "" {
			parts = append(parts, t.name)
		}
		tabs = append(tabs, tab{Label: t.label, Href: v.to(parts...), Current: t.name == current})
	}
	return tabs
}

// preferencesData is the page with what a visitor chooses.
type preferencesData struct {
	Tabs    []tab
	Zones   []string
	Now     time.Time
	Expires time.Time
}

// zones are suggestions: any name of the IANA time zone database works.
var zones = []string{
	"UTC", "Africa/Cairo", "Africa/Johannesburg", "Africa/Lagos", "America/Chicago", "America/Denver", "America/Los_Angeles", "America/Mexico_City",
	"America/New_York", "America/Sao_Paulo", "America/Toronto", "Asia/Dubai", "Asia/Hong_Kong", "Asia/Jerusalem", "Asia/Kolkata", "Asia/Seoul",
	"Asia/Shanghai", "Asia/Singapore", "Asia/Tokyo", "Australia/Sydney", "Europe/Amsterdam", "Europe/Berlin", "Europe/Istanbul", "Europe/Lisbon",
	"Europe/London", "Europe/Madrid", "Europe/Paris", "Europe/Rome", "Europe/Stockholm", "Europe/Zurich", "Pacific/Auckland",
}

func showSettings(v *visit) error {
	return v.render("settings", "Settings", preferencesData{Tabs: v.settingsTabs(""), Zones: zones, Now: v.now(), Expires: v.who.Expires})
}

// configurationData is the page with what is in force.
type configurationData struct {
	Tabs     []tab
	Instance mirror.Instance
	Keys     []keyRow
	Set      []Setting
	Defaults []Setting
	Unset    []string
}

// keyRow is a secret, whether it is set, and how it is replaced.
type keyRow struct{ Name, What, State, Rotation string }

func showConfiguration(v *visit) error {
	data := configurationData{Tabs: v.settingsTabs("configuration"), Instance: v.mirror.Instance(), Keys: v.keyRows()}
	for _, s := range v.options.Settings {
		switch {
		case s.Source != "default":
			data.Set = append(data.Set, s)
		case s.Value == "" || s.Value == "unset":
			data.Unset = append(data.Unset, s.Name)
		default:
			data.Defaults = append(data.Defaults, s)
		}
	}
	return v.render("configuration", "Configuration", data)
}

// fromFile is when a secret that was replaced takes effect.
const fromFile = "A setting with _FILE is read again within a second; otherwise restart."

// keyRows returns the secrets that can be replaced while everything runs.
func (v *visit) keyRows() []keyRow {
	rows := []keyRow{
		{
			Name: "CLERK_SECRET_KEY", What: "Reads and changes Clerk",
			Rotation: "Add a second key in the Clerk dashboard, and set it here. " + fromFile + " Then delete the old one.",
		},
		{
			Name: "CLERK_MACHINE_SECRET_KEY", What: "Verifies M2M tokens",
			Rotation: "Rotate it on the machine's page in the Clerk dashboard, let the old one count for some hours, and set the new one here. " + fromFile,
		},
		{
			Name: "CLERK_WEBHOOK_SIGNING_SECRET", What: "Verifies events",
			Rotation: "Set the old and the new secret, separated by a comma. " + fromFile + " Rotate it in the Clerk dashboard. Remove the old one a day later.",
		},
		{Name: "CLERK_JWT_KEY", What: "Verifies session tokens", Rotation: "Leave it unset: the keys are then fetched from Clerk, and replaced by themselves."},
		{
			Name: "CLERKSYNC_OPERATOR_TOKEN", What: "Signs the unnamed operator in",
			Rotation: "Set another token. " + fromFile + " All browsers that signed in with the old one are signed out.",
		},
	}
	for i := range rows {
		at := slices.IndexFunc(v.options.Settings, func(s Setting) bool { return s.Name == rows[i].Name })
		if at >= 0 {
			rows[i].State = v.options.Settings[at].Value
		}
	}
	return slices.DeleteFunc(rows, func(r keyRow) bool { return r.State == "" })
}

// operatorsData is the page of the operators.
type operatorsData struct {
	Tabs     []tab
	Rows     []operatorRow
	Name     string
	ReadOnly bool
	Days     string
	Problem  string
	Token    string // of the operator who was just added
	Unnamed  bool   // the unnamed operator can sign in
}

type operatorRow struct {
	mirror.Operator

	Expired bool
	You     bool
}

func (v *visit) renderOperators(status int, data operatorsData) error {
	operators, err := v.mirror.Operators().List(v.r.Context())
	if err != nil {
		return err
	}
	data.Tabs, data.Unnamed = v.settingsTabs("operators"), v.options.OperatorToken != ""
	for _, o := range operators {
		data.Rows = append(data.Rows, operatorRow{o, !v.now().Before(o.ExpiresAt), v.who.Operator.Name == o.Name})
	}
	return v.renderStatus(status, "operators", "Operators", data)
}

func showOperators(v *visit) error {
	return v.renderOperators(http.StatusOK, operatorsData{Days: "90"})
}

// day is a day of a token's life.
const day = 24 * time.Hour

func addOperator(v *visit) error {
	data := operatorsData{Name: v.form("name"), ReadOnly: v.form("read_only") == "on", Days: v.form("days")}
	days, err := strconv.Atoi(data.Days)
	if err != nil || days < 1 || days > 5*365 {
		data.Problem = "A token works for 1 to 1,825 days."
		return v.renderOperators(http.StatusUnprocessableEntity, data)
	}
	o, token, err := v.mirror.Operators().Add(v.r.Context(), clerksync.NewOperator{
		Name: data.Name, ReadOnly: data.ReadOnly, ValidFor: time.Duration(days) * day, By: v.by(),
	})
	if errors.Is(err, mirror.ErrInvalidOperator) || errors.Is(err, mirror.ErrOperatorExists) || errors.Is(err, mirror.ErrTooManyOperators) {
		data.Problem = sentence(strings.TrimPrefix(err.Error(), mirror.ErrInvalidOperator.Error()+": ")) + "."
		return v.renderOperators(http.StatusUnprocessableEntity, data)
	}
	if err != nil {
		return err
	}
	return v.renderOperators(http.StatusOK, operatorsData{Name: o.Name, Token: token, Days: "90"})
}

func askRevokeOperator(v *visit) error {
	name := v.id()
	return v.render("confirm", "Revoke "+name, confirmation{
		Title: "Revoke the operator " + name, Action: v.path(), Button: "Revoke", Danger: true, Back: v.to("settings", "operators"),
		Text: []string{
			"The token of " + name + " is refused at once, and browsers that signed in with it are signed out.",
			"What " + name + " did stays in the audit.",
		},
	})
}

func revokeOperator(v *visit) error {
	if err := v.mirror.Operators().Revoke(v.r.Context(), v.id(), v.by()); err != nil {
		return err
	}
	v.setFlash(flash{Kind: "ok", Text: "The operator " + v.id() + " is revoked."})
	return v.redirect(v.to("settings", "operators"))
}

// checksData is the page of the checks.
type checksData struct {
	Tabs     []tab
	Ran      bool
	Findings []mirror.Finding
	Worst    string
	Off      bool
}

// checksTimeout bounds the checks, which ask Clerk.
const checksTimeout = 25 * time.Second

func showChecks(v *visit) error {
	return v.render("checks", "Checks", checksData{Tabs: v.settingsTabs("checks"), Off: v.options.Diagnose == nil})
}

func runChecks(v *visit) error {
	if v.options.Diagnose == nil {
		return notFound("This console has no checks.")
	}
	ctx, cancel := context.WithTimeout(v.r.Context(), checksTimeout)
	defer cancel()
	data := checksData{Tabs: v.settingsTabs("checks"), Ran: true, Findings: v.options.Diagnose(ctx)}
	rank := map[mirror.FindingSeverity]int{mirror.FindingFailure: 0, mirror.FindingWarning: 1, mirror.FindingInfo: 2, mirror.FindingOK: 3}
	slices.SortStableFunc(data.Findings, func(a, b mirror.Finding) int { return rank[a.Severity] - rank[b.Severity] })
	data.Worst = string(mirror.FindingOK)
	if len(data.Findings) > 0 {
		data.Worst = string(data.Findings[0].Severity)
	}
	return v.render("checks", "Checks", data)
}
