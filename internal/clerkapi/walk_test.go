package clerkapi

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/emulator"
)

// collect walks and returns the ids that came, each of which must have come once.
func collect(t *testing.T, c *Client, list List, from Cursor, each func(Page) error) ([]string, Walked, error) {
	t.Helper()
	var ids []string
	known := map[string]bool{}
	w, err := c.Walk(t.Context(), list, from, func(p Page) error {
		for _, row := range p.Rows {
			id := row.Get("id").String()
			if known[id] {
				t.Errorf("%s came twice", id)
			}
			known[id] = true
			ids = append(ids, id)
		}
		if p.Date == 0 {
			t.Error("a page without a date")
		}
		if each == nil {
			return nil
		}
		return each(p)
	})
	if w.Rows != len(ids) {
		t.Errorf("%d rows came, %d are told", len(ids), w.Rows)
	}
	return ids, w, err
}

// live are the ids of all objects of a list, asked in process.
func live(t testing.TB, e *emulator.Emulator, list List) map[string]bool {
	t.Helper()
	s, err := list.source()
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for offset := 0; ; offset += 500 {
		s.query.Set("limit", "500")
		s.query.Set("offset", strconv.Itoa(offset))
		type object struct{ ID string }
		var rows []object
		var page struct{ Data []object }
		if s.bare {
			err = e.Call(context.Background(), "GET", "/v1"+s.path+"?"+s.query.Encode(), nil, &rows)
		} else {
			err = e.Call(context.Background(), "GET", "/v1"+s.path+"?"+s.query.Encode(), nil, &page)
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range append(rows, page.Data...) {
			ids[row.ID] = true
		}
		if len(rows)+len(page.Data) < 500 {
			return ids
		}
	}
}

func set(ids []string) map[string]bool {
	s := map[string]bool{}
	for _, id := range ids {
		s[id] = true
	}
	return s
}

func pages(n int) func(*Config) { return func(c *Config) { c.PageSize = n } }

func TestWalkOfEachList(t *testing.T) {
	t.Parallel()
	e := emulate(t, emulator.Options{Users: 120, Organizations: 40, Memberships: 200})
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	var anyone string
	for anyone = range live(t, e, All(clerk.KindUser)) {
		break
	}
	n := 0
	for org := range live(t, e, All(clerk.KindOrganization)) {
		n++
		do(t, e, "POST", "/v1/organizations/"+org+"/invitations", map[string]any{"email_address": fmt.Sprintf("x%d@example.com", n), "role": "org:member"})
		do(t, e, "POST", "/v1/organizations/"+org+"/domains", map[string]any{"name": fmt.Sprintf("x%d.example.com", n)})
		do(t, e, "POST", "/v1/sessions", map[string]any{"user_id": anyone})
	}
	for _, list := range []List{
		All(clerk.KindUser), All(clerk.KindOrganization), All(clerk.KindMembership), All(clerk.KindInvitation),
		All(clerk.KindDomain), All(clerk.KindRole), All(clerk.KindPermission), SessionsOf(anyone), SessionsOf("user_none"),
	} {
		for _, size := range []int{2, 3, 7, 40, 500} {
			c := client(t, nil, pages(size), func(config *Config) { config.URL = server.URL })
			ids, w, err := collect(t, c, list, "", nil)
			if err != nil || !w.Complete || w.Reason != "" || w.Before != w.Distinct || w.After != w.Distinct {
				t.Errorf("%s by %d: %+v, %v", list, size, w, err)
			}
			if want := live(t, e, list); !maps.Equal(set(ids), want) || list.UserID != "user_none" && len(want) == 0 {
				t.Errorf("%s by %d: %d came of %d", list, size, len(ids), len(want))
			}
			if total, err := c.Total(t.Context(), list, Background); err != nil || total != len(ids) {
				t.Errorf("%s: total %d, %v", list, total, err)
			}
		}
	}
	c := client(t, nil, func(config *Config) { config.URL = server.URL })
	for _, list := range []List{{}, All(clerk.KindSession), All(clerk.KindSubscription), All(clerk.KindEmail), {Kind: clerk.KindRole, Recent: true}, SessionsOf("../x")} {
		_, err := c.Walk(t.Context(), list, "", func(Page) error { return nil })
		mustFail(t, err, ErrInvalid)
		_, err = c.Total(t.Context(), list, Background)
		mustFail(t, err, ErrInvalid)
	}
	if n := c.Stats().Requests; n != 0 {
		t.Errorf("%d requests for lists that there are none of", n)
	}
}

func TestSweepStops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := emulate(t, emulator.Options{Users: 1200})
		w := &wire{Handler: e}
		c := client(t, w)
		<-time.After(time.Hour)
		changed := slices.Sorted(maps.Keys(live(t, e, All(clerk.KindUser))))[1100]
		do(t, e, "PATCH", "/v1/users/"+changed, map[string]any{"first_name": "Augusta"})
		watermark := clerk.TimeOf(time.Now()) - 1
		var found []string
		_, walked, err := collect(t, c, RecentUsers(), "", func(p Page) error {
			for _, row := range p.Rows {
				if row.Get("updated_at").Time() < watermark {
					return ErrStop
				}
				found = append(found, row.Get("id").String())
			}
			return nil
		})
		if err != nil || !walked.Stopped || walked.Complete || len(w.times()) != 1 || !slices.Equal(found, []string{changed}) {
			t.Errorf("found %v, %+v, %v", found, walked, err)
		}
		ids, walked, err := collect(t, c, RecentUsers(), "", nil)
		if err != nil || walked.Complete || len(ids) != 1200 {
			t.Errorf("%+v, %v", walked, err)
		}
	})
}

func TestWalkEndsWithItsCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := client(t, &wire{Handler: emulate(t, emulator.Options{Users: 100})}, pages(10))
		broken := errors.New("disk full")
		for _, end := range []error{broken, ErrStop} {
			n := 0
			_, w, err := collect(t, c, All(clerk.KindUser), "", func(Page) error {
				if n++; n == 3 {
					return end
				}
				return nil
			})
			if w.Complete || w.Reason == "" || w.Pages != 3 || w.Stopped == (err != nil) || !w.Stopped && !errors.Is(err, broken) {
				t.Errorf("%+v, %v", w, err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		w, err := c.Walk(ctx, All(clerk.KindUser), "", func(Page) error { cancel(); return nil })
		if !errors.Is(err, context.Canceled) || w.Complete || w.Pages > 2 {
			t.Errorf("%+v, %v", w, err)
		}
	})
}

// Each of the API's faults: the walk gets through, or says that it did not.
func TestWalkThroughFaults(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		faults emulator.APIFaults
		must   bool // be complete in spite of them
	}{
		"none":              {emulator.APIFaults{}, true},
		"too many requests": {emulator.APIFaults{TooMany: 0.3}, true},
		"server errors":     {emulator.APIFaults{ServerError: 0.3}, false},
		"slow":              {emulator.APIFaults{Slow: 0.5, SlowFor: emulator.Duration(20 * time.Second)}, true},
		"too slow":          {emulator.APIFaults{Slow: 0.2, SlowFor: emulator.Duration(40 * time.Second)}, false},
		"truncated":         {emulator.APIFaults{Truncate: 0.3}, false},
		"pages shift":       {emulator.APIFaults{PageShift: 0.5}, true},
		"pages all shift":   {emulator.APIFaults{PageShift: 1}, false},
		"everything":        {emulator.APIFaults{TooMany: 0.1, ServerError: 0.1, Slow: 0.1, Truncate: 0.1, PageShift: 0.3}, false},
		"nothing answers":   {emulator.APIFaults{ServerError: 1}, false},
	} {
		for _, kind := range []clerk.Kind{clerk.KindUser, clerk.KindMembership} {
			t.Run(name+"/"+string(kind), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					e := emulate(t, emulator.Options{Users: 1000, Organizations: 50, Memberships: 1000})
					faults(t, e, test.faults)
					w := &wire{Handler: e}
					c := client(t, w, pages(60), production)
					ids, walked, err := collect(t, c, All(kind), "", nil)
					if walked.Complete && (err != nil || !maps.Equal(set(ids), live(t, e, All(kind)))) {
						t.Errorf("says that it is complete, %d rows came: %+v, %v", len(ids), walked, err)
					}
					if test.must && !walked.Complete {
						t.Errorf("%+v, %v", walked, err)
					}
					if err != nil {
						mustFail(t, err, ErrUnavailable)
					}
					if n := busiest(w.times()); n > 200 {
						t.Errorf("%d requests in ten seconds", n)
					}
				})
			})
		}
	}
}

