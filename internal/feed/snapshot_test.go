package feed_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/feed"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/internal/testkit"
	"github.com/clerksync/clerksync/mirror"
)

// eachWorld runs a test with the feed of a mirrored instance.
func eachWorld(t *testing.T, test func(*testkit.Env, *log)) {
	t.Helper()
	testkit.EachEnv(t, emulator.Options{Users: 12, Organizations: 3, Memberships: 20, Seed: 5}, func(e *testkit.Env) {
		e.Backfill()
		f := feed.New(feed.Config{DB: e.DB, Now: e.Now})
		e.Cleanup(f.Close)
		test(e, &log{e.T, e.DB, f})
	})
}

// all reads a snapshot to its end.
func (l *log) all(q mirror.FeedQuery) (entries []mirror.Change, next mirror.FeedCursor) {
	l.Helper()
	for {
		p := l.page(q)
		entries = append(entries, p.Changes...)
		if q.Snapshot, q.After = nil, p.Next; !strings.HasPrefix(string(p.Next), "s.") {
			return entries, p.Next
		}
		if p.CaughtUp || q.Limit > 0 && len(p.Changes) > q.Limit {
			l.Fatalf("in a snapshot: %+v", p)
		}
	}
}

func TestASnapshotHasEveryLiveObjectOnce(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(e *testkit.Env, l *log) {
		gone := e.FirstUsers(7)[3:6] // hidden rows between the others
		for _, id := range gone {
			e.Call(http.MethodDelete, "/v1/users/"+id, nil)
		}
		e.Must(e.Clerk.Settle(e.Context()))
		head, err := l.feed.Head(e.Context())
		e.Must(err)
		kinds := []clerk.Kind{clerk.KindRole, clerk.KindUser, clerk.KindWaitlistEntry, clerk.KindMembership}
		for limit := range 8 {
			entries, next := l.all(mirror.FeedQuery{Snapshot: kinds, Limit: limit})
			if next != head {
				e.Errorf("it ends in %s, want %s", next, head)
			}
			got := map[clerk.Kind][]string{}
			for _, c := range entries {
				got[c.Kind] = append(got[c.Kind], c.ID)
				if c.Operation != mirror.Read || c.Object != nil || c.AsOf != "" || c.At.IsZero() || c.Version == "" || c.Type() != string(c.Kind)+".read" {
					e.Fatalf("got %+v", c)
				}
			}
			if len(got[clerk.KindUser]) != 9 || !slices.IsSorted(got[clerk.KindUser]) || slices.Contains(got[clerk.KindUser], gone[1]) {
				e.Errorf("limit %d: the users %v", limit, got[clerk.KindUser])
			}
			for kind, ids := range got {
				if live := l.live(kind); !slices.Equal(ids, live) {
					e.Errorf("limit %d: %s: got %v, want %v", limit, kind, ids, live)
				}
			}
			if len(got) != 3 { // there is no waitlist
				e.Errorf("limit %d: got %v", limit, slices.Collect(maps.Keys(got)))
			}
			// any entry's cursor goes on behind it
			middle := entries[len(entries)/2]
			if rest, _ := l.all(mirror.FeedQuery{After: middle.Cursor}); len(rest) != len(entries)-len(entries)/2-1 {
				e.Errorf("behind entry %d of %d there are %d", len(entries)/2, len(entries), len(rest))
			}
			last := entries[len(entries)-1]
			if p := l.page(mirror.FeedQuery{After: last.Cursor}); len(p.Changes) != 0 || p.Next != head || !p.CaughtUp {
				e.Errorf("behind the last entry: %+v", p)
			}
		}
	})
}

// live lists the ids of the live rows of a kind, in order.
func (l *log) live(kind clerk.Kind) (ids []string) {
	l.Helper()
	rows, err := l.db.LiveRows(l.Context(), kind, "", 500)
	l.must(err)
	for i := range rows {
		ids = append(ids, rows[i].ID)
	}
	return ids
}

func TestASnapshotCanBeOfOneUserOrOrganization(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(e *testkit.Env, l *log) {
		user, organization := e.FirstUsers(1)[0], e.AnyRow(clerk.KindOrganization).ID
		for _, q := range []mirror.FeedQuery{{ClerkUserID: user}, {ClerkOrganizationID: organization}, {ClerkUserID: user, ClerkOrganizationID: organization}} {
			q.Snapshot = clerk.Kinds()
			entries, _ := l.all(q)
			unfiltered, _ := l.all(mirror.FeedQuery{Snapshot: clerk.Kinds()})
			var want []string
			for _, c := range unfiltered {
				if (q.ClerkUserID == "" || c.ClerkUserID == user) && (q.ClerkOrganizationID == "" || c.ClerkOrganizationID == organization) {
					want = append(want, string(c.Kind)+":"+c.ID)
				}
			}
			if got := ids(mirror.FeedPage{Changes: entries}); !slices.Equal(got, want) || q.ClerkUserID == "" != slices.Contains(got, "organization:"+organization) {
				e.Errorf("%+v: got %v, want %v", q, got, want)
			}
		}
	})
}

