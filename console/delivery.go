package console

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/clerksync/clerksync/internal/pages"
	"github.com/clerksync/clerksync/mirror"
)

// deliveryData is the page of a delivery.
type deliveryData struct {
	mirror.Delivery

	Verdict     verdict
	Lag         time.Duration
	HasLag      bool
	Subjects    []object
	Preview     *previewData // nil: there is no body to read
	Changes     []changeRow  // what it changed
	ChangesGone bool         // what it changed is older than the retention of the feed
	HasBody     bool
	Hidden      bool // the body is not shown yet
	Body        string
	Curl        string
	Emulator    string
	CanReplay   bool
	CanDismiss  bool
}

// verdict says what became of a delivery, why, and what to do.
type verdict struct {
	Kind   string // of the notice
	Title  string
	Text   string
	Detail string // what exactly was wrong, in the words of the error
	Remedy string
}

// previewData is what an event says, and what a replay of it would do.
type previewData struct {
	Operations []operationRow
	Outcome    string
	Problem    string
	Changes    int
}

type operationRow struct {
	mirror.DeliveryOperation

	Object object
	Says   string
	Result string // what a replay would do
	Fields []string
}

func showDelivery(v *visit) error {
	ctx := v.r.Context()
	d, err := v.mirror.Deliveries().ByMessageID(ctx, v.id())
	if err != nil {
		return err
	}
	data := deliveryData{Delivery: d, HasBody: d.Body() != ""}
	if !d.SignedAt.IsZero() {
		data.Lag, data.HasLag = max(0, d.ReceivedAt.Sub(d.SignedAt)), d.Attempts == 1
	}
	if err := v.addSubjects(&data); err != nil {
		return err
	}
	problem := ""
	if data.HasBody {
		if data.Preview, err = v.preview(d.MessageID); err != nil {
			return err
		}
		problem = data.Preview.Problem
	}
	data.Verdict = verdictOf(&d, v.mirror.Instance().ID, problem)
	if err := v.addChanges(&data); err != nil {
		return err
	}
	v.addBody(&data)
	data.CanReplay = data.HasBody && d.State != mirror.DeliveryErased
	data.CanDismiss = d.State == mirror.DeliveryDead
	return v.render("delivery", d.Type, data)
}

func (v *visit) addSubjects(data *deliveryData) error {
	var references []reference
	for _, text := range data.Delivery.Subjects {
		if r, ok := subjectOf(text); ok {
			references = append(references, r)
		}
	}
	named, err := v.objects(references)
	if err != nil {
		return err
	}
	for _, r := range references {
		data.Subjects = append(data.Subjects, named[r])
	}
	return nil
}

// preview returns what an event says, nil if there is nothing to read.
func (v *visit) preview(messageID string) (*previewData, error) {
	p, err := v.mirror.Deliveries().Preview(v.r.Context(), messageID)
	if errors.Is(err, mirror.ErrNoBody) {
		return &previewData{}, nil
	}
	if err != nil {
		return nil, err
	}
	shown := &previewData{Outcome: string(p.Outcome), Problem: p.Problem, Changes: len(p.Changes)}
	var references []reference
	for _, op := range p.Operations {
		references = append(references, reference{op.Kind, op.ID})
	}
	named, err := v.objects(references)
	if err != nil {
		return nil, err
	}
	for _, op := range p.Operations {
		shown.Operations = append(shown.Operations, operationOf(op, named[reference{op.Kind, op.ID}], p))
	}
	return shown, nil
}

func operationOf(op mirror.DeliveryOperation, o object, p mirror.ReplayPreview) operationRow {
	row := operationRow{DeliveryOperation: op, Object: o, Says: "has this state", Result: "nothing to change"}
	switch {
	case op.Delete:
		row.Says = "was deleted"
	case op.Embedded:
		row.Says = "is mentioned"
	}
	if p.Outcome == mirror.OutcomeQuarantined || p.Problem != "" {
		row.Result = "not applied"
		return row
	}
	at := slices.IndexFunc(p.Changes, func(c mirror.Change) bool { return c.Kind == op.Kind && c.ID == op.ID })
	if at >= 0 {
		row.Result, row.Fields = "would be "+string(p.Changes[at].Operation), p.Changes[at].Fields
	}
	return row
}

