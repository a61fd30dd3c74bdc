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

// thirtyRows returns an instance of 30 users and 30 memberships: three pages of ten.
func thirtyRows(t *testing.T, kind clerk.Kind) *changingInstance {
	i := newChangingInstance(t, emulate(t, emulator.Options{Users: 30, Organizations: 3, Memberships: 30}), All(kind), 1)
	i.loadMembershipPaths()
	return i
}

// If a page is cut short in the middle, rows that are created meanwhile do not make up for it.
func TestGrowthDoesNotHideMissingRows(t *testing.T) {
	t.Parallel()
	for _, kind := range []clerk.Kind{clerk.KindUser, clerk.KindMembership} {
		for lost := range 3 { // rows that the list omits
			t.Run(fmt.Sprint(kind, lost), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					instance := thirtyRows(t, kind)
					hidden := slices.Sorted(maps.Keys(instance.now))[10 : 10+lost]
					n := 0
					h := changing{omitting{instance.e, hidden}, func(*http.Request) {
						if n++; n%2 == 0 { // not between the newest user and the count: then nothing is proven
							instance.add(n)
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

// omitting leaves rows out of lists, but not out of the count.
type omitting struct {
	http.Handler
	ids []string
}

func (h omitting) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer := httptest.NewRecorder()
	h.Handler.ServeHTTP(answer, r)
	var page any
	if err := json.Unmarshal(answer.Body.Bytes(), &page); err != nil {
		panic(err)
	}
	rest := func(rows []any) []any {
		return slices.DeleteFunc(rows, func(row any) bool { return slices.Contains(h.ids, row.(map[string]any)["id"].(string)) })
	}
	switch p := page.(type) {
	case []any:
		page = rest(p)
	case map[string]any:
		if rows, list := p["data"].([]any); list {
			p["data"] = rest(rows)
		}
	}
	maps.Copy(w.Header(), answer.Header())
	w.Header().Del("Content-Length")
	w.WriteHeader(answer.Code)
	if err := json.NewEncoder(w).Encode(page); err != nil {
		panic(err)
	}
}

// One user is deleted and one created: the count stays, the ids change. The walk is complete.
func TestBalancedChangesDoNotPreventAProof(t *testing.T) {
	t.Parallel()
	for _, kind := range []clerk.Kind{clerk.KindUser, clerk.KindMembership} {
		for _, alreadyRead := range []bool{true, false} { // the deleted one was read before
			t.Run(fmt.Sprint(kind, alreadyRead), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					instance := thirtyRows(t, kind)
					n, oldest := 0, slices.Sorted(maps.Keys(instance.now))[0] // ids sort in the order of creation
					ids, walked, err := collect(t, client(t, &wire{Handler: instance.e}, pages(10)), All(kind), "", func(Page) error {
						if n++; n == 1 {
							last := slices.Max(instance.ids)
							if alreadyRead {
								last = oldest
							}
							instance.remove(last)
							instance.add(1)
						}
						return nil
					})
					if err != nil || walked.Before != 30 || walked.After != 30 || !walked.Complete || !within(instance.always, set(ids)) {
						t.Errorf("%+v, %v", walked, err)
					}
				})
			})
		}
	}
}
