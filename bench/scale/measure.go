package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/mirror"
)

// reading is what is measured: a page after a cursor. It returns the cursor of the next page and
// how many records the page has.
type reading struct {
	name string
	read paged
}

// paged reads a page after a cursor.
type paged func(ctx context.Context, after mirror.Cursor) (next mirror.Cursor, records int, err error)

func listed[F, T any](list func(context.Context, F) (mirror.Page[T], error), filter func(after mirror.Cursor) F) paged {
	return func(ctx context.Context, after mirror.Cursor) (mirror.Cursor, int, error) {
		page, err := list(ctx, filter(after))
		return page.Next, len(page.Items), err
	}
}

// measure measures the services of a mirror.
func measure(ctx context.Context, url string, times int) error {
	database, err := open(url)
	if err != nil {
		return err
	}
	m, err := clerksync.New(ctx, database, clerksync.Config{})
	if err != nil {
		return err
	}
	defer m.Close()
	sample, err := m.Users().List(ctx, mirror.UserFilter{Limit: 500})
	if err != nil || len(sample.Items) == 0 {
		return errors.Join(err, errors.New("the database is empty: fill it first"))
	}
	return report(ctx, slices.Concat(listsOf(m), deliveriesOf(m), logsOf(m), searchesOf(m, sample.Items), detailsOf(m, sample.Items)), times)
}

func listsOf(m *clerksync.Mirror) []reading {
	users := func(name string, f mirror.UserFilter) reading {
		return reading{"users " + name, listed(m.Users().List, func(after mirror.Cursor) mirror.UserFilter { f.After = after; return f })}
	}
	sessions := func(name string, f mirror.SessionFilter) reading {
		return reading{"sessions " + name, listed(m.Sessions().List, func(after mirror.Cursor) mirror.SessionFilter { f.After = after; return f })}
	}
	members := func(name string, f mirror.MembershipFilter) reading {
		return reading{"memberships " + name, listed(m.Memberships().List, func(after mirror.Cursor) mirror.MembershipFilter { f.After = after; return f })}
	}
	invitations := func(name string, f mirror.InvitationFilter) reading {
		return reading{"invitations " + name, listed(m.Invitations().List, func(after mirror.Cursor) mirror.InvitationFilter { f.After = after; return f })}
	}
	first, small := id("org_", 1), id("org_", smallOrganization)
	return []reading{
		users("", mirror.UserFilter{}),
		users("active", mirror.UserFilter{Active: new(true)}),
		users("inactive", mirror.UserFilter{Active: new(false)}),
		users("admins", mirror.UserFilter{Role: "admin"}),
		users("inactive admins", mirror.UserFilter{Role: "admin", Active: new(false)}),
		users("of the largest organization", mirror.UserFilter{OrganizationID: first}),
		users("of a small organization", mirror.UserFilter{OrganizationID: small}),
		{"organizations", listed(m.Organizations().List, func(after mirror.Cursor) mirror.OrganizationFilter { return mirror.OrganizationFilter{After: after} })},
		members("all", mirror.MembershipFilter{}),
		members("of the largest organization", mirror.MembershipFilter{ClerkOrganizationID: first}),
		members("admins of it", mirror.MembershipFilter{ClerkOrganizationID: first, Role: "admin"}),
		members("with a role that nobody has", mirror.MembershipFilter{ClerkOrganizationID: first, Role: "owner"}),
		sessions("", mirror.SessionFilter{}),
		sessions("active", mirror.SessionFilter{Status: mirror.SessionActive}),
		sessions("revoked", mirror.SessionFilter{Status: mirror.SessionRevoked}),
		invitations("", mirror.InvitationFilter{}),
		invitations("pending", mirror.InvitationFilter{Status: mirror.InvitationPending}),
		invitations("expired", mirror.InvitationFilter{Status: mirror.InvitationExpired}),
		invitations("of an organization", mirror.InvitationFilter{ClerkOrganizationID: small}),
		invitations("to an address", mirror.InvitationFilter{Email: "guest7@example.com"}),
	}
}

// smallOrganization is one with few members.
const smallOrganization = 77

