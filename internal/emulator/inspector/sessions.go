package inspector

import (
	"net/http"

	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/pages"
)

// sessionsData is the list of the sessions of everyone.
type sessionsData struct {
	Filters pages.FilterBar
	Rows    []sessionRow
	Pager   pages.Pager
	Empty   pages.Empty
}

// sessionRow is a session with its person.
type sessionRow struct {
	emulator.Session

	User emulator.User
}

func (v *visit) sessions() error {
	d := sessionsData{
		Filters: pages.FilterBar{Selects: []pages.SelectField{
			v.choices("status", "Status", "active", "pending", "ended", "revoked", "removed", "expired", "abandoned"),
		}},
		Empty: pages.Empty{Icon: "session", Title: "No sessions", Text: "A session begins when someone signs in."},
	}
	found, total := v.clerk.SessionPage(v.query("status"), v.offset(), pageSize)
	people, err := v.peopleOf(found)
	if err != nil {
		return err
	}
	for _, s := range found {
		d.Rows = append(d.Rows, sessionRow{s, people[s.UserID]})
	}
	d.Pager = v.pager(len(found), total)
	return v.render("sessions", "Sessions", d)
}

// peopleOf returns the people of sessions by their ids.
func (v *visit) peopleOf(sessions []emulator.Session) (map[string]emulator.User, error) {
	people := map[string]emulator.User{}
	query := []string{"limit", "500"}
	for _, s := range sessions {
		query = append(query, "user_id", s.UserID)
	}
	var found []emulator.User
	if err := v.get(&found, "/v1/users", query...); err != nil {
		return nil, err
	}
	for _, u := range found {
		people[u.ID] = u
	}
	return people, nil
}

func (v *visit) revokeSession() error {
	if err := v.call(http.MethodPost, to("v1", "sessions", v.id(), "revoke"), nil, nil); err != nil {
		return v.refused(err, "/sessions")
	}
	return v.done("The session is revoked.", "/sessions")
}
