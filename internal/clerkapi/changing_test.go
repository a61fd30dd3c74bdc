package clerkapi

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/emulator"
)

// changing calls change before each request.
type changing struct {
	http.Handler
	change func(*http.Request)
}

func (c changing) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.change(r)
	c.Handler.ServeHTTP(w, r)
}

// changingInstance is an instance that changes during a walk, and what existed when.
type changingInstance struct {
	t       *testing.T
	e       *emulator.Emulator
	list    List
	random  *rand.Rand
	now     map[string]bool
	ids     []string        // keys of now
	always  map[string]bool // existed during the whole walk
	ever    map[string]bool
	members map[string]string // path of a membership by its id
}

func newChangingInstance(t *testing.T, e *emulator.Emulator, list List, seed uint64) *changingInstance {
	i := &changingInstance{t: t, e: e, list: list, random: rand.New(rand.NewPCG(seed, 1)), now: live(t, e, list)}
	i.always, i.ever, i.ids = maps.Clone(i.now), maps.Clone(i.now), slices.Sorted(maps.Keys(i.now))
	return i
}

func (i *changingInstance) remove(id string) {
	path := "/v1/users/" + id
	if i.list.Kind == clerk.KindMembership {
		path = i.members[id]
	}
	do(i.t, i.e, "DELETE", path, nil)
	delete(i.now, id)
	i.ids = slices.DeleteFunc(i.ids, func(x string) bool { return x == id })
	delete(i.always, id)
}

func (i *changingInstance) add(n int) {
	time.Sleep(time.Millisecond) // synctest's clock: two of the same millisecond cannot be told apart
	var made map[string]any
	if i.list.Kind == clerk.KindUser {
		made = do(i.t, i.e, "POST", "/v1/users", map[string]any{"email_address": []string{fmt.Sprintf("new%d@example.com", n)}})
	} else {
		person := do(i.t, i.e, "POST", "/v1/users", map[string]any{"email_address": []string{fmt.Sprintf("new%d@example.com", n)}})["id"].(string)
		org := i.randomOrganization()
		made = do(i.t, i.e, "POST", "/v1/organizations/"+org+"/memberships", map[string]any{"user_id": person, "role": "org:member"})
		i.members[made["id"].(string)] = "/v1/organizations/" + org + "/memberships/" + person
	}
	id := made["id"].(string)
	i.now[id], i.ever[id] = true, true
	i.ids = append(i.ids, id)
}

func (i *changingInstance) randomOrganization() string {
	return strings.Split(i.members[i.randomID()], "/")[3]
}

func (i *changingInstance) randomID() string { return i.ids[i.random.IntN(len(i.ids))] }

// loadMembershipPaths loads the paths by which memberships are deleted.
func (i *changingInstance) loadMembershipPaths() {
	i.members = map[string]string{}
	var page struct {
		Data []struct {
			ID           string              `json:"id"`
			Organization struct{ ID string } `json:"organization"`
			User         struct {
				ID string `json:"user_id"`
			} `json:"public_user_data"`
		} `json:"data"`
	}
	for offset := 0; offset < len(i.now); offset += 500 {
		path := fmt.Sprintf("/v1/organization_memberships?limit=500&offset=%d", offset)
		if err := i.e.Call(context.Background(), "GET", path, nil, &page); err != nil {
			i.t.Fatal(err)
		}
		for _, m := range page.Data {
			i.members[m.ID] = "/v1/organizations/" + m.Organization.ID + "/memberships/" + m.User.ID
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

// Users are created and deleted during the walk, and the network is unreliable. A complete walk
// returned everything that existed during the whole walk, and nothing that never existed.
func TestWalkOfChangingInstance(t *testing.T) {
	t.Parallel()
	for _, kind := range []clerk.Kind{clerk.KindUser, clerk.KindMembership} {
		for seed := range uint64(8) {
			t.Run(fmt.Sprint(kind, seed), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) { walkChanging(t, kind, seed) })
			})
		}
	}
}