// changing lets the instance change before requests.
type changing struct {
	http.Handler
	change func(*http.Request)
}

func (c changing) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.change(r)
	c.Handler.ServeHTTP(w, r)
}

// world is an instance that changes under a walk, and what was there when.
type world struct {
	t       *testing.T
	e       *emulator.Emulator
	list    List
	random  *rand.Rand
	now     map[string]bool
	ids     []string        // those of now
	always  map[string]bool // there since the beginning
	ever    map[string]bool
	members map[string]string // membership's path by its id
}

func newWorld(t *testing.T, e *emulator.Emulator, list List, seed uint64) *world {
	w := &world{t: t, e: e, list: list, random: rand.New(rand.NewPCG(seed, 1)), now: live(t, e, list)}
	w.always, w.ever, w.ids = maps.Clone(w.now), maps.Clone(w.now), slices.Sorted(maps.Keys(w.now))
	return w
}

func (w *world) remove(id string) {
	path := "/v1/users/" + id
	if w.list.Kind == clerk.KindMembership {
		path = w.members[id]
	}
	do(w.t, w.e, "DELETE", path, nil)
	delete(w.now, id)
	w.ids = slices.DeleteFunc(w.ids, func(x string) bool { return x == id })
	delete(w.always, id)
}

func (w *world) add(n int) {
	time.Sleep(time.Millisecond) // in a bubble: two of one millisecond can't be told apart
	var made map[string]any
	if w.list.Kind == clerk.KindUser {
		made = do(w.t, w.e, "POST", "/v1/users", map[string]any{"email_address": []string{fmt.Sprintf("new%d@example.com", n)}})
	} else {
		person := do(w.t, w.e, "POST", "/v1/users", map[string]any{"email_address": []string{fmt.Sprintf("new%d@example.com", n)}})["id"].(string)
		org := w.anyOrganization()
		made = do(w.t, w.e, "POST", "/v1/organizations/"+org+"/memberships", map[string]any{"user_id": person, "role": "org:member"})
		w.members[made["id"].(string)] = "/v1/organizations/" + org + "/memberships/" + person
	}
	id := made["id"].(string)
	w.now[id], w.ever[id] = true, true
	w.ids = append(w.ids, id)
}

func (w *world) anyOrganization() string {
	return strings.Split(w.members[w.pick()], "/")[3]
}

func (w *world) pick() string { return w.ids[w.random.IntN(len(w.ids))] }

// learn finds the paths of memberships.
func (w *world) learn() {
	w.members = map[string]string{}
	var page struct {
		Data []struct {
			ID           string              `json:"id"`
			Organization struct{ ID string } `json:"organization"`
			User         struct {
				ID string `json:"user_id"`
			} `json:"public_user_data"`
		} `json:"data"`
	}
	for offset := 0; offset < len(w.now); offset += 500 {
		path := fmt.Sprintf("/v1/organization_memberships?limit=500&offset=%d", offset)
		if err := w.e.Call(context.Background(), "GET", path, nil, &page); err != nil {
			w.t.Fatal(err)
		}
		for _, m := range page.Data {
			w.members[m.ID] = "/v1/organizations/" + m.Organization.ID + "/memberships/" + m.User.ID
		}
	}
}