func TestAnObjectHasTheColumnsOfTheTypedView(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(e *testkit.Env, l *log) {
		user := e.FirstUsers(1)[0]
		e.Rename(user, "Ada <&>")
		e.Call(http.MethodPatch, "/v1/users/"+user+"/metadata", map[string]any{
			"public_metadata": map[string]any{"a": []int{1}}, "private_metadata": map[string]any{"secret": "hush"},
		})
		e.Must(e.Clerk.Settle(e.Context()))
		head, err := l.feed.Head(e.Context())
		e.Must(err)
		p := l.page(mirror.FeedQuery{After: mirror.FeedStart, Types: []string{"user.updated"}, ClerkUserID: user, IncludeObject: true, Limit: 1000})
		c := p.Changes[len(p.Changes)-1]
		for _, pattern := range []string{
			`^\{"id":"[0-9a-f-]{36}","clerk_user_id":"` + user + `","email":`, `"first_name":"Ada <&>"`, `"public_metadata":\{"a":\[1\]\}`,
			`"banned":false`, `"locked_until":null`, `"created_at":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"`, `"is_stub":false\}$`,
		} {
			if !regexp.MustCompile(pattern).Match(c.Object) {
				e.Errorf("no %s in %s", pattern, c.Object)
			}
		}
		if strings.Contains(string(c.Object), "hush") || strings.Contains(string(c.Object), "raw") || strings.Contains(string(c.Object), "private") {
			e.Errorf("private data in %s", c.Object)
		}
		if c.AsOf != head {
			e.Errorf("as of %s, want %s", c.AsOf, head)
		}
		again := l.page(mirror.FeedQuery{Snapshot: []clerk.Kind{clerk.KindUser}, ClerkUserID: user, IncludeObject: true}).Changes
		if len(again) != 1 || string(again[0].Object) != string(c.Object) || again[0].AsOf != head || again[0].Version != c.Version || again[0].ClerkUserID != user {
			e.Errorf("the snapshot has %+v, the change %+v", again, c)
		}

		// erased, deleted, or never there
		e.Call(http.MethodDelete, "/v1/users/"+e.FirstUsers(2)[1], nil)
		e.Must(e.Clerk.Settle(e.Context()))
		at, err := l.feed.Head(e.Context())
		e.Must(err)
		erased := row.Row{Key: row.Key{Kind: clerk.KindUser, ID: user}}
		unknown := row.Row{Key: row.Key{Kind: clerk.KindSession, ID: "sess_unknown"}}
		last := l.append(erased.Change(row.OpUpdated, nil), erased.Change(row.OpErased, nil), unknown.Change(row.OpUpdated, nil))
		p = l.page(mirror.FeedQuery{After: at, IncludeObject: true})
		if len(p.Changes) != 3 || string(p.Changes[0].Object) != string(c.Object) || p.Changes[0].AsOf != last {
			e.Fatalf("got %+v", p)
		}
		p.Changes = p.Changes[1:]
		deleted := l.page(mirror.FeedQuery{After: mirror.FeedStart, Types: []string{"user.deleted"}, IncludeObject: true})
		if len(deleted.Changes) != 1 {
			e.Fatalf("got %+v", deleted)
		}
		for _, c := range append(p.Changes, deleted.Changes...) {
			if string(c.Object) != "null" || c.AsOf != p.Next {
				e.Errorf("%s has %s as of %s", c.Type(), c.Object, c.AsOf)
			}
		}
	})
}

func TestASnapshotOfALostHistoryCannotBeContinued(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(e *testkit.Env, l *log) {
		first := l.page(mirror.FeedQuery{Snapshot: []clerk.Kind{clerk.KindUser}, Limit: 2})
		l.append(users(3)...)
		if p := l.page(mirror.FeedQuery{After: first.Next, Limit: 2}); len(p.Changes) != 2 {
			e.Errorf("got %+v", p)
		}
		head, err := l.feed.Head(e.Context())
		e.Must(err)
		seq, _, err := head.Split()
		e.Must(err)
		l.purge(int(seq) - 1)
		gone := l.gone(mirror.FeedQuery{After: first.Next}, mirror.CursorExpired)
		if gone.Oldest != head || gone.Head != head {
			e.Errorf("got %+v", gone)
		}
		second := l.page(mirror.FeedQuery{Snapshot: []clerk.Kind{clerk.KindUser}, Limit: 2})
		e.Must(e.DB.Exec(e.Context(), "UPDATE clerk_changes SET tag = '00000000'"))
		l.gone(mirror.FeedQuery{After: second.Next}, mirror.CursorOtherHistory)
	})
}

