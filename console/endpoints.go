package console

import (
	"errors"
	"strings"
	"time"

	"github.com/clerksync/clerksync/internal/pages"
	"github.com/clerksync/clerksync/mirror"
	"github.com/clerksync/clerksync/publish/webhook"
)

func (h *handler) endpointRoutes() []route {
	return []route{
		{pattern: "GET /changes/endpoints", section: "changes", serve: listEndpoints},
		{pattern: "GET /changes/endpoints/{id}", section: "changes", serve: showEndpoint},
		{pattern: "GET /changes/endpoints/{id}/{action}", section: "changes", serve: confirmEndpoint},
		{pattern: "POST /changes/endpoints/{id}/{action}", section: "changes", serve: changeEndpoint},
	}
}

// endpointsData is the list of endpoints of outgoing webhooks.
type endpointsData struct {
	Tabs  []tab
	Rows  []endpointRow
	Empty empty
}

// EndpointRow returns the endpoint itself, for the template of its state.
func (d endpointData) EndpointRow() endpointRow { return d.endpointRow }

// endpointRow is an endpoint as pages show it.
type endpointRow struct {
	mirror.WebhookEndpoint

	State   string
	Why     string // why it is disabled, or since when it fails
	Selects string
}

func endpointOf(e mirror.WebhookEndpoint) endpointRow {
	row := endpointRow{WebhookEndpoint: e, State: "enabled", Selects: "all changes"}
	var selected []string
	for _, k := range e.Kinds {
		selected = append(selected, kindName(k))
	}
	selected = append(selected, e.Types...)
	if e.ClerkOrganizationID != "" {
		selected = append(selected, "of "+e.ClerkOrganizationID)
	}
	if len(selected) > 0 {
		row.Selects = strings.Join(selected, ", ")
	}
	switch {
	case !e.Enabled:
		row.State, row.Why = "disabled", disabledText(e.DisabledReason)
	case !e.FailingSince.IsZero():
		row.State = "failing"
	}
	return row
}

func disabledText(reason string) string {
	switch reason {
	case mirror.WebhookGone:
		return "The receiver answered 410 Gone: it does not want any more."
	case mirror.WebhookFailing:
		return "All attempts failed for five days."
	case mirror.WebhookCursorGone:
		return "Changes that it has not got are older than the retention of the feed. Choose where to resume."
	}
	return reason
}

func listEndpoints(v *visit) error {
	data := endpointsData{Tabs: v.changeTabs("endpoints"), Empty: empty{
		Icon: "external", Title: "Nothing is sent to other systems yet",
		Text: "An endpoint is a URL that gets each change as a signed webhook, in order for each object, with " +
			"retries.", Command: "clerksync webhooks endpoints add https://app.example.com/hooks",
	}}
	if v.options.Webhooks == nil {
		data.Empty.Title, data.Empty.Command = "This program sends no webhooks", ""
		data.Empty.Text = "Pass a publisher of package publish/webhook to console.Options, or run clerksync serve."
		return v.render("endpoints", "Outgoing webhooks", data)
	}
	found, err := v.options.Webhooks.Endpoints(v.r.Context())
	if err != nil {
		return err
	}
	for _, e := range found {
		data.Rows = append(data.Rows, endpointOf(e))
	}
	return v.render("endpoints", "Outgoing webhooks", data)
}

// endpointData is the page of an endpoint.
type endpointData struct {
	endpointRow

	Filters  []tab
	Attempts []attemptRow
	Pager    pager
}

type attemptRow struct {
	mirror.WebhookAttempt

	Took time.Duration
	Why  string
}

func (v *visit) endpoint() (mirror.WebhookEndpoint, error) {
	if v.options.Webhooks == nil {
		return mirror.WebhookEndpoint{}, mirror.ErrNotFound
	}
	return v.options.Webhooks.Endpoint(v.r.Context(), v.id())
}

func showEndpoint(v *visit) error {
	e, err := v.endpoint()
	if err != nil {
		return err
	}
	failed := v.query("failed") == "true"
	found, err := v.options.Webhooks.Attempts(v.r.Context(), mirror.WebhookAttemptFilter{
		EndpointID: e.ID, MessageID: v.query("message"), Failed: failed, After: v.after(), Limit: pageSize,
	})
	if err != nil {
		return err
	}
	data := endpointData{endpointRow: endpointOf(e), Pager: pagerOf(v, found), Filters: []tab{
		{Label: "All attempts", Href: v.link("failed", "", "message", ""), Current: !failed && v.query("message") == ""},
		{Label: "Failed attempts", Href: v.link("failed", "true", "message", ""), Current: failed},
	}}
	if message := v.query("message"); message != "" {
		data.Filters = append(data.Filters, tab{Label: "Message " + pages.Shorten(message), Href: v.link(), Current: true})
	}
	for _, a := range found.Items {
		data.Attempts = append(data.Attempts, attemptRow{a, time.Duration(a.DurationMS) * time.Millisecond, attemptText(&a)})
	}
	return v.render("endpoint", "Outgoing webhook", data)
}

