package clerkapi

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/emulator"
)

// thirty is an instance of as many users and memberships, three pages of ten.
func thirty(t *testing.T, kind clerk.Kind) *world {
	w := newWorld(t, emulate(t, emulator.Options{Users: 30, Organizations: 3, Memberships: 30}), All(kind), 1)
	w.learn()
	return w
}

// Where a page is cut short in the middle, what is created meanwhile does not make up for what it lacks.
func TestGrowthDoesNotHideWhatWasNotRead(t *testing.T) {
	t.Parallel()
	for _, kind := range []clerk.Kind{clerk.KindUser, clerk.KindMembership} {
		for lost := range 3 { // rows that the list does not tell
			t.Run(fmt.Sprint(kind, lost), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					world := thirty(t, kind)
					hidden := slices.Sorted(maps.Keys(world.now))[10 : 10+lost]
					n := 0
					h := changing{without{world.e, hidden}, func(*http.Request) {
						if n++; n%2 == 0 { // not between the newest user and their count: then nothing is proven
							world.add(n)
						}
					}}
					_, walked, err := collect(t, client(t, &wire{Handler: h}, pages(10)), All(kind), "", nil)
					if err != nil || walked.Complete != (lost == 0) || walked.Before >= walked.After {
						t.Errorf("%+v, %v", walked, err)
					}
				})
			})
		}
	}
}

// without leaves rows out of lists, and counts them.
type without struct {
	http.Handler
	ids []string
}

func (h without) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer := httptest.NewRecorder()
	h.Handler.ServeHTTP(answer, r)
	var page any
	if err := json.Unmarshal(answer.Body.Bytes(), &page); err != nil {
		panic(err)
	}
	left := func(rows []any) []any {
		return slices.DeleteFunc(rows, func(row any) bool { return slices.Contains(h.ids, row.(map[string]any)["id"].(string)) })
	}
	switch p := page.(type) {
	case []any:
		page = left(p)
	case map[string]any:
		if rows, list := p["data"].([]any); list {
			p["data"] = left(rows)
		}
	}
	maps.Copy(w.Header(), answer.Header())
	w.Header().Del("Content-Length")
	w.WriteHeader(answer.Code)
	if err := json.NewEncoder(w).Encode(page); err != nil {
		panic(err)
	}
}

// One goes and one comes: the count stays, the ids don't. All who stayed came, and that is proven.
func TestChurnThatBalancesIsNoObstacle(t *testing.T) {
	t.Parallel()
	for _, kind := range []clerk.Kind{clerk.KindUser, clerk.KindMembership} {
		for _, read := range []bool{true, false} { // the one who goes was read before
			t.Run(fmt.Sprint(kind, read), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					world := thirty(t, kind)
					n, oldest := 0, slices.Sorted(maps.Keys(world.now))[0] // ids sort as they were made
					ids, walked, err := collect(t, client(t, &wire{Handler: world.e}, pages(10)), All(kind), "", func(Page) error {
						if n++; n == 1 {
							last := slices.Max(world.ids)
							if read {
								last = oldest
							}
							world.remove(last)
							world.add(1)
						}
						return nil
					})
					if err != nil || walked.Before != 30 || walked.After != 30 || !walked.Complete || !within(world.always, set(ids)) {
						t.Errorf("%+v, %v", walked, err)
					}
				})
			})
		}
	}
}