func TestTheCursorOfASnapshotIsChecked(t *testing.T) {
	t.Parallel()
	eachLog(t, func(l *log) {
		encode := func(text string) mirror.FeedCursor {
			return mirror.FeedCursor("s." + base64.RawURLEncoding.EncodeToString([]byte(text)))
		}
		if p := l.page(mirror.FeedQuery{After: encode(`{"h":"0","k":["user"],"a":"user_1"}`)}); p.Next != mirror.FeedStart {
			l.Errorf("a valid one: %+v", p)
		}
		for _, text := range []string{
			``, `{}`, `null`, `[]`, `x`, `{"h":"0","k":["user"]}`, `{"h":"0","k":null,"a":""}`, `{"h":"","k":["user"],"a":""}`,
			`{"h":"1","k":["user"],"a":""}`, `{"h":"0","k":["users"],"a":""}`, `{"h":"0","k":["email"],"a":""}`,
			`{"h":"0","k":["user","user"],"a":""}`, `{"h":"0","k":["user"],"a":"","x":1}`, `{"h": "0","k":["user"],"a":""}`,
			`{"k":["user"],"h":"0","a":""}`, `{"h":"0","k":["user"],"a":""}{}`, `{"h":"s.e30","k":["user"],"a":""}`,
			`{"h":"0","k":["user"],"a":"` + strings.Repeat("x", 4096) + `"}`, `{"h":"0","k":["user"],"a":"` + "\xff" + `"}`,
		} {
			if _, err := l.feed.Page(l.Context(), mirror.FeedQuery{After: encode(text)}); !errors.Is(err, mirror.ErrInvalidCursor) {
				l.Errorf("%.60s: got %v", text, err)
			}
		}
		for _, cursor := range []mirror.FeedCursor{"s", "s.", "s.!", "s.e30=", "s. e30"} {
			if _, err := l.feed.Page(l.Context(), mirror.FeedQuery{After: cursor}); !errors.Is(err, mirror.ErrInvalidCursor) {
				l.Errorf("%s: got %v", cursor, err)
			}
		}
		for _, kinds := range [][]clerk.Kind{{"users"}, {clerk.KindUser, clerk.KindUser}, {clerk.KindSMS}} {
			if _, err := l.feed.Page(l.Context(), mirror.FeedQuery{Snapshot: kinds}); !errors.Is(err, mirror.ErrInvalidFilter) {
				l.Errorf("%v: got %v", kinds, err)
			}
		}
		// a key that no database stores finds what is behind it, and nothing breaks
		p := l.page(mirror.FeedQuery{After: encode(`{"h":"0","k":["user"],"a":"\u0000"}`)})
		if p.Next != mirror.FeedStart {
			l.Errorf("got %+v", p)
		}
	})
}

// Where little is selected, a page looks at a bounded number of changes, and moves on.
func TestAPageFindsWhatIsFarAway(t *testing.T) {
	t.Parallel()
	eachLog(t, func(l *log) {
		l.append(users(24_999)...)
		session := row.Row{Key: row.Key{Kind: clerk.KindSession, ID: "sess_1"}, UserID: "user_a"}
		last := l.append(session.Change(row.OpCreated, nil))
		for _, q := range []mirror.FeedQuery{{Kinds: []clerk.Kind{clerk.KindSession}}, {Types: []string{"session.created"}}, {ClerkUserID: "user_a", Types: []string{"session.*"}}} {
			q.After = mirror.FeedStart
			if p := l.page(q); len(p.Changes) != 1 || p.Next != last || !p.CaughtUp {
				l.Errorf("%+v: got %+v", q, p)
			}
		}
		changes, head, err := l.db.FeedWindow(l.Context(), store.FeedWindow{After: 5, Through: 1005, Types: ",session.created,", Limit: 10})
		l.must(err)
		if len(changes) != 2 || changes[0].Seq != 5 || changes[1].Seq != 1005 || head != 25_000 {
			l.Errorf("got %+v, %d", changes, head)
		}
	})
}

func TestAChangeInJSONCanBeRead(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(e *testkit.Env, l *log) {
		p := l.page(mirror.FeedQuery{After: mirror.FeedStart, IncludeObject: true, Limit: 5})
		text, err := json.Marshal(p)
		e.Must(err)
		var back mirror.FeedPage
		e.Must(json.Unmarshal(text, &back))
		if len(back.Changes) != 5 || string(back.Changes[4].Object) != string(p.Changes[4].Object) || back.Next != p.Next || back.Changes[0].Cursor != p.Changes[0].Cursor {
			e.Errorf("got %s", text)
		}
	})
}
