package clerksync_test

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/mirror"
)

// collect reads an iterator to its end.
func collect[T any](t *testing.T, all iter.Seq2[T, error], id func(T) string) (ids []string) {
	t.Helper()
	for item, err := range all {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id(item))
	}
	return ids
}

// Every iterator reads all pages, whatever their size, and begins at the cursor of its filter.
func TestListsAreReadWhole(t *testing.T) {
	t.Parallel()
	onBothEngines(t, nil, func(b *bench) {
		for i := range 5 {
			at := 1780000000000 + i
			for kind, data := range map[string]string{
				"user.created":         fmt.Sprintf(`{"id":"user_%d","created_at":%d,"updated_at":%d}`, i, at, at),
				"session.created":      fmt.Sprintf(`{"id":"sess_%d","user_id":"user_%d","status":"active","created_at":%d,"updated_at":%d}`, i, i, at, at),
				"organization.created": fmt.Sprintf(`{"id":"org_%d","name":"O%d","slug":"o%d","created_at":%d,"updated_at":%d}`, i, i, i, at, at),
				"organizationMembership.created": fmt.Sprintf(
					`{"id":"orgmem_%d","role":"org:member","organization":{"id":"org_%d"},"public_user_data":{"user_id":"user_%d"},"created_at":%d,"updated_at":%d}`, i, i, i, at, at),
			} {
				body := fmt.Sprintf(`{"type":%q,"object":"event","timestamp":%d,"data":%s}`, kind, at, data)
				if status, answer := b.send(fmt.Sprintf("msg_%s_%d", strings.ReplaceAll(kind, ".", "_"), i), []byte(body), nil); status != 200 || answer["status"] != "processed" {
					b.Fatalf("%s: %d %v", kind, status, answer)
				}
			}
		}
		ctx := b.Context()
		for _, limit := range []int{1, 2, 5, 0} {
			for prefix, ids := range map[string][]string{
				"user_":   collect(b.T, b.m.Users().All(ctx, mirror.UserFilter{Limit: limit}), func(u mirror.User) string { return u.ClerkUserID }),
				"sess_":   collect(b.T, b.m.Sessions().All(ctx, mirror.SessionFilter{Limit: limit}), func(s mirror.Session) string { return s.ClerkSessionID }),
				"org_":    collect(b.T, b.m.Organizations().All(ctx, mirror.OrganizationFilter{Limit: limit}), func(o mirror.Organization) string { return o.ClerkOrganizationID }),
				"orgmem_": collect(b.T, b.m.Memberships().All(ctx, mirror.MembershipFilter{Limit: limit}), func(m mirror.Membership) string { return m.ClerkMembershipID }),
			} {
				if want := strings.ReplaceAll("#4 #3 #2 #1 #0", "#", prefix); strings.Join(ids, " ") != want {
					b.Errorf("pages of %d: %v, want %s", limit, ids, want)
				}
			}
			deliveries := func(newest bool) []string {
				f := mirror.DeliveryFilter{Limit: limit, NewestFirst: newest}
				return collect(b.T, b.m.Deliveries().All(ctx, f), func(d mirror.Delivery) string { return d.MessageID })
			}
			byID, newest := deliveries(false), deliveries(true)
			if len(byID) != 20 || len(newest) != 20 || !slices.IsSortedFunc(byID, cmp.Compare[string]) || len(slices.Compact(slices.Sorted(slices.Values(newest)))) != 20 {
				b.Errorf("pages of %d: deliveries %v, newest first %v", limit, byID, newest)
			}
		}
		b.cursors()
	})
}

// cursors looks at how lists begin at a cursor, and how they refuse one.
func (b *bench) cursors() {
	b.Helper()
	ctx := b.Context()
	first, err := b.m.Users().List(ctx, mirror.UserFilter{Limit: 2})
	if err != nil || len(first.Items) != 2 || first.Next == "" {
		b.Fatalf("the first page is %+v, %v", first, err)
	}
	rest := collect(b.T, b.m.Users().All(ctx, mirror.UserFilter{Limit: 2, After: first.Next}), func(u mirror.User) string { return u.ClerkUserID })
	if strings.Join(rest, " ") != "user_2 user_1 user_0" {
		b.Errorf("after the first page: %v", rest)
	}
	var failures []error
	for _, err := range b.m.Sessions().All(ctx, mirror.SessionFilter{After: first.Next}) {
		failures = append(failures, err)
	}
	if len(failures) != 1 || !errors.Is(failures[0], clerksync.ErrInvalidCursor) || clerksync.ErrorCode(failures[0]) != "invalid_cursor" {
		b.Errorf("the cursor of another list: %v", failures)
	}
	seen := 0
	for range b.m.Users().All(ctx, mirror.UserFilter{Limit: 1}) {
		if seen++; seen == 2 {
			break
		}
	}
	if seen != 2 {
		b.Errorf("a loop that ends early has seen %d", seen)
	}
}

