package console

import (
	"context"
	"errors"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/internal/pages"
	"github.com/clerksync/clerksync/mirror"
)

// userAction is something that an operator can do to a user.
type userAction struct {
	Name, Label, Icon string
	Danger            bool

	title   string // of the page that asks, before the name
	effects []string
	here    []string // the effects without a secret key, nil for those of overrides
	also    []string // what happens here with and without a secret key
	typed   bool     // the visitor must type the id
	offered func(mirror.User) bool
	do      doing
}

// userActions returns the actions, the most usual first.
func userActions() []userAction {
	always := func(mirror.User) bool { return true }
	return []userAction{
		{
			Name: "role", Label: "Change role", Icon: "key", offered: always, do: changeRole, title: "Change the role of ",
			effects: []string{
				"public_metadata.role is set at Clerk. All other metadata stay as they are.", "The next request of the user is decided by the new role.",
			},
		},
		{
			Name: "revoke-sessions", Label: "Sign out everywhere", Icon: "out", offered: always, do: revokeSessions, title: "End all sessions of ",
			effects: []string{
				"Every session of the user ends at Clerk, on all devices.",
				"Requests with their tokens are refused at once here. The user can sign in again.",
			},
		},
		{
			Name: "lock", Label: "Lock", Icon: "lock", offered: func(u mirror.User) bool { return !u.Locked },
			do: with(clerksync.Users.Lock, "is locked."), title: "Lock ",
			effects: []string{
				"The user cannot sign in until the lock ends, as the settings of the Clerk instance say.", "Sessions that exist go on.",
			},
		},
		{
			Name: "unlock", Label: "Unlock", Icon: "lock", offered: func(u mirror.User) bool { return u.Locked },
			do: with(clerksync.Users.Unlock, "is unlocked."), title: "Unlock ", effects: []string{"The user can sign in again."},
		},
		{
			Name: "ban", Label: "Ban", Icon: "ban", Danger: true, offered: func(u mirror.User) bool { return !u.Banned },
			do: with(clerksync.Users.Ban, "is banned."), title: "Ban ",
			effects: []string{
				"All sessions of the user end, and the user cannot sign in.",
				"Requests with their tokens are refused at once here. You can unban the user later.",
			},
		},
		{
			Name: "unban", Label: "Unban", Icon: "check", offered: func(u mirror.User) bool { return u.Banned },
			do: with(clerksync.Users.Unban, "is not banned any more."), title: "Unban ", effects: []string{"The user can sign in again."},
		},
		{
			Name: "erase", Label: "Delete and erase", Icon: "trash", Danger: true, typed: true, offered: always, do: eraseUser, title: "Delete and erase ",
			effects: []string{"The user is deleted at Clerk."}, here: erasedHere,
			also: []string{
				"Names, addresses, metadata and stored payloads of the user are removed here, in deliveries and other rows, too.",
				"Ids stay, so that late events do not bring the user back. This cannot be undone.",
			},
		},
	}
}

// doing is what an action does, and what it says afterwards.
type doing = func(ctx context.Context, v *visit, u mirror.User) (done string, w mirror.Written, err error)

// with returns an action that is one call.
func with(call func(clerksync.Users, context.Context, string, mirror.By) (mirror.Written, error), done string) doing {
	return func(ctx context.Context, v *visit, u mirror.User) (string, mirror.Written, error) {
		w, err := call(v.mirror.Users(), ctx, u.ClerkUserID, v.by())
		return personName(u) + " " + done, w, err
	}
}

func changeRole(ctx context.Context, v *visit, u mirror.User) (string, mirror.Written, error) {
	role := v.form("role")
	w, err := v.mirror.Users().SetRole(ctx, u.ClerkUserID, role, v.by())
	return personName(u) + " has the role " + role + " now.", w, err
}

func revokeSessions(ctx context.Context, v *visit, u mirror.User) (string, mirror.Written, error) {
	n, w, err := v.mirror.Users().RevokeSessions(ctx, u.ClerkUserID, v.by())
	return pages.Plural(int64(n), "session of ", "sessions of ") + personName(u) + " ended.", w, err
}

func eraseUser(ctx context.Context, v *visit, u mirror.User) (string, mirror.Written, error) {
	w, err := v.mirror.Users().DeleteAndErase(ctx, u.ClerkUserID, v.by())
	if w.Where == mirror.Here {
		return "The personal data of " + pages.Shorten(u.ClerkUserID) + " is erased.", w, err
	}
	return "The user " + pages.Shorten(u.ClerkUserID) + " is deleted, and the personal data is erased.", w, err
}

// erasedHere are the effects of an erasure without a secret key.
var erasedHere = []string{"There is no secret key, so Clerk is not told: the account stays at Clerk, and only the personal data here is removed."}