func walkChanging(t *testing.T, kind clerk.Kind, seed uint64) {
	size := 1000
	if seed > 3 {
		size = 3000
	}
	e := emulate(t, emulator.Options{Users: size, Organizations: 50, Memberships: size, Seed: seed + 1})
	instance := newChangingInstance(t, e, All(kind), seed)
	if kind == clerk.KindMembership {
		instance.loadMembershipPaths()
	}
	if seed > 3 {
		faults(t, e, emulator.APIFaults{TooMany: 0.1, ServerError: 0.05, Truncate: 0.05, PageShift: 0.3})
	}
	n := 0
	h := changing{e, func(*http.Request) {
		for range instance.random.IntN(3) {
			n++
			switch {
			case seed%4 == 0: // nothing changes
			case seed%4 == 1 && n%2 == 0 || seed%4 == 2: // one is created for each that is deleted; or they are only deleted
				instance.remove(instance.randomID())
			default:
				instance.add(n)
			}
		}
	}}
	ids, walked, err := collect(t, client(t, &wire{Handler: h}, pages(100)), All(kind), "", nil)
	read := set(ids)
	if !within(read, instance.ever) {
		t.Error("the walk returned a row that never existed")
	}
	// deletions alone remove no row from a walk that ended
	if whole := within(instance.always, read); err == nil && !whole && (walked.Complete || kind == clerk.KindUser) {
		t.Errorf("rows are missing that existed during the whole walk: %+v", walked)
	}
	if walked.Complete && (seed%4 == 2 && n > 0 || walked.Before > walked.After) {
		t.Errorf("complete, although rows were deleted: %+v", walked)
	}
	if seed == 3 && (n < 10 || !walked.Complete) {
		t.Errorf("%d were created, none deleted, and the walk is not complete: %+v, %v", n, walked, err)
	}
	if seed == 0 && (!walked.Complete || !maps.Equal(read, instance.now)) {
		t.Errorf("%+v, %v", walked, err)
	}
	if err != nil {
		mustFail(t, err, ErrUnavailable)
	}
}

// The last row that was read is deleted before the next page, and whole pages with it.
func TestAnchorIsDeleted(t *testing.T) {
	t.Parallel()
	for _, kind := range []clerk.Kind{clerk.KindUser, clerk.KindMembership} {
		for _, deleted := range []int{1, 5, 10, 35} { // rows deleted before the next page
			for _, resumed := range []bool{false, true} {
				t.Run(fmt.Sprint(kind, deleted, resumed), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						e := emulate(t, emulator.Options{Users: 100, Organizations: 5, Memberships: 100})
						instance := newChangingInstance(t, e, All(kind), 1)
						instance.loadMembershipPaths()
						c := client(t, &wire{Handler: e}, pages(10))
						read := map[string]bool{}
						var order []string
						var from Cursor
						done := false
						pass := func(p Page) error {
							for _, row := range p.Rows {
								read[row.Get("id").String()] = true
								order = append(order, row.Get("id").String())
							}
							if from = p.Next; len(order) >= 40 && !done {
								done = true
								for _, id := range order[len(order)-deleted:] {
									instance.remove(id)
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
						if err != nil || w.Complete || !within(instance.always, read) || len(order) != 100 {
							t.Errorf("%d rows: %+v, %v", len(order), w, err)
						}
					})
				})
			}
		}
	}
}

// Imported users have the same created_at; the one to continue from is deleted.
func TestRowsCreatedAtTheSameTime(t *testing.T) {
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
				instance := newChangingInstance(t, e, All(clerk.KindUser), 1)
				c := client(t, &wire{Handler: e}, pages(20))
				read := map[string]bool{}
				var from Cursor
				pass := func(p Page) error {
					for _, row := range p.Rows {
						read[row.Get("id").String()] = true
					}
					if from == "" {
						from = p.Next
						instance.remove(p.Rows[len(p.Rows)-1].Get("id").String())
						instance.add(1) // so that the total stays the same
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
				if err != nil || w.Complete || !within(instance.now, read) {
					t.Errorf("%d rows: %+v, %v", len(read), w, err)
				}
			})
		})
	}
}
