package clerkapi

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/emulator"
)

// Another process can continue a walk after each of its pages.
func TestWalkIsResumed(t *testing.T) {
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
				var ids []string
				var from Cursor
				for range 100 {
					crash := errors.New("kill -9")
					page, walked, err := collect(t, client(t, w, pages(7)), All(kind), from, func(p Page) error {
						from = p.Next
						return crash
					})
					ids = append(ids, page...)
					if errors.Is(err, crash) {
						continue
					}
					if err != nil || !walked.Complete || walked.Distinct != len(want) || walked.Before != len(want) {
						t.Errorf("%+v, %v", walked, err)
					}
					break
				}
				if !slices.Equal(ids, want) {
					t.Errorf("read %d rows, want %d", len(ids), len(want))
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
	c := client(t, failing{errors.New("no request may be sent")})
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