// where returns the effects of a change, and where it is made. Without a secret key it is made here
// alone: the effects are then here, or an override.
func (v *visit) where(here []string, effects ...string) []string {
	switch {
	case v.mirror.Instance().SecretKey:
		return effects
	case here != nil:
		return slices.Clone(here)
	default:
		return []string{"There is no secret key, so Clerk is not told: the change holds in this mirror alone, and is shown as an override."}
	}
}

// userActionOfPath returns the user and the action that the path names.
func (v *visit) userActionOfPath() (u mirror.User, a userAction, err error) {
	all := userActions()
	i := slices.IndexFunc(all, func(a userAction) bool { return a.Name == v.r.PathValue("action") })
	if i < 0 {
		return u, a, notFound("There is no such action.")
	}
	u, err = v.userOfPath()
	return u, all[i], err
}

func askUserAction(v *visit) error {
	u, a, err := v.userActionOfPath()
	if err != nil {
		return err
	}
	return v.renderUserAction(http.StatusOK, u, a, "")
}

func (v *visit) renderUserAction(status int, u mirror.User, a userAction, problem string) error {
	c := confirmation{
		Title: a.title + personName(u), Object: personLine(u), Text: append(v.where(a.here, a.effects...), a.also...),
		Action: v.path(), Button: a.Label, Danger: a.Danger,
		Back: v.to("users", u.ClerkUserID), Problem: problem,
	}
	if a.typed {
		c.Typed = u.ClerkUserID
	}
	if a.Name == "role" {
		chosen := u.Role
		if r := v.form("role"); r != "" {
			chosen = r
		}
		c.Select = &selectField{Name: "role", Label: "Role"}
		for _, role := range v.mirror.Instance().Roles {
			c.Select.Options = append(c.Select.Options, choice{Value: role, Label: role, Selected: role == chosen})
		}
	}
	return v.renderStatus(status, "confirm", c.Title, c)
}

// personLine shows a user in one line.
func personLine(u mirror.User) template.HTML {
	name, email := template.HTMLEscapeString(personName(u)), template.HTMLEscapeString(u.Email)
	return `<div class="person">` + pages.Avatar(personName(u), u.ClerkUserID) + `<div class="person-text"><span class="person-name">` +
		template.HTML(name) + `</span><span class="person-sub">` + template.HTML(email) + `</span></div>` + //nolint:gosec // escaped
		pages.Identifier(u.ClerkUserID) + `</div>`
}

// writeTimeout bounds a change: longer than Clerk may take, shorter than a browser waits.
const writeTimeout = 28 * time.Second

func doUserAction(v *visit) error {
	u, a, err := v.userActionOfPath()
	if err != nil {
		return err
	}
	if a.typed && v.form("confirm") != u.ClerkUserID {
		return v.renderUserAction(http.StatusUnprocessableEntity, u, a, "Type the id of the user as it is shown.")
	}
	ctx, cancel := context.WithTimeout(v.r.Context(), writeTimeout)
	defer cancel()
	done, written, err := a.do(ctx, v, u)
	if err != nil {
		return v.renderUserAction(http.StatusUnprocessableEntity, u, a, writeProblem(err))
	}
	v.wrote(done, written, v.to("users", u.ClerkUserID, "timeline"))
	if a.typed {
		return v.redirect(v.to("users"))
	}
	return v.redirect(v.to("users", u.ClerkUserID))
}

// wrote says on the next page what was done, and where that can be seen.
func (v *visit) wrote(done string, written mirror.Written, seen string) {
	f := flash{Kind: "ok", Text: done, Link: seen, LinkText: "See what changed"}
	if written.Where == mirror.Here {
		f.Kind, f.Text = "warn", done+" This holds in this mirror alone: Clerk does not know of it."
	}
	v.setFlash(f)
}

// writeProblem says why a change was not made.
func writeProblem(err error) string {
	var parts []string
	add := func(text string) {
		if text = strings.TrimSpace(text); text != "" {
			parts = append(parts, strings.ToUpper(text[:1])+strings.TrimSuffix(text[1:], ".")+".")
		}
	}
	refused, ok := errors.AsType[*mirror.ClerkError](err)
	if !ok {
		add(err.Error())
		return strings.Join(parts, " ")
	}
	add(refused.Reason.Error())
	add(refused.Message)
	if refused.OutcomeUnknown {
		add("Clerk may have made the change: the object is read again within seconds, and it does no harm to try again")
	}
	add(refused.Remedy)
	if refused.Code != "" {
		add("Clerk's code: " + refused.Code)
	}
	return strings.Join(parts, " ")
}
