package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"pgregory.net/rapid"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// In a history, operators set and remove overrides. The promise is about Clerk's objects, which the
// rows keep, and each row shows its overrides at every moment.

// override sets or removes an override of a user. The process may be killed at any statement.
func (s *side) override(ctx context.Context, id string) {
	acts := []struct{ field, value string }{
		{row.OverrideRole, "admin"},
		{row.OverrideRole, "growth"},
		{row.OverrideRole, "solo"},
		{row.OverrideRole, ""},
		{row.OverrideBanned, "true"},
		{row.OverrideBanned, "false"},
		{row.OverrideBanned, ""},
	}
	act := rapid.SampledFrom(acts).Draw(s.T, "override")
	field := mirror.OverrideField(act.field)
	var err error
	if act.value == "" {
		_, err = s.in.RemoveOverride(ctx, row.Key{Kind: clerk.KindUser, ID: id}, field, mirror.By{})
	} else {
		_, err = s.in.SetOverride(ctx, mirror.Override{Kind: clerk.KindUser, ID: id, Field: field, Value: act.value}, mirror.By{})
	}
	switch {
	case err == nil:
		s.overrode++
	case errors.Is(err, mirror.ErrInvalidOverride):
		s.Fatal(err)
	}
}

// live returns the ids of the live objects of a kind.
func (s *side) live(kind string) (ids []string) {
	must(s.T, s.views[kind](s.ctx, func(id string, _ emulator.Facts) { ids = append(ids, id) }))
	slices.Sort(ids)
	return ids
}

// atClerk returns a reader for which users are banned as Clerk says, below an override.
func (s *side) atClerk(views emulator.Reader) emulator.Reader {
	users := views["user"]
	views["user"] = func(ctx context.Context, each func(string, emulator.Facts)) error {
		banned := map[string]bool{}
		for _, u := range s.overridden() {
			banned[u.id] = u.body.Get("banned").Bool()
		}
		return users(ctx, func(id string, f emulator.Facts) {
			if atClerk, overridden := banned[id]; overridden {
				f["banned"] = atClerk
			}
			each(id, f)
		})
	}
	return views
}

// overriddenUser is a live user with overrides.
type overriddenUser struct {
	id, role       string
	banned, active bool
	overrides      row.Overrides
	body           clerk.Value
}

func (s *side) overridden() (list []overriddenUser) {
	rows, err := s.raw.QueryContext(s.ctx, `SELECT clerk_user_id, role, banned, is_active, overrides, COALESCE(raw, '') FROM clerk_users_live
		WHERE overrides IS NOT NULL`)
	must(s.T, err)
	defer rows.Close()
	for rows.Next() {
		var u overriddenUser
		var raw string
		must(s.T, rows.Scan(&u.id, &u.role, &u.banned, &u.active, &u.overrides, &raw))
		u.body, _ = clerk.Parse([]byte(raw)) // may be edited by hand
		list = append(list, u)
	}
	must(s.T, rows.Err())
	return list
}

// showsOverrides requires that each live user has the overrides that are stored, and shows them. It
// leaves out users who were edited by hand, unless everything was reconciled since.
func (s *side) showsOverrides(reconciled bool) {
	want := map[string]row.Overrides{}
	rows, err := s.raw.QueryContext(s.ctx, `SELECT o.id, o.field, o.value FROM clerk_overrides o JOIN clerk_users_live v ON v.clerk_user_id = o.id`)
	must(s.T, err)
	defer rows.Close()
	for rows.Next() {
		var id, field, value string
		must(s.T, rows.Scan(&id, &field, &value))
		want[id] = want[id].With(field, value)
	}
	must(s.T, rows.Err())
	for _, u := range s.overridden() {
		overrides, stored := want[u.id]
		delete(want, u.id)
		if _, hand := s.edited["user "+u.id]; hand && !reconciled {
			continue
		}
		shown := row.Row{Key: row.Key{Kind: clerk.KindUser, ID: u.id}, Raw: u.body.JSON(), Overrides: overrides}
		role, banned := shown.UserRole(store.DefaultLadder()).Role, shown.Banned()
		if !stored || u.overrides != overrides || u.role != role || u.banned != banned || u.active == banned {
			s.Fatalf("%s: %s shows %+v, and the overrides are %q", s.name, u.id, u, overrides)
		}
	}
	for id, overrides := range want {
		if _, hand := s.edited["user "+id]; !hand || reconciled {
			s.Fatal(fmt.Sprintf("%s: %s does not show the overrides %s", s.name, id, overrides))
		}
	}
}