// attemptTexts are the reasons of attempts that failed, in words.
var attemptTexts = map[string]string{
	"status": "the receiver refused it", "redirect": "the receiver redirects, which is not followed", "timeout": "no answer in time",
	"connection_refused": "connection refused", "connection": "the connection broke", "tls": "TLS failed", "dns": "the name was not found",
	"address_not_allowed": "its address is not allowed", "url_not_allowed": "its URL is not allowed", "secret": "its secret is damaged: rotate it",
}

func attemptText(a *mirror.WebhookAttempt) string {
	if text, ok := attemptTexts[a.Reason]; ok {
		return text
	}
	return strings.ReplaceAll(a.Reason, "_", " ")
}

// confirmEndpoint asks before something is done to an endpoint.
func confirmEndpoint(v *visit) error {
	e, err := v.endpoint()
	if err != nil {
		return err
	}
	path, action := v.to("changes", "endpoints", e.ID), v.r.PathValue("action")
	asked := confirmation{Action: path + "/" + action, Back: path, Object: pages.Identifier(e.ID)}
	switch action {
	case "disable":
		asked.Title, asked.Button = "Stop sending to "+e.URL+"?", "Disable the endpoint"
		asked.Text = []string{"What waits is kept. Changes since then are sent when the endpoint is enabled again, as long as the feed has them."}
	case "resume":
		asked.Title, asked.Button = "Resume "+e.URL+" from another place?", "Resume"
		asked.Text = []string{
			"Beginning: it gets every change that the feed still has, also those that it has got before, with the same message ids.",
			"Now: it gets what changes from now on. What it has not got yet is skipped.",
			"What waits or failed is sent, too.",
		}
		asked.Select = &selectField{Name: "from", Label: "From", Options: []choice{
			{Value: "now", Label: "now"}, {Value: "beginning", Label: "the beginning of the feed"},
		}}
	default:
		return notFound("There is no such page")
	}
	return v.confirm(asked)
}

// changeEndpoint does what an operator asks for.
func changeEndpoint(v *visit) error {
	e, err := v.endpoint()
	if err != nil {
		return err
	}
	ctx, p, shown := v.r.Context(), v.options.Webhooks.As(v.by()), flash{Kind: "ok"}
	switch v.r.PathValue("action") {
	case "ping":
		var a mirror.WebhookAttempt
		if a, err = p.Ping(ctx, e.ID); err == nil {
			shown = pinged(&a)
		}
	case "enable":
		err, shown.Text = p.Enable(ctx, e.ID), "Enabled. It gets what waits, and then what changes."
	case "disable":
		err, shown.Text = p.Disable(ctx, e.ID, "by an operator"), "Disabled. Nothing is sent any more."
	case "resend":
		var n int64
		if n, err = p.Resend(ctx, e.ID, v.form("message")); err == nil {
			shown.Text = "Sent again now: " + pages.Plural(n, "message", "messages") + " that failed, and what waited for its next attempt."
		}
	case "resume":
		from := webhook.Start{}
		if v.form("from") == "beginning" {
			if from.Cursor, err = v.mirror.Feed().Oldest(ctx); err != nil {
				return err
			}
		}
		err, shown.Text = p.Resume(ctx, e.ID, from, false), "Resumed."
	default:
		return notFound("There is no such page")
	}
	if errors.Is(err, mirror.ErrNotFound) {
		err, shown = nil, flash{Kind: "warn", Text: "There is nothing to send again: the message was delivered, or is no longer kept."}
	}
	if gone, ok := errors.AsType[*mirror.CursorGoneError](err); ok {
		err, shown = nil, flash{Kind: "bad", Text: "It cannot go on where it was, because changes are missing " +
			"(" + gone.Reason + "). Resume it from another place."}
	}
	if err != nil {
		return err
	}
	v.setFlash(shown)
	return v.redirect(v.to("changes", "endpoints", e.ID))
}

func pinged(a *mirror.WebhookAttempt) flash {
	took := pages.Duration(time.Duration(a.DurationMS) * time.Millisecond)
	if a.Delivered() {
		return flash{Kind: "ok", Text: "The receiver accepted the ping in " + took + "."}
	}
	text := "The ping failed: " + attemptText(a)
	if a.Status != 0 {
		text += " (status " + pages.Number(a.Status) + ")"
	}
	return flash{Kind: "bad", Text: text + "."}
}
