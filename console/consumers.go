package console

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/internal/pages"
	"github.com/clerksync/clerksync/mirror"
)

func (h *handler) consumerRoutes() []route {
	return []route{
		{pattern: "GET /changes/consumers", section: "changes", serve: listConsumers},
		{pattern: "GET /changes/consumers/{id}", section: "changes", serve: showConsumer},
		{pattern: "GET /changes/consumers/{id}/{action}", section: "changes", serve: confirmConsumer},
		{pattern: "POST /changes/consumers/{id}/{action}", section: "changes", serve: changeConsumer},
	}
}

// consumersData is the list of consumers of the change feed.
type consumersData struct {
	Tabs  []tab
	Rows  []consumerRow
	Empty empty
}

// consumerRow is a consumer as pages show it.
type consumerRow struct {
	mirror.Consumer

	Behind time.Duration
	Late   bool
}

// lateAfter is from what age on an unhandled change is shown as a problem: that of the warning
// consumer_behind.
const lateAfter = 5 * time.Minute

func consumerOf(c mirror.Consumer) consumerRow {
	behind := time.Duration(c.LagSeconds * float64(time.Second))
	return consumerRow{Consumer: c, Behind: behind, Late: behind > lateAfter}
}

func listConsumers(v *visit) error {
	found, err := v.mirror.Feed().Consumers(v.r.Context())
	if err != nil {
		return err
	}
	data := consumersData{Tabs: v.changeTabs("consumers"), Empty: empty{
		Icon: "change", Title: "No program consumes the feed yet",
		Text: "A consumer is a Go program that handles each change once it is stored, in order for each object, with retries. Its place is kept here.",
		Code: `m.Consume(ctx, "welcome-mail", func(ctx context.Context, c mirror.Change) error {
	return mailer.Welcome(ctx, c.ID)
}, clerksync.OnlyTypes("user.created"))`,
	}}
	for _, c := range found {
		data.Rows = append(data.Rows, consumerOf(c))
	}
	return v.render("consumers", "Consumers", data)
}

// consumerData is the page of a consumer.
type consumerData struct {
	consumerRow

	States    []tab
	Unhandled []mirror.ParkedChange
	Pager     pager
	Gone      string // why it is stopped
}

func (v *visit) consumer(name string) (mirror.Consumer, error) {
	all, err := v.mirror.Feed().Consumers(v.r.Context())
	if err != nil {
		return mirror.Consumer{}, err
	}
	i := slices.IndexFunc(all, func(c mirror.Consumer) bool { return c.Name == name })
	if i < 0 {
		return mirror.Consumer{}, notFound("There is no consumer with this name. It may have been deleted.")
	}
	return all[i], nil
}

// parkedSize is how many parked changes a page shows: each has two forms.
const parkedSize = 20

func showConsumer(v *visit) error {
	c, err := v.consumer(v.id())
	if err != nil {
		return err
	}
	state := v.query("state")
	found, err := v.mirror.Feed().ParkedChanges(v.r.Context(), c.Name, mirror.ParkedFilter{State: mirror.ParkedState(state), After: v.after(), Limit: parkedSize})
	if err != nil {
		return err
	}
	data := consumerData{consumerRow: consumerOf(c), Unhandled: found.Items, Pager: pagerOf(v, found)}
	for _, s := range []struct{ state, label string }{{"", "All"}, {"parked", "Given up"}, {"retrying", "Retrying"}, {"waiting", "Waiting"}} {
		data.States = append(data.States, tab{Label: s.label, Href: v.link("state", s.state), Current: s.state == state})
	}
	switch c.StopReason {
	case mirror.CursorExpired:
		data.Gone = "It did not run for longer than the feed keeps changes, so that it would miss some."
	case mirror.CursorOtherHistory:
		data.Gone = "The database has another history than the one in which the consumer was: it was restored from a copy, or a failover lost changes."
	}
	return v.render("consumer", c.Name, data)
}

