package inspector

import (
	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/pages"
)

// overviewData is the first page.
type overviewData struct {
	Tiles    []pages.Tile
	Notices  []notice
	Mails    []emulator.Mail
	Messages []messageRow
	People   []emulator.User
	Keys     emulator.Keys
}

// notice is something that explains what a visitor wonders about.
type notice struct{ Kind, Text, Link, LinkText string }

// The number of rows that the first page shows.
const fewRows = 8

func (v *visit) overview() error {
	state, err := v.state()
	if err != nil {
		return err
	}
	messages, _ := v.clerk.MessagePage(emulator.MessageFilter{}, 0, fewRows)
	d := overviewData{
		Notices: v.notices(state), Mails: v.clerk.Inbox(), Messages: rowsOf(messages), Keys: v.clerk.Keys(v.ownURL()),
	}
	if err := v.get(&d.People, "/v1/users", "limit", number(fewRows)); err != nil {
		return err
	}
	d.Tiles = v.tiles(state, len(d.Mails))
	d.Mails = d.Mails[:min(fewRows, len(d.Mails))]
	return v.render("overview", "Overview", d)
}

func (v *visit) tiles(state emulator.State, mails int) []pages.Tile {
	_, active := v.clerk.SessionPage("active", 0, 0)
	sent := 0
	for _, n := range state.Deliveries {
		sent += n
	}
	deliveries := pages.Tile{Label: "Deliveries", Value: pages.Number(sent), Note: "all arrived", Href: "/deliveries"}
	switch failed, pending := state.Deliveries["failed"], state.Deliveries["pending"]; {
	case len(state.Webhooks) == 0:
		deliveries.Note = "no endpoint"
	case failed > 0:
		deliveries.Note, deliveries.Kind = pages.Number(failed)+" failed", "bad"
	case pending > 0:
		deliveries.Note, deliveries.Kind = pages.Number(pending)+" pending", "warn"
	}
	clock := pages.Tile{Label: "Clock", Value: "real time", Note: "nothing was moved", Href: "/clock"}
	if ahead := ahead(v.clerk.Ahead()); ahead != "" {
		clock.Value, clock.Note, clock.Kind = "+"+ahead, "ahead of real time", "warn"
	}
	return []pages.Tile{
		{Label: "People", Value: pages.Number(state.Counts["users"]), Href: "/people"},
		{
			Label: "Organizations", Value: pages.Number(state.Counts["organizations"]), Href: "/organizations",
			Note: pages.Plural(int64(state.Counts["memberships"]), "membership", "memberships"),
		},
		{Label: "Active sessions", Value: pages.Number(active), Note: "of " + pages.Number(state.Counts["sessions"]), Href: "/sessions"},
		{Label: "Inbox", Value: pages.Number(mails), Note: "codes and links", Href: "/inbox"},
		deliveries, clock,
	}
}

// notices says what may surprise a visitor.
func (v *visit) notices(state emulator.State) (all []notice) {
	if (v.clerk.Faults() != emulator.Faults{}) {
		all = append(all, notice{"warn", "Faults are on: requests or webhooks fail, as you asked for.", "/faults", "See the faults"})
	}
	missing := 0
	for _, n := range state.Unimplemented {
		missing += n
	}
	if missing > 0 {
		all = append(all, notice{
			"warn", pages.Plural(int64(missing), "call was", "calls were") + " answered with 501, because the emulator does not implement them.", "/calls", "See which",
		})
	}
	for _, w := range state.Webhooks {
		if w.Disabled {
			all = append(all, notice{
				"bad", "The endpoint " + w.URL + " is disabled: it failed for too long, or asked for it.", "/deliveries/endpoints", "See the endpoints",
			})
		}
	}
	return all
}

// ownURL returns the address by which the visitor reaches this server.
func (v *visit) ownURL() string {
	if pages.OverTLS(v.r) {
		return "https://" + v.r.Host
	}
	return "http://" + v.r.Host
}