func deliveriesOf(m *clerksync.Mirror) []reading {
	deliveries := func(name string, f mirror.DeliveryFilter) reading {
		f.NewestFirst = true
		return reading{"deliveries " + name, listed(m.Deliveries().List, func(after mirror.Cursor) mirror.DeliveryFilter { f.After = after; return f })}
	}
	return []reading{
		deliveries("", mirror.DeliveryFilter{}),
		deliveries("dead", mirror.DeliveryFilter{State: mirror.DeliveryDead}),
		deliveries("applied", mirror.DeliveryFilter{State: mirror.DeliveryApplied}),
		deliveries("of a type", mirror.DeliveryFilter{Type: "session.created"}),
		deliveries("of a rare type", mirror.DeliveryFilter{Type: "organizationDomain.created"}),
		deliveries("of rare types", mirror.DeliveryFilter{Type: "organizationDomain.*"}),
		deliveries("with a reason", mirror.DeliveryFilter{Reason: "error"}),
		deliveries("with a reason of none", mirror.DeliveryFilter{Reason: "hook_failed"}),
		deliveries("dead, of a type and a reason", mirror.DeliveryFilter{State: mirror.DeliveryDead, Type: "session.created", Reason: "error"}),
		deliveries("about a user", mirror.DeliveryFilter{Subject: id("user_", 77)}),
		deliveries("about an organization", mirror.DeliveryFilter{ClerkOrganizationID: id("org_", smallOrganization)}),
		deliveries("with a text", mirror.DeliveryFilter{Text: "n7777"}),
		deliveries("with a text of none", mirror.DeliveryFilter{Text: "nowhere to be found"}),
		deliveries("of five days, with a text", mirror.DeliveryFilter{Since: time.Now().Add(-5 * 24 * time.Hour), Text: "n77"}),
	}
}

func logsOf(m *clerksync.Mirror) []reading {
	audit := func(name string, f mirror.AuditFilter) reading {
		return reading{"audit " + name, listed(m.Audit().List, func(after mirror.Cursor) mirror.AuditFilter { f.After = after; return f })}
	}
	drift := func(name string, f mirror.DriftFilter) reading {
		return reading{"drift " + name, listed(m.Sync().Drift().List, func(after mirror.Cursor) mirror.DriftFilter { f.After = after; return f })}
	}
	changes := func(name string, f mirror.ChangeFilter) reading {
		return reading{"changes " + name, listed(m.Feed().Latest, func(after mirror.Cursor) mirror.ChangeFilter { f.After = after; return f })}
	}
	return []reading{
		audit("", mirror.AuditFilter{}),
		audit("of a user", mirror.AuditFilter{ClerkUserID: id("user_", 77)}),
		audit("of an action", mirror.AuditFilter{Action: mirror.AuditMembership}),
		drift("", mirror.DriftFilter{}),
		drift("of a kind without", mirror.DriftFilter{Kind: "role"}),
		{"walks", listed(m.Sync().Walks, func(after mirror.Cursor) mirror.WalkFilter { return mirror.WalkFilter{After: after} })},
		changes("the latest", mirror.ChangeFilter{}),
		changes("of a user", mirror.ChangeFilter{ClerkUserID: id("user_", 77)}),
	}
}

// picker returns other elements of a list each time.
func picker[T any](list []T) func() *T {
	n := 0
	return func() *T {
		n += 7919
		return &list[n%len(list)]
	}
}

// searchesOf returns searches, each for another text each time.
func searchesOf(m *clerksync.Mirror, sample []mirror.User) []reading {
	pick := picker(sample)
	search := func(name string, text func(*mirror.User) string, f mirror.UserFilter) reading {
		return reading{"search " + name, func(ctx context.Context, _ mirror.Cursor) (mirror.Cursor, int, error) {
			f.Search = text(pick())
			page, err := m.Users().List(ctx, f)
			return "", len(page.Items), err
		}}
	}
	letter := func(u *mirror.User) string { return u.FirstName[:1] }
	return []reading{
		search("of a letter", letter, mirror.UserFilter{}),
		search("of a first name", func(u *mirror.User) string { return u.FirstName }, mirror.UserFilter{}),
		search("of a name", func(u *mirror.User) string { return u.LastName + " " + u.FirstName }, mirror.UserFilter{}),
		search("of an address", func(u *mirror.User) string { return u.Email }, mirror.UserFilter{}),
		search("of an id", func(u *mirror.User) string { return u.ClerkUserID }, mirror.UserFilter{}),
		search("of a number", func(*mirror.User) string { return "+12" }, mirror.UserFilter{}),
		search("of what is nowhere", func(*mirror.User) string { return "zzyzx" }, mirror.UserFilter{}),
		search("of a letter among admins", letter, mirror.UserFilter{Role: "admin"}),
		search("of a letter among the inactive", letter, mirror.UserFilter{Active: new(false)}),
		search("of a letter among a role of none", letter, mirror.UserFilter{Role: "owner"}),
		search("of a letter in the largest organization", letter, mirror.UserFilter{OrganizationID: id("org_", 1)}),
		search("of a letter in a small organization", letter, mirror.UserFilter{OrganizationID: id("org_", 77)}),
		{"search organizations", func(ctx context.Context, _ mirror.Cursor) (mirror.Cursor, int, error) {
			page, err := m.Organizations().List(ctx, mirror.OrganizationFilter{Search: pick().LastName})
			return "", len(page.Items), err
		}},
	}
}