// confirmConsumer asks before something is done to a consumer that cannot be undone.
func confirmConsumer(v *visit) error {
	c, err := v.consumer(v.id())
	if err != nil {
		return err
	}
	path := v.to("changes", "consumers", c.Name)
	asked := confirmation{Action: path + "/" + v.r.PathValue("action"), Back: path}
	switch v.r.PathValue("action") {
	case "delete":
		asked.Title, asked.Button, asked.Danger, asked.Typed = "Delete the consumer "+c.Name+"?", "Delete the consumer", true, c.Name
		asked.Text = []string{
			"Its place in the feed and its parked changes are removed.",
			"If a program runs a consumer of this name again, it is a new one and begins with the next change.",
		}
	case "drop":
		asked.Title, asked.Button, asked.Danger = "Drop the "+pages.Plural(c.Parked, "change", "changes")+" that "+c.Name+" gave up?", "Drop the changes", true
		asked.Text = []string{"They are never delivered to the consumer.", "What it still retries, and what waits behind that, stays."}
	case "move":
		asked.Title, asked.Button = "Move the consumer "+c.Name+"?", "Move the consumer"
		asked.Text = []string{
			"Beginning: it gets every change that the feed still has, also those that it has handled before.",
			"Present end: it gets what changes from now on. What it has not handled yet is skipped.",
			"The changes that it held back or gave up are removed.",
		}
		asked.Select = &selectField{Name: "to", Label: "Where to", Options: []choice{
			{Value: "now", Label: "the present end of the feed"}, {Value: "beginning", Label: "the beginning of the feed"},
		}}
	default:
		return notFound("There is no such page")
	}
	return v.confirm(asked)
}

// changeConsumer does what an operator asks for.
func changeConsumer(v *visit) error {
	ctx, f, name, by := v.r.Context(), v.mirror.Feed(), v.id(), v.by()
	var n int64
	var err error
	done := ""
	switch v.r.PathValue("action") {
	case "pause":
		err, done = f.PauseConsumer(ctx, name, by), "Paused. It gets no change from now on, and keeps its place."
	case "resume":
		err, done = f.ResumeConsumer(ctx, name, by), "Resumed. It goes on where it was."
	case "retry":
		if n, err = f.RetryAllParked(ctx, name, by); err == nil {
			done = "It tries " + pages.Plural(n, "change", "changes") + " again at once."
		}
	case "retry-one":
		_, err = f.RetryParked(ctx, name, []mirror.FeedCursor{mirror.FeedCursor(v.form("cursor"))}, by)
		done = "It tries the change again at once."
	case "drop":
		if n, err = f.DropAllParked(ctx, name, by); err == nil {
			done = "Dropped " + pages.Plural(n, "change", "changes") + "."
		}
	case "drop-one":
		_, err = f.DropParked(ctx, name, []mirror.FeedCursor{mirror.FeedCursor(v.form("cursor"))}, by)
		done = "Dropped the change."
	case "move":
		return v.moveConsumer(name, by)
	case "delete":
		return v.deleteConsumer(name, by)
	default:
		return notFound("There is no such page")
	}
	if errors.Is(err, mirror.ErrNotFound) {
		return notFound("There is no consumer with this name. It may have been deleted.")
	}
	if err != nil {
		return err
	}
	v.setFlash(flash{Kind: "ok", Text: done})
	return v.redirect(v.to("changes", "consumers", name))
}

func (v *visit) moveConsumer(name string, by mirror.By) error {
	f := v.mirror.Feed()
	var to mirror.FeedCursor
	where := "the present end of the feed"
	if v.form("to") == "beginning" {
		oldest, err := f.Oldest(v.r.Context())
		if err != nil {
			return err
		}
		to, where = oldest, "the beginning of the feed"
	}
	if err := f.RewindConsumer(v.r.Context(), name, to, by); err != nil {
		return err
	}
	v.setFlash(flash{Kind: "ok", Text: fmt.Sprintf("Moved to %s.", where)})
	return v.redirect(v.to("changes", "consumers", name))
}

func (v *visit) deleteConsumer(name string, by mirror.By) error {
	if v.form("confirm") != name {
		return &fault{Status: http.StatusUnprocessableEntity, Title: "Nothing was deleted", Text: "The name that was typed is not that of the consumer."}
	}
	err := v.mirror.Feed().DeleteConsumer(v.r.Context(), name, by)
	if errors.Is(err, clerksync.ErrConsumerRunning) {
		v.setFlash(flash{Kind: "bad", Text: "A process runs this consumer. Stop the process first."})
		return v.redirect(v.to("changes", "consumers", name))
	}
	if err != nil {
		return err
	}
	v.setFlash(flash{Kind: "ok", Text: "Deleted the consumer " + name + "."})
	return v.redirect(v.to("changes", "consumers"))
}