// An error for something that does not exist says what was looked for.
func TestNotFoundNamesWhatWasLookedFor(t *testing.T) {
	t.Parallel()
	onBothEngines(t, nil, func(b *bench) {
		ctx := b.Context()
		for want, look := range map[string]func() error{
			"user user_x not found":                   func() error { _, err := b.m.Users().ByClerkID(ctx, "user_x"); return err },
			"user with this e-mail address not found": func() error { _, err := b.m.Users().ByEmail(ctx, "a@example.com"); return err },
			"session sess_x not found":                func() error { _, err := b.m.Sessions().ByClerkID(ctx, "sess_x"); return err },
			"organization org_x not found":            func() error { _, err := b.m.Organizations().ByClerkID(ctx, "org_x"); return err },
			"organization acme not found":             func() error { _, err := b.m.Organizations().BySlug(ctx, "acme"); return err },
			"membership of user_x in org_x not found": func() error { _, err := b.m.Memberships().Of(ctx, "user_x", "org_x"); return err },
			"delivery msg_x not found":                func() error { _, err := b.m.Deliveries().ByMessageID(ctx, "msg_x"); return err },
			"delivery msg_y not found":                func() error { _, err := b.m.Deliveries().Replay(ctx, "msg_y", mirror.By{}); return err },
		} {
			if err := look(); !errors.Is(err, clerksync.ErrNotFound) || err.Error() != want {
				b.Errorf("%v, want %s", err, want)
			}
		}
	})
}

// A loop over a list ends when its context ends, and says so, on every engine.
func TestAnIteratorEndsWithItsContext(t *testing.T) {
	t.Parallel()
	onBothEngines(t, nil, func(b *bench) {
		for i := range 5 {
			body := fmt.Sprintf(`{"type":"user.created","object":"event","data":{"id":"user_%d","created_at":%d}}`, i, 1780000000000+i)
			if status, answer := b.event(body); status != 200 {
				b.Fatalf("%d %v", status, answer)
			}
		}
		ctx, cancel := context.WithCancel(b.Context())
		defer cancel()
		seen, last := 0, error(nil)
		for _, err := range b.m.Users().All(ctx, mirror.UserFilter{Limit: 2}) {
			cancel()
			seen, last = seen+1, err
		}
		if seen != 3 || !errors.Is(last, context.Canceled) {
			b.Errorf("the loop has run %d times and ended with %v; want the first page and an error", seen, last)
		}
	})
}

// What a client sends as a cursor, an id or a search text may hold what Postgres cannot compare.
func TestTextThatPostgresRefusesIsFoundNowhere(t *testing.T) {
	t.Parallel()
	onBothEngines(t, nil, func(b *bench) {
		ctx := b.Context()
		for _, odd := range []string{"user_\x00", "user_\xff"} {
			for list, read := range map[string]func(mirror.Cursor) error{
				"users": func(c mirror.Cursor) error { _, err := b.m.Users().List(ctx, mirror.UserFilter{After: c}); return err },
				"sessions": func(c mirror.Cursor) error {
					_, err := b.m.Sessions().List(ctx, mirror.SessionFilter{After: c})
					return err
				},
				"deliveries": func(c mirror.Cursor) error {
					_, err := b.m.Deliveries().List(ctx, mirror.DeliveryFilter{After: c})
					return err
				},
				"audit": func(c mirror.Cursor) error { _, err := b.m.Audit().List(ctx, mirror.AuditFilter{After: c}); return err },
				"drift": func(c mirror.Cursor) error {
					_, err := b.m.Sync().Drift().List(ctx, mirror.DriftFilter{After: c})
					return err
				},
				"memberships": func(c mirror.Cursor) error {
					_, err := b.m.Memberships().List(ctx, mirror.MembershipFilter{After: c})
					return err
				},
			} {
				cursor := base64.RawURLEncoding.EncodeToString([]byte(list + "\n1\n" + odd))
				if err := read(mirror.Cursor(cursor)); !errors.Is(err, clerksync.ErrInvalidCursor) {
					b.Errorf("%s after %q: %v", list, odd, err)
				}
			}
			for name, look := range map[string]func() error{
				"an id":      func() error { _, err := b.m.Users().ByClerkID(ctx, odd); return err },
				"an address": func() error { _, err := b.m.Users().ByEmail(ctx, odd); return err },
				"a slug":     func() error { _, err := b.m.Organizations().BySlug(ctx, odd); return err },
				"a delivery": func() error { _, err := b.m.Deliveries().ByMessageID(ctx, odd); return err },
			} {
				if err := look(); !errors.Is(err, clerksync.ErrNotFound) {
					b.Errorf("%s, %q: %v", name, odd, err)
				}
			}
			if err := b.m.Users().Delete(ctx, odd); err != nil {
				b.Errorf("delete %q: %v", odd, err)
			}
			if _, _, err := b.m.Users().Erase(ctx, odd); err != nil {
				b.Errorf("erase %q after its deletion: %v", odd, err)
			}
			for name, f := range map[string]mirror.UserFilter{"text": {Search: odd}, "role": {Role: odd}, "organization": {OrganizationID: odd}} {
				if page, err := b.m.Users().List(ctx, f); err != nil || len(page.Items) != 0 {
					b.Errorf("users by %s %q: %+v, %v", name, odd, page, err)
				}
			}
		}
	})
}

// Goroutines that share an iterator each read the whole list.
func TestGoroutinesShareAnIterator(t *testing.T) {
	t.Parallel()
	onBothEngines(t, nil, func(b *bench) {
		const users = 20
		for i := range users {
			object := fmt.Sprintf(`{"id":"user_%d","created_at":%d,"updated_at":1780000000000}`, i, 1780000000000+i)
			if _, err := b.m.Users().Apply(b.Context(), []byte(object)); err != nil {
				b.Fatal(err)
			}
		}
		all := b.m.Users().All(b.Context(), mirror.UserFilter{Limit: 1})
		var readers sync.WaitGroup
		for range 4 {
			readers.Go(func() {
				seen := map[string]int{}
				for user, err := range all {
					if err != nil {
						b.Error(err)
					}
					seen[user.ClerkUserID]++
				}
				if len(seen) != users {
					b.Errorf("a reader has seen %d users, want %d: %v", len(seen), users, seen)
				}
			})
		}
		readers.Wait()
	})
}