func within(small, large map[string]bool) bool {
	for id := range small {
		if !large[id] {
			return false
		}
	}
	return true
}

// People come and go while the walk goes on, and the network is bad. A walk that says that it is complete brought
// everything that was there all the while, and nothing that never was.
func TestWalkOfALivingInstance(t *testing.T) {
	t.Parallel()
	for _, kind := range []clerk.Kind{clerk.KindUser, clerk.KindMembership} {
		for seed := range uint64(8) {
			t.Run(fmt.Sprint(kind, seed), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) { walkLiving(t, kind, seed) })
			})
		}
	}
}

func walkLiving(t *testing.T, kind clerk.Kind, seed uint64) {
	size := 1000
	if seed > 3 {
		size = 3000
	}
	e := emulate(t, emulator.Options{Users: size, Organizations: 50, Memberships: size, Seed: seed + 1})
	world := newWorld(t, e, All(kind), seed)
	if kind == clerk.KindMembership {
		world.learn()
	}
	if seed > 3 {
		faults(t, e, emulator.APIFaults{TooMany: 0.1, ServerError: 0.05, Truncate: 0.05, PageShift: 0.3})
	}
	n := 0
	h := changing{e, func(*http.Request) {
		for range world.random.IntN(3) {
			n++
			switch {
			case seed%4 == 0: // a calm instance
			case seed%4 == 1 && n%2 == 0 || seed%4 == 2: // one comes for one that goes; or they only go
				world.remove(world.pick())
			default:
				world.add(n)
			}
		}
	}}
	ids, walked, err := collect(t, client(t, &wire{Handler: h}, pages(100)), All(kind), "", nil)
	came := set(ids)
	if !within(came, world.ever) {
		t.Error("a row came that never was")
	}
	// deletions alone take no row from a walk that ended
	if whole := within(world.always, came); err == nil && !whole && (walked.Complete || kind == clerk.KindUser) {
		t.Errorf("not all came that were there all the while: %+v", walked)
	}
	if walked.Complete && (seed%4 == 2 && n > 0 || walked.Before > walked.After) {
		t.Errorf("complete, though rows went: %+v", walked)
	}
	if seed == 3 && (n < 10 || !walked.Complete) {
		t.Errorf("%d came, none went, and it is not proven that all came: %+v, %v", n, walked, err)
	}
	if seed == 0 && (!walked.Complete || !maps.Equal(came, world.now)) {
		t.Errorf("%+v, %v", walked, err)
	}
	if err != nil {
		mustFail(t, err, ErrUnavailable)
	}
}

// What was read last is deleted before the next page, and with it whole pages.
func TestAnchorIsDeleted(t *testing.T) {
	t.Parallel()
	for _, kind := range []clerk.Kind{clerk.KindUser, clerk.KindMembership} {
		for _, gone := range []int{1, 5, 10, 35} { // rows before the next page
			for _, resumed := range []bool{false, true} {
				t.Run(fmt.Sprint(kind, gone, resumed), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						e := emulate(t, emulator.Options{Users: 100, Organizations: 5, Memberships: 100})
						world := newWorld(t, e, All(kind), 1)
						world.learn()
						c := client(t, &wire{Handler: e}, pages(10))
						came := map[string]bool{}
						var order []string
						var from Cursor
						done := false
						pass := func(p Page) error {
							for _, row := range p.Rows {
								came[row.Get("id").String()] = true
								order = append(order, row.Get("id").String())
							}
							if from = p.Next; len(order) >= 40 && !done {
								done = true
								for _, id := range order[len(order)-gone:] {
									world.remove(id)
								}
								if resumed {
									return ErrStop
								}
							}
							return nil
						}
						w, err := c.Walk(t.Context(), All(kind), "", pass)
						if resumed {
							w, err = c.Walk(t.Context(), All(kind), from, pass)
						}
						if err != nil || w.Complete || !within(world.always, came) || len(order) != 100 {
							t.Errorf("%d rows: %+v, %v", len(order), w, err)
						}
					})
				})
			}
		}
	}
}

