package console

import (
	"context"
	"errors"
	"html/template"
	"net/http"
	"strings"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/internal/pages"
	"github.com/clerksync/clerksync/mirror"
)

func (h *handler) keyRoutes() []route {
	return []route{
		{pattern: "GET /keys", section: "keys", serve: listRevocations},
		{pattern: "GET /keys/revoke", section: "keys", serve: askRevokeKey},
		{pattern: "POST /keys/revoke", section: "keys", serve: revokeKey},
		{pattern: "GET /users/{id}/keys", section: "users", serve: showUserKeys},
		{pattern: "GET /organizations/{id}/keys", section: "organizations", serve: showOrganizationKeys},
		{pattern: "GET /machines/{id}/keys", section: "keys", serve: showMachineKeys},
	}
}

// revocationsData is the list of what was revoked here.
type revocationsData struct {
	Query  string
	Rows   []mirror.Revocation
	Pager  pager
	Empty  empty
	Revoke string // the page that revokes what was searched for, empty for nothing
}

// listRevocations lists what was revoked here. It goes straight to the keys of a user, an
// organization or a machine.
func listRevocations(v *visit) error {
	q := v.idOf(v.query("q"))
	if path := v.keysOf(q); path != "" {
		return v.redirect(path)
	}
	found, err := v.mirror.Keys().Revocations(v.r.Context(), mirror.RevocationFilter{ID: q, After: v.after(), Limit: pageSize})
	if err != nil {
		return err
	}
	data := revocationsData{Query: q, Rows: found.Items, Pager: pagerOf(v, found), Empty: empty{
		Icon: "key", Title: "Nothing was revoked here",
		Text: "What is revoked here is refused by every server within a second: API keys, tokens of machines and of OAuth clients. Find a user, an " +
			"organization or a machine above to see the keys.",
	}}
	switch {
	case strings.Contains(q, "@"):
		data.Empty = empty{
			Icon: "search", Title: "No user has this address", Text: "Only addresses of stored users are found.",
			Link: v.path(), LinkText: "Show all revocations",
		}
	case q != "":
		data.Revoke = v.to("keys", "revoke") + queryOf("id", q)
		data.Empty = empty{
			Icon: "search", Title: "This was not revoked here", Link: v.path(), LinkText: "Show all revocations",
			Text: "If it is the id of a key or a token (ak_…, mt_…, oat_…) or the claim jti of a JWT, you can revoke it.",
		}
	}
	return v.render("keys", "Keys", data)
}

// keysOf returns the page with the keys of a user, an organization or a machine, empty if the id is
// that of none.
func (h *handler) keysOf(id string) string {
	for prefix, section := range map[string]string{"user_": "users", "org_": "organizations", "mch_": "machines"} {
		if strings.HasPrefix(id, prefix) {
			return h.to(section, id, "keys")
		}
	}
	return ""
}

// KeysOf returns the page with the keys of a subject.
func (v *view) KeysOf(subject string) string { return v.keysOf(subject) }

// keysData is the page with the keys of a user, an organization or a machine.
type keysData struct {
	Head    any // of the user or the organization, nil for a machine
	Subject string
	Rows    []mirror.Key
	Problem string             // why Clerk's list is not there, empty if it is
	All     *mirror.Revocation // of all keys until a time, nil for none
	Empty   empty
}

// keysTimeout bounds how long a page waits for Clerk's list.
const keysTimeout = 5 * time.Second

// keys reads the keys of a subject from Clerk. If Clerk does not answer, the page says so.
func (v *visit) keys(head any, subject string) (keysData, error) {
	data := keysData{Head: head, Subject: subject, Empty: empty{
		Icon: "key", Title: "No keys", Text: "Clerk lists API keys and opaque M2M tokens here. It lists neither OAuth tokens nor JWTs.",
	}}
	revoked, err := v.mirror.Keys().Revocations(v.r.Context(), mirror.RevocationFilter{ID: subject})
	if err != nil {
		return data, err
	}
	if len(revoked.Items) > 0 {
		data.All = &revoked.Items[0]
	}
	ctx, cancel := context.WithTimeout(v.r.Context(), keysTimeout)
	defer cancel()
	data.Rows, err = v.mirror.Keys().List(ctx, subject)
	switch {
	case err == nil:
	case errors.Is(err, clerksync.ErrNoSecretKey):
		data.Problem = "Keys are listed by Clerk, which cannot be asked without a secret key (CLERK_SECRET_KEY)."
	case errors.Is(err, clerksync.ErrNotFound):
		data.Problem = "Clerk does not know " + pages.Shorten(subject) + "."
	case ctx.Err() != nil:
		data.Problem = "Clerk did not answer within " + keysTimeout.String() + ". Load the page again in a while."
	default:
		data.Problem = "Clerk's list could not be read. " + writeProblem(err)
	}
	return data, nil
}

