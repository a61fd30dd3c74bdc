package console

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/pages"
	"github.com/clerksync/clerksync/mirror"
)

func (h *handler) sessionRoutes() []route {
	return []route{
		{pattern: "GET /sessions", section: "sessions", serve: listSessions},
		{pattern: "GET /sessions/{id}", section: "sessions", serve: showSession},
		{pattern: "GET /sessions/{id}/revoke", section: "sessions", serve: askRevokeSession},
		{pattern: "POST /sessions/{id}/revoke", section: "sessions", serve: revokeSession},
	}
}

// sessionRow is a session as lists show it.
type sessionRow struct {
	mirror.Session

	State  string // the status, or "expired" where the clock says so
	Device device
	User   *mirror.User
}

// Usable reports whether the session can still be used.
func (s sessionRow) Usable() bool { return s.State == "active" || s.State == "pending" }

// device is the browser of a session, and where it was when it was active last.
type device struct{ Name, Place string }

// deviceOf reads the latest activity of a session object.
func deviceOf(object json.RawMessage) (d device) {
	var s struct {
		Latest struct {
			Browser string `json:"browser_name"`
			Version string `json:"browser_version"`
			Type    string `json:"device_type"`
			City    string `json:"city"`
			Country string `json:"country"`
		} `json:"latest_activity"`
	}
	if json.Unmarshal(object, &s) != nil {
		return d
	}
	l := s.Latest
	major, _, _ := strings.Cut(l.Version, ".")
	d.Name = strings.TrimSpace(l.Browser + " " + major)
	if l.Type != "" {
		if d.Name != "" {
			d.Name += " on "
		}
		d.Name += l.Type
	}
	d.Place = strings.Trim(l.City+", "+l.Country, ", ")
	return d
}

func (v *visit) sessionRows(sessions []mirror.Session) []sessionRow {
	now := v.now()
	rows := make([]sessionRow, len(sessions))
	for i := range sessions {
		s := sessions[i]
		rows[i] = sessionRow{Session: s, State: string(s.Status), Device: deviceOf(s.RawObject())}
		switch {
		case s.Usable() && !s.ExpireAt.IsZero() && now.After(s.ExpireAt):
			rows[i].State = "expired"
		case s.Usable() && !s.AbandonAt.IsZero() && now.After(s.AbandonAt):
			rows[i].State = "abandoned"
		}
	}
	return rows
}

// withUsers adds to sessions the users.
func (v *visit) withUsers(rows []sessionRow) error {
	ids := make([]string, len(rows))
	for i := range rows {
		ids[i] = rows[i].ClerkUserID
	}
	users, err := v.mirror.Users().ByClerkIDs(v.r.Context(), ids)
	for i := range rows {
		if u, ok := users[rows[i].ClerkUserID]; ok {
			rows[i].User = &u
		}
	}
	return err
}

// sessionsData is the list of sessions.
type sessionsData struct {
	Filters filterBar
	Rows    []sessionRow
	Pager   pager
	Empty   empty
	Bulk    []bulkLink
}

func listSessions(v *visit) error {
	f := mirror.SessionFilter{ClerkUserID: v.idOf(v.query("user")), Status: mirror.SessionStatus(v.query("status")), After: v.after(), Limit: pageSize}
	found, err := v.mirror.Sessions().List(v.r.Context(), f)
	if err != nil {
		return err
	}
	rows := v.sessionRows(found.Items)
	if err := v.withUsers(rows); err != nil {
		return err
	}
	bar := filterBar{
		Texts:   []textField{{Name: "user", Label: "Of a user", Value: v.query("user"), Placeholder: "User: id or e-mail"}},
		Selects: []selectField{v.selectOf("status", "Status", sessionStatuses()...)}, Results: "results",
	}
	v.active(&bar)
	none := empty{
		Icon: "session", Title: "No sessions yet",
		Text: "Sessions appear here when people sign in: Clerk announces them by events, and does not list them.",
	}
	if v.r.URL.RawQuery != "" {
		none = empty{Icon: "session", Title: "No session matches", Text: "Remove a filter to see more.", Link: v.path(), LinkText: "Show all sessions"}
	}
	return v.render("sessions", "Sessions", sessionsData{bar, rows, pagerOf(v, found), none, v.bulkLinks("sessions")})
}

func sessionStatuses() []string {
	return []string{
		string(mirror.SessionActive), string(mirror.SessionPending), string(mirror.SessionEnded), string(mirror.SessionExpired),
		string(mirror.SessionRemoved), string(mirror.SessionReplaced), string(mirror.SessionRevoked), string(mirror.SessionAbandoned),
	}
}

// sessionData is one session.
type sessionData struct {
	sessionRow

	Status    mirror.RowStatus
	Actor     string
	Overrides []mirror.Override
	Code      payload
}

func (v *visit) sessionOfPath() (sessionRow, error) {
	s, err := v.mirror.Sessions().ByClerkID(v.r.Context(), v.id())
	if err != nil {
		return sessionRow{}, err
	}
	rows := v.sessionRows([]mirror.Session{s})
	return rows[0], v.withUsers(rows)
}

func showSession(v *visit) error {
	row, err := v.sessionOfPath()
	if err != nil {
		return err
	}
	statuses, err := v.mirror.Sync().Rows(v.r.Context(), clerk.KindSession, []string{row.ClerkSessionID})
	if err != nil {
		return err
	}
	data := sessionData{
		sessionRow: row, Status: statuses[row.ClerkSessionID], Actor: indent(row.Session.Actor), Overrides: row.Session.Overrides,
		Code: v.payload("object", row.RawObject()),
	}
	return v.render("session", "Session "+pages.Shorten(row.ClerkSessionID), data)
}

func (v *visit) renderRevoke(status int, row sessionRow, problem string) error {
	whose := pages.Shorten(row.ClerkUserID)
	c := confirmation{
		Title: "Revoke a session", Text: v.where(nil, "The session ends at Clerk.", "Requests with its tokens are refused at once here. The user can sign in again."),
		Action: v.path(), Button: "Revoke", Danger: true, Back: v.to("sessions", row.ClerkSessionID), Problem: problem,
	}
	if row.User != nil {
		whose = personName(*row.User)
		c.Object = personLine(*row.User)
	}
	c.Title += " of " + whose
	if row.Device.Name != "" {
		c.Text = append([]string{row.Device.Name + ", session " + pages.Shorten(row.ClerkSessionID)}, c.Text...)
	}
	return v.renderStatus(status, "confirm", c.Title, c)
}

func askRevokeSession(v *visit) error {
	row, err := v.sessionOfPath()
	if err != nil {
		return err
	}
	return v.renderRevoke(http.StatusOK, row, "")
}

func revokeSession(v *visit) error {
	row, err := v.sessionOfPath()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(v.r.Context(), writeTimeout)
	defer cancel()
	written, err := v.mirror.Sessions().Revoke(ctx, row.ClerkSessionID, v.by())
	if err != nil {
		return v.renderRevoke(http.StatusUnprocessableEntity, row, writeProblem(err))
	}
	v.wrote("The session "+pages.Shorten(row.ClerkSessionID)+" is revoked.", written, v.to("users", row.ClerkUserID, "timeline"))
	return v.redirect(v.to("sessions", row.ClerkSessionID))
}