// A walk may be taken up again after each of its pages, by another process.
func TestWalkIsTakenUpAgain(t *testing.T) {
	t.Parallel()
	for _, kind := range []clerk.Kind{clerk.KindUser, clerk.KindMembership, clerk.KindOrganization, clerk.KindPermission} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := &wire{Handler: emulate(t, emulator.Options{Users: 300, Organizations: 60, Memberships: 300})}
				want, whole, err := collect(t, client(t, w, pages(7)), All(kind), "", nil)
				if err != nil || !whole.Complete {
					t.Fatal(whole, err)
				}
				var came []string
				var from Cursor
				for range 100 {
					crash := errors.New("kill -9")
					ids, walked, err := collect(t, client(t, w, pages(7)), All(kind), from, func(p Page) error {
						from = p.Next
						return crash
					})
					came = append(came, ids...)
					if errors.Is(err, crash) {
						continue
					}
					if err != nil || !walked.Complete || walked.Distinct != len(want) || walked.Before != len(want) {
						t.Errorf("%+v, %v", walked, err)
					}
					break
				}
				if !slices.Equal(came, want) {
					t.Errorf("%d rows came, %d are there", len(came), len(want))
				}
			})
		})
	}
}

func TestCursorsAreChecked(t *testing.T) {
	t.Parallel()
	good := (&place{last: "user_1", at: 5, twins: []string{"user_1"}, offset: 3, seen: 4, total: 9, cut: true}).cursor(All(clerk.KindUser))
	if p, err := good.place(All(clerk.KindUser)); err != nil || p.last != "user_1" || p.offset != 3 || !p.cut || p.total != 9 {
		t.Errorf("%+v, %v", p, err)
	}
	c := client(t, failing{errors.New("must not be asked")})
	for list, cursors := range map[List][]Cursor{
		All(clerk.KindUser): {
			"x", "v=2&list=user&last=user_1&seen=1", "%", good + "&seen=x", Cursor(strings.Replace(string(good), "seen=4", "seen=-4", 1)),
			Cursor(strings.Replace(string(good), "last=user_1", "last=", 1)), Cursor(strings.Replace(string(good), "at=5", "at=later", 1)),
		},
		All(clerk.KindMembership): {good},
		RecentUsers():             {good, (&place{last: "user_1", seen: 1}).cursor(RecentUsers())},
	} {
		for _, cursor := range cursors {
			if cursor == good+"&seen=x" {
				continue // the first value counts
			}
			_, err := c.Walk(t.Context(), list, cursor, func(Page) error { return nil })
			mustFail(t, err, ErrInvalid)
		}
	}
}

// Users that were imported have one time; the one to go on from is deleted among them.
func TestTwins(t *testing.T) {
	t.Parallel()
	for _, resumed := range []bool{false, true} {
		t.Run(strconv.FormatBool(resumed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				e := emulate(t, emulator.Options{})
				for i := range 60 {
					do(t, e, "POST", "/v1/users", map[string]any{
						"email_address": []string{fmt.Sprintf("x%d@example.com", i)}, "created_at": "1999-12-31T00:00:00Z",
					})
				}
				world := newWorld(t, e, All(clerk.KindUser), 1)
				c := client(t, &wire{Handler: e}, pages(20))
				came := map[string]bool{}
				var from Cursor
				pass := func(p Page) error {
					for _, row := range p.Rows {
						came[row.Get("id").String()] = true
					}
					if from == "" {
						from = p.Next
						world.remove(p.Rows[len(p.Rows)-1].Get("id").String())
						world.add(1) // so that the total says nothing
						if resumed {
							return ErrStop
						}
					}
					return nil
				}
				w, err := c.Walk(t.Context(), All(clerk.KindUser), "", pass)
				if resumed {
					w, err = c.Walk(t.Context(), All(clerk.KindUser), from, pass)
				}
				if err != nil || w.Complete || !within(world.now, came) {
					t.Errorf("%d rows: %+v, %v", len(came), w, err)
				}
			})
		})
	}
}