func showUserKeys(v *visit) error {
	head, err := v.userHead("keys")
	if err != nil {
		return err
	}
	data, err := v.keys(head, head.User.ClerkUserID)
	if err != nil {
		return err
	}
	return v.render("user-keys", personName(head.User)+": keys", data)
}

func showOrganizationKeys(v *visit) error {
	head, err := v.organizationHead("keys")
	if err != nil {
		return err
	}
	data, err := v.keys(head, head.ClerkOrganizationID)
	if err != nil {
		return err
	}
	return v.render("organization-keys", head.OrganizationTitle()+": keys", data)
}

func showMachineKeys(v *visit) error {
	if !strings.HasPrefix(v.id(), "mch_") {
		return notFound("There is no such machine.")
	}
	data, err := v.keys(nil, v.id())
	if err != nil {
		return err
	}
	return v.render("machine-keys", "Machine "+pages.Shorten(v.id())+": keys", data)
}

// doomed is what is to be revoked: a key or a token, or without an id all of a subject.
type doomed struct{ ID, Subject string }

// renderRevokeKey asks whether to revoke something.
func (v *visit) renderRevokeKey(status int, d doomed, problem string) error {
	c := confirmation{
		Title: "Revoke a key or token", Action: v.to("keys", "revoke"), Button: "Revoke", Danger: true, Problem: problem, Back: v.keysPage(d),
		Fields: []hiddenField{{Name: "id", Value: d.ID}, {Name: "subject", Value: d.Subject}},
		Object: pages.Identifier(d.ID),
		Text: []string{
			"All servers refuse it within a second.", "An API key or an opaque M2M token is revoked at Clerk, too.",
			"This cannot be undone: whoever uses it needs a new one.",
		},
	}
	if d.ID == "" {
		c.Title, c.Button, c.Object = "Revoke all keys and tokens", "Revoke all", v.subjectLine(d.Subject)
		c.Text = []string{
			"All servers refuse, within a second, every key and token of " + pages.Shorten(d.Subject) + " that was made until now, JWTs too.",
			"API keys and opaque M2M tokens are revoked at Clerk, too.", "This cannot be undone. Keys and tokens that are made later are accepted.",
		}
	}
	if !v.mirror.Instance().SecretKey {
		c.Text = append(c.Text, "There is no secret key, so Clerk is not told.")
	}
	return v.renderStatus(status, "confirm", c.Title, c)
}

// subjectLine shows whose keys are revoked in one line.
func (v *visit) subjectLine(id string) template.HTML {
	if user, err := v.mirror.Users().ByClerkID(v.r.Context(), id); err == nil {
		return personLine(user)
	}
	return pages.Identifier(id)
}

// keysPage returns the page to which the visitor goes back.
func (v *visit) keysPage(d doomed) string {
	if path := v.keysOf(d.Subject); path != "" {
		return path
	}
	return v.to("keys") + queryOf("q", d.ID)
}

// valid reports whether something is named that can be revoked.
func (d doomed) valid(h *handler) bool { return d.ID != "" || h.keysOf(d.Subject) != "" }

func askRevokeKey(v *visit) error {
	d := doomed{v.query("id"), v.query("subject")}
	if !d.valid(v.handler) {
		return v.redirect(v.to("keys"))
	}
	return v.renderRevokeKey(http.StatusOK, d, "")
}

func revokeKey(v *visit) error {
	d := doomed{v.form("id"), v.form("subject")}
	if !d.valid(v.handler) {
		return v.redirect(v.to("keys"))
	}
	ctx, cancel := context.WithTimeout(v.r.Context(), writeTimeout)
	defer cancel()
	var written mirror.Written
	var err error
	done := pages.Shorten(d.ID) + " is revoked."
	if d.ID != "" {
		written, err = v.mirror.Keys().Revoke(ctx, d.ID, v.by())
	} else {
		var n int
		n, written, err = v.mirror.Keys().RevokeAll(ctx, d.Subject, v.by())
		done = "All keys and tokens of " + pages.Shorten(d.Subject) + " are revoked. Valid at Clerk: " + pages.Plural(int64(n), "key.", "keys.")
	}
	if err != nil {
		problem := writeProblem(err)
		if written.Where == mirror.Here {
			problem = "It is refused here from now on, but it is not revoked at Clerk. " + problem
		}
		return v.renderRevokeKey(http.StatusUnprocessableEntity, d, problem)
	}
	v.wrote(done, written, v.to("audit")+queryOf("action", string(mirror.AuditKeyRevoked)))
	return v.redirect(v.keysPage(d))
}
