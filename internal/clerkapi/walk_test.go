package clerkapi

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http/httptest"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/emulator"
)

// collect walks a list and returns the ids, each of which must be returned once.
func collect(t *testing.T, c *Client, list List, from Cursor, each func(Page) error) ([]string, WalkResult, error) {
	t.Helper()
	var ids []string
	known := map[string]bool{}
	w, err := c.Walk(t.Context(), list, from, func(p Page) error {
		for _, row := range p.Rows {
			id := row.Get("id").String()
			if known[id] {
				t.Errorf("%s was returned twice", id)
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
		t.Errorf("%d rows were returned, %d are reported", len(ids), w.Rows)
	}
	return ids, w, err
}

// live returns the ids of all objects of a list, read in process.
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
				t.Errorf("%s by %d: read %d of %d", list, size, len(ids), len(want))
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
		t.Errorf("%d requests for lists that do not exist", n)
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

func TestWalkEndsWhenTheCallerEndsIt(t *testing.T) {
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

// With each of the API's faults the walk is complete, or says that it is not.
func TestWalkThroughFaults(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		faults emulator.APIFaults
		must   bool // be complete nevertheless
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
						t.Errorf("claims to be complete with %d rows: %+v, %v", len(ids), walked, err)
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