func detailsOf(m *clerksync.Mirror, sample []mirror.User) []reading {
	pick := picker(sample)
	anyUser := func() string { return pick().ClerkUserID }
	message := int64(0)
	one := func(name string, read func(ctx context.Context) (int, error)) reading {
		return reading{name, func(ctx context.Context, _ mirror.Cursor) (mirror.Cursor, int, error) {
			n, err := read(ctx)
			return "", n, err
		}}
	}
	return []reading{
		one("a user", func(ctx context.Context) (int, error) { _, err := m.Users().ByClerkID(ctx, anyUser()); return 1, err }),
		one("sessions of a user", func(ctx context.Context) (int, error) {
			page, err := m.Sessions().List(ctx, mirror.SessionFilter{ClerkUserID: anyUser()})
			return len(page.Items), err
		}),
		one("memberships of a user", func(ctx context.Context) (int, error) {
			page, err := m.Memberships().List(ctx, mirror.MembershipFilter{ClerkUserID: anyUser()})
			return len(page.Items), err
		}),
		one("the timeline of a user", func(ctx context.Context) (int, error) {
			page, err := m.Users().Timeline(ctx, anyUser(), mirror.TimelineQuery{})
			return len(page.Items), err
		}),
		one("groups of deliveries", func(ctx context.Context) (int, error) {
			page, err := m.Deliveries().Groups(ctx)
			return len(page.Items), err
		}),
		one("the changes of a delivery", func(ctx context.Context) (int, error) {
			message++
			changes, err := m.Deliveries().Changes(ctx, id("msg_", message))
			return len(changes), err
		}),
		one("the overview", func(ctx context.Context) (int, error) { _, err := m.Sync().Overview(ctx); return 1, err }),
		one("the activity of a day", func(ctx context.Context) (int, error) {
			a, err := m.Sync().Activity(ctx, time.Now().Add(-24*time.Hour))
			return len(a.Minutes), err
		}),
		one("health", func(ctx context.Context) (int, error) { return 1, healthy(m.Health(ctx)) }),
	}
}

func healthy(h mirror.Health) error {
	if !h.Database.OK {
		return errors.New("the database does not answer")
	}
	return nil
}

// id returns the id of a made-up object, as fill.sql makes them.
func id(prefix string, n int64) string { return fmt.Sprintf("%s%027d", prefix, n) }

// request is how pages are asked for.
type request struct{ server, token, cookie string }

// pages measures the pages of a server.
func pages(ctx context.Context, from request, paths []string, times int) error {
	readings := make([]reading, len(paths))
	for i, path := range paths {
		readings[i] = reading{path, func(ctx context.Context, _ mirror.Cursor) (mirror.Cursor, int, error) {
			n, err := from.get(ctx, path)
			return "", n, err
		}}
	}
	return report(ctx, readings, times)
}

var client = http.Client{Timeout: time.Minute}

// get returns the size of a page.
func (q request) get(ctx context.Context, path string) (int, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, q.server+path, http.NoBody) //nolint:gosec // the caller names the server
	if err != nil {
		return 0, err
	}
	if q.token != "" {
		r.Header.Set("Authorization", "Bearer "+q.token)
	}
	if q.cookie != "" {
		r.Header.Set("Cookie", q.cookie)
	}
	answer, err := client.Do(r) //nolint:gosec // the caller names the server
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	n, err := io.Copy(io.Discard, answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", path, answer.Status)
	}
	return int(n), err
}

// cpuTime returns how much time of processors this process has had. On SQLite that is all of a
// query.
func cpuTime() time.Duration {
	var used syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &used) != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// report measures readings and prints a table: milliseconds, and the mean of records or bytes. Each
// time the next page is read, and after the last one the first again.
func report(ctx context.Context, readings []reading, times int) error {
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 1, ' ', tabwriter.AlignRight)
	fmt.Fprintln(out, "|\t first\t| p50\t| p95\t| max\t| cpu\t| records\t|  what")
	for _, r := range readings {
		var took []time.Duration
		cpu := cpuTime()
		var after mirror.Cursor
		total := 0
		for range times {
			began := time.Now()
			next, n, err := r.read(ctx, after)
			if err != nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}
			took, after, total = append(took, time.Since(began)), next, total+n
		}
		cpu = (cpuTime() - cpu) / time.Duration(times)
		first := took[0]
		slices.Sort(took)
		ms := func(d time.Duration) string { return fmt.Sprintf("%.1f", float64(d)/float64(time.Millisecond)) }
		fmt.Fprintf(out, "|\t %s\t| %s\t| %s\t| %s\t| %s\t| %.1f\t|  %s\n", ms(first), ms(took[len(took)/2]), ms(took[len(took)*95/100]),
			ms(took[len(took)-1]), ms(cpu), float64(total)/float64(times), r.name)
		if err := out.Flush(); err != nil {
			return err
		}
	}
	return nil
}