// verdictOf says what became of a delivery. problem is what the preview of a replay found.
func verdictOf(d *mirror.Delivery, own, problem string) verdict {
	switch d.State {
	case mirror.DeliveryApplied:
		return verdict{Kind: "ok", Title: "Applied", Text: "Everything in it that is newer than what was stored is in the mirror."}
	case mirror.DeliveryErased:
		return verdict{Kind: "info", Title: "Erased", Text: "It names a user whose personal data was erased, so that nothing of it is kept."}
	case mirror.DeliveryDismissed:
		return verdict{
			Kind: "info", Title: "Dismissed", Text: "It failed, and an operator decided that it need not be applied. It does not count as a problem " +
				"any more.",
			Detail: problem, Remedy: "You can still replay it. If Clerk sends it again, it is tried again.",
		}
	case mirror.DeliveryIgnored:
		if d.Reason == "not_kept" {
			return verdict{Kind: "info", Title: "Ignored", Text: "E-mails and text messages hold one-time codes. There is nothing in them to mirror, " +
				"and nothing of them is kept."}
		}
		return verdict{
			Kind: "info", Title: "Ignored", Text: "This version of clerksync does not know events of the type " +
				"" + d.Type + ". Nothing of it is in the mirror.",
			Remedy: "A version that knows the type applies it by itself.",
		}
	case mirror.DeliveryQuarantined:
		return quarantined(d, own)
	default:
		return failed(d, problem)
	}
}

func quarantined(d *mirror.Delivery, own string) verdict {
	if d.Reason == "body_conflict" {
		return verdict{
			Kind: "warn", Title: "Quarantined: the id came before with another body",
			Text: "Clerk never changes a message that it sends again. Something between Clerk and this server rewrites bodies, or someone else knows " +
				"the signing secret. It was not applied.",
			Remedy: "Compare the two deliveries. If you cannot explain the difference, rotate the signing secret of the endpoint.",
		}
	}
	return verdict{
		Kind: "warn", Title: "Quarantined: it is of another Clerk instance",
		Text: fmt.Sprintf("The event names the instance %s. This mirror is of %s. It was not applied, so that the users of two instances do not "+
			"mix.", orNone(d.InstanceID), orNone(own)),
		Remedy: "An endpoint of that instance sends to this server. Remove it in the Clerk dashboard, or give that instance a mirror of its own.",
	}
}

func orNone(text string) string {
	if text == "" {
		return "(none)"
	}
	return text
}

func failed(d *mirror.Delivery, problem string) verdict {
	f := verdict{Kind: "bad", Detail: problem}
	if problem == "" && d.Reason != "hook_failed" {
		f.Remedy = "A replay would succeed now: replay it."
	}
	switch d.Reason {
	case "hook_failed":
		f.Title, f.Text = "Failed: your OnChange function refused it", "The application's function returned an error, so that nothing of the event was "+
			"stored. Clerk was told to send it again."
		f.Detail, f.Remedy = d.Problem, "Mend the function, then replay the delivery."
	case "invalid":
		f.Title, f.Text = "Failed: it is not a valid event", "It was signed correctly, and nothing could be derived from it. Clerk was told "+
			"not to send it again."
		if f.Remedy == "" {
			f.Remedy = "A replay fails in the same way until a version of clerksync can read it. If it is not needed, dismiss it. Comparing with " +
				"Clerk, on the page Sync, brings the state of the object."
		}
	default:
		f.Title, f.Text = "Failed: it could not be applied here", "Something went wrong in this server. Clerk was told to send it again, so that it "+
			"may still be applied by itself."
		if f.Remedy == "" {
			f.Remedy = "The log has the cause. Replay the delivery when it is mended."
		}
	}
	return f
}

// addChanges adds what a delivery changed.
func (v *visit) addChanges(data *deliveryData) error {
	changes, err := v.mirror.Deliveries().Changes(v.r.Context(), data.MessageID)
	if errors.Is(err, mirror.ErrChangesRemoved) {
		data.ChangesGone = true
		return nil
	}
	if err != nil {
		return err
	}
	data.Changes, err = v.changeRows(changes)
	return err
}

// addBody adds the body, and scripts with it, if the visitor asked for them.
func (v *visit) addBody(data *deliveryData) {
	if !data.HasBody {
		return
	}
	if data.Hidden = !v.options.ShowPayloads && v.query("show") != "body"; data.Hidden {
		return
	}
	whole := withoutPrivate(data.Delivery.Body())
	if whole == nil { // damaged, so that nothing can be taken out of it
		if data.Body = data.Delivery.Body(); strings.Contains(data.Body, "private_metadata") {
			data.Body = "The body is damaged, and has private metadata, so that it is not shown."
		}
		return
	}
	data.Body = indented(whole)
	line, err := json.Marshal(whole)
	if err != nil {
		return // it was parsed from JSON
	}
	data.Curl, data.Emulator = curlScript(string(line)), emulatorScript(string(line))
}

