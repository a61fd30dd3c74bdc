package inspector

import (
	"strings"

	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/pages"
)

// inboxData is the list of e-mails and text messages.
type inboxData struct {
	Filters pages.FilterBar
	Rows    []emulator.Mail
	Pager   pages.Pager
	Empty   pages.Empty
}

func (v *visit) inbox() error {
	d := inboxData{
		Filters: pages.FilterBar{
			Search: &pages.SearchField{Name: "q", Value: v.query("q"), Label: "Search the inbox", Placeholder: "Address, number or text"}, Results: "results",
		},
		Empty: pages.Empty{
			Icon: "mail", Title: "Nothing has arrived",
			Text: "Codes and links that Clerk would send to people arrive here, while you watch. For addresses with +clerk_test the code is always 424242.",
		},
	}
	if v.query("q") != "" {
		d.Empty = pages.Empty{Icon: "search", Title: "Nothing matches", Text: "Only the latest messages are kept.", Link: "/inbox", LinkText: "Show all"}
	}
	text := strings.ToLower(v.query("q"))
	var found []emulator.Mail
	for _, m := range v.clerk.Inbox() {
		if strings.Contains(strings.ToLower(m.To+"\n"+m.Subject+"\n"+m.Body), text) {
			found = append(found, m)
		}
	}
	from := min(v.offset(), len(found))
	d.Rows = found[from:min(from+pageSize, len(found))]
	d.Pager = v.pager(len(d.Rows), len(found))
	return v.render("inbox", "Inbox", d)
}

func (v *visit) clearInbox() error {
	v.clerk.ClearInbox()
	return v.done("The inbox is empty.", "/inbox")
}
