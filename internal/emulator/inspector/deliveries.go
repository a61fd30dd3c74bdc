package inspector

import (
	"bytes"
	"cmp"
	"encoding/json"
	"net/http"
	"time"

	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/pages"
)

// deliveriesData is the list of messages to webhook endpoints.
type deliveriesData struct {
	Tabs    []pages.Tab
	Filters pages.FilterBar
	Rows    []messageRow
	Pager   pages.Pager
	Empty   pages.Empty
}

// messageRow is a message with its last attempt.
type messageRow struct {
	emulator.Message

	Last  emulator.Attempt
	About string // the name of what the event is about
}

func rowsOf(messages []emulator.Message) []messageRow {
	rows := make([]messageRow, 0, len(messages))
	for _, m := range messages {
		row := messageRow{Message: m, About: about(m.Body)}
		if n := len(m.Attempts); n > 0 {
			row.Last = m.Attempts[n-1]
		}
		rows = append(rows, row)
	}
	return rows
}

// about returns the name of what an event is about: a person, a person in an organization, an
// address.
func about(body []byte) string {
	var event struct {
		Data struct {
			emulator.User

			Name         string                   `json:"name"`
			Organization *emulator.Organization   `json:"organization"`
			Member       *emulator.PublicUserData `json:"public_user_data"`
			Owner        *emulator.User           `json:"user"`
			Address      string                   `json:"email_address"`
			ToAddress    string                   `json:"to_email_address"`
			ToNumber     string                   `json:"to_phone_number"`
		} `json:"data"`
	}
	_ = json.Unmarshal(body, &event) // a field of another type leaves what was read before
	d := event.Data
	switch {
	case d.Member != nil && d.Organization != nil:
		return personName(member(d.Member)) + " in " + d.Organization.Name
	case d.Owner != nil:
		return personName(*d.Owner)
	case d.Name != "":
		return d.Name
	case len(d.EmailAddresses) > 0 || d.FirstName != nil || d.Username != nil:
		return personName(d.User)
	}
	return cmp.Or(d.Address, d.ToAddress, d.ToNumber, pages.Shorten(d.ID))
}

func deliveryTabs(current string) []pages.Tab {
	return []pages.Tab{
		{Label: "Messages", Href: "/deliveries", Current: current == "messages"},
		{Label: "Endpoints", Href: "/deliveries/endpoints", Current: current == "endpoints"},
	}
}

func (v *visit) deliveries() error {
	d := deliveriesData{
		Tabs: deliveryTabs("messages"),
		Filters: pages.FilterBar{
			Search:  &pages.SearchField{Name: "q", Value: v.query("q"), Label: "Search messages", Placeholder: "Event, id, or text in the body"},
			Selects: []pages.SelectField{v.choices("state", "State", "pending", "delivered", "failed", "aborted", "dropped", "disabled")}, Results: "results",
		},
		Empty: pages.Empty{
			Icon: "delivery", Title: "Nothing was sent yet", Link: "/deliveries/endpoints", LinkText: "See where messages go",
			Text: "Each change sends a message to every endpoint. Without an endpoint nothing is sent.",
		},
	}
	if v.query("q") != "" || v.query("state") != "" {
		d.Empty = pages.Empty{Icon: "search", Title: "No message matches", Text: "Only the latest messages are kept.", Link: "/deliveries", LinkText: "Show all"}
	}
	found, total := v.clerk.MessagePage(emulator.MessageFilter{State: v.query("state"), Text: v.query("q")}, v.offset(), pageSize)
	d.Rows, d.Pager = rowsOf(found), v.pager(len(found), total)
	return v.render("deliveries", "Deliveries", d)
}

// deliveryData is the page of a message.
type deliveryData struct {
	emulator.Message

	Next time.Time // when the next attempt is due
	JSON string    // the body
}

func (v *visit) delivery() error {
	m, next, kept := v.clerk.Message(v.id())
	if !kept {
		return &problem{http.StatusNotFound, "Not found", "No message has this id. Only the latest messages are kept, until the emulator ends or is reset."}
	}
	var text bytes.Buffer
	if json.Indent(&text, m.Body, "", "  ") != nil {
		text.Reset()
		text.Write(m.Body)
	}
	return v.render("delivery", m.Type, deliveryData{m, next, text.String()})
}

func (v *visit) replay() error {
	if err := v.call(http.MethodPost, to("_emulator", "deliveries", v.id(), "replay"), nil, nil); err != nil {
		return v.refused(err, "/deliveries")
	}
	return v.done("The message is sent again, with the same id and a new signature.", to("deliveries", v.id()))
}

// endpointsData is the list of endpoints.
type endpointsData struct {
	Tabs []pages.Tab
	Rows []emulator.EndpointInfo
}

func (v *visit) endpoints() error {
	state, err := v.state()
	if err != nil {
		return err
	}
	return v.render("endpoints", "Endpoints", endpointsData{deliveryTabs("endpoints"), state.Webhooks})
}

func (v *visit) state() (s emulator.State, err error) { return s, v.get(&s, "/_emulator/state") }

func (v *visit) addEndpoint() error {
	endpoint := map[string]string{"url": v.form("url"), "secret": v.form("secret")}
	if err := v.call(http.MethodPost, "/_emulator/webhooks", endpoint, nil); err != nil {
		return v.refused(err, "/deliveries/endpoints")
	}
	return v.done("Every event from now on is sent to "+v.form("url")+".", "/deliveries/endpoints")
}