func indented(value any) string {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(value) //nolint:errchkjson // it was parsed from JSON
	return out.String()
}

// withoutPrivate returns a JSON value without private metadata, nil if the text is damaged.
func withoutPrivate(text string) any {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber() // numbers stay as they are
	var value any
	if decoder.Decode(&value) != nil {
		return nil
	}
	removePrivate(value)
	return value
}

func removePrivate(value any) {
	switch v := value.(type) {
	case map[string]any:
		delete(v, "private_metadata")
		for _, member := range v {
			removePrivate(member)
		}
	case []any:
		for _, item := range v {
			removePrivate(item)
		}
	}
}

// replayDelivery replays a delivery, and leads to what it changed.
func replayDelivery(v *visit) error {
	id := v.id()
	outcome, err := v.mirror.Deliveries().Replay(v.r.Context(), id, v.by())
	switch {
	case errors.Is(err, mirror.ErrNoBody):
		v.setFlash(flash{Kind: "bad", Text: "It cannot be replayed: its body is no longer kept."})
		return v.redirect(v.to("deliveries", id))
	case err != nil:
		return err
	}
	shown := flash{Kind: "ok", Text: "Replayed and applied. What it changed is listed below."}
	switch outcome {
	case mirror.OutcomeProcessed:
	case mirror.OutcomeDuplicate:
		shown.Text = "Replayed. It had been applied before, and nothing changed."
	case mirror.OutcomeIgnored:
		shown = flash{Kind: "warn", Text: "Replayed. There is still nothing in it that this version mirrors."}
	case mirror.OutcomeQuarantined:
		shown = flash{Kind: "warn", Text: "Replayed. It stays in quarantine, for the same reason."}
	default:
		shown = flash{Kind: "bad", Text: "Replayed, and it failed again (" + string(outcome) + ")."}
	}
	v.setFlash(shown)
	return v.redirect(v.to("deliveries", id) + "#changed")
}

// confirmDismissal asks whether a dead letter need not be applied.
func confirmDismissal(v *visit) error {
	d, err := v.mirror.Deliveries().ByMessageID(v.r.Context(), v.id())
	if err != nil {
		return err
	}
	path := v.to("deliveries", d.MessageID)
	return v.confirm(confirmation{
		Title:  "Dismiss the failed delivery " + d.Type + "?",
		Object: pages.Identifier(d.MessageID),
		Text: []string{
			"What it says is not applied. It no longer counts as a problem, and the mirror can be in sync without it.",
			"It stays in the list, can still be replayed, and is tried again if Clerk sends it again.",
			"The audit records that you dismissed it.",
		},
		Action: path + "/dismiss", Button: "Dismiss the delivery", Back: path,
	})
}

// confirm renders a page that asks before something is done.
func (v *visit) confirm(c confirmation) error { return v.render("confirm", c.Title, c) }

func dismissDelivery(v *visit) error {
	id := v.id()
	err := v.mirror.Deliveries().Dismiss(v.r.Context(), []string{id}, v.by())
	switch {
	case errors.Is(err, mirror.ErrNotDead):
		v.setFlash(flash{Kind: "warn", Text: "Only failed deliveries can be dismissed. This one is no longer failed."})
	case err != nil:
		return err
	default:
		v.setFlash(flash{Kind: "ok", Text: "Dismissed. It no longer counts as a problem."})
	}
	return v.redirect(v.to("deliveries", id))
}

// planReplay plans the replay of the deliveries that a list selects. The page of the plan comes
// next: nothing is done before it is started there.
func planReplay(v *visit) error {
	request := mirror.JobRequest{Action: mirror.JobReplayDeliveries, Filter: mirror.JobSelection{
		State: mirror.DeliveryState(v.form("state")), Type: v.form("type"), Reason: v.form("reason"), Subject: v.form("subject"),
		Organization: v.form("organization"), IDs: v.forms("id"),
	}}
	for name, at := range map[string]*time.Time{"since": &request.Filter.Since, "until": &request.Filter.Until} {
		text := v.form(name)
		if text == "" {
			continue
		}
		parsed, ok := v.parseTime(text)
		if !ok {
			return &fault{Status: http.StatusBadRequest, Title: "This filter is not valid", Text: name + " is not a time."}
		}
		*at = parsed
	}
	return v.plan(request)
}
