package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

func userRow(t *testing.T, id, email, username, first, last string) *row.Row {
	t.Helper()
	return newRow(t, clerk.KindUser, fmt.Sprintf(`{"id":%q,"email":%q,"username":%q,"first_name":%q,"last_name":%q}`, id, email, username, first, last))
}

// found returns the ids of the users that a filter selects. They must be the same in pages of one,
// where few users are read whole and where they are not, and where a page looks at few rows.
func found(t *testing.T, db *store.DB, f mirror.UserFilter) (ids []string) {
	t.Helper()
	list := func(limit int) (ids []string) {
		f.Limit = limit
		for _, u := range inPages(t, func(after mirror.Cursor) (mirror.Page[mirror.User], error) {
			f.After = after
			return db.Users(t.Context(), f)
		}) {
			ids = append(ids, u.ClerkUserID)
		}
		return ids
	}
	defer db.LookBack(10_000)
	defer db.FewRows(5000)
	ids = list(500)
	for _, few := range []int64{5000, -1} {
		for _, rows := range []int{10_000, 3} {
			db.FewRows(few)
			db.LookBack(rows)
			for _, limit := range []int{1, 500} {
				if got := list(limit); !slices.Equal(got, ids) {
					t.Errorf("%+v: %v, but in pages of %d, where %d are few and %d rows are looked at, %v", f, ids, limit, few, rows, got)
				}
			}
		}
	}
	return ids
}

func searchesUsers(t *testing.T, db *store.DB) {
	gone := userRow(t, "user_gone", "ada.gone@example.com", "ada_gone", "Ada", "Gone")
	gone.Tombstoned = true
	long := strings.Repeat("x", 3000) // more than an index can hold
	save(t, db, gone,
		userRow(t, "user_a", "Ada@Example.com", "countess", "Ada", "Lovelace"),
		userRow(t, "user_b", "bob@example.com", "ada_fan", "Bob", "Adams"),
		userRow(t, "user_c", "cruz@example.com", "", "Mary Ann Jo", "de la Cruz"),
		userRow(t, "user_d", "100%_sure@example.com", `back\slash`, "", "Mononym"),
		userRow(t, "user_e", "e@example.com", "user_a2", "José", "Éclair"),
		userRow(t, "user_f", long+"@example.com", long, long+" "+long, long),
		newRow(t, clerk.KindUser, `{"id":"user_g"}`),
		newRow(t, clerk.KindUser, `{"id":"user_h","primary_phone_number_id":"idn_2","phone_numbers":[{"id":"idn_1","phone_number":"+4930999"},
			{"id":"idn_2","phone_number":"+15551234567"}]}`),
		newRow(t, clerk.KindUser, `{"id":"user_i","phone_numbers":[{"id":"idn_1","phone_number":"+15557654321"}]}`),
		newRow(t, clerk.KindUser, `{"id":"user_j","primary_phone_number_id":null,"phone_numbers":[{"id":"idn_1","phone_number":"+15558888888"}]}`),
		newRow(t, clerk.KindMembership, `{"id":"orgmem_1","user_id":"user_b","organization_id":"org_1","role":"org:admin"}`))
	for text, want := range map[string]string{
		"ada":                     "user_a user_b", // by two texts of a, and two of b: each once
		"ADA@EXAMPLE.COM":         "user_a",
		"  ada \t love ":          "user_a",
		"lovelace ada":            "user_a",
		"love":                    "user_a",
		"count":                   "user_a",
		"adams":                   "user_b",
		"ann":                     "user_c",
		"ann jo":                  "user_c",
		"jo":                      "user_c user_e",
		"la cruz":                 "user_c",
		"cruz":                    "user_c",
		"mary ann jo de":          "user_c",
		"mono":                    "user_d",
		"100%":                    "user_d",
		"100%_":                   "user_d",
		`back\`:                   "user_d",
		"%":                       "",
		"_":                       "",
		"%a":                      "",
		"da":                      "", // the middle of a word
		"example":                 "",
		"José é":                  "",
		"José É":                  "user_e",
		"xxx":                     "user_f",
		long:                      "user_f",
		"user_a":                  "user_a", // an id, and not the beginning of a user name
		"user_a2":                 "user_e",
		" user_b ":                "user_b",
		store.UserID("user_b"):    "user_b",
		"user_gone":               "",
		store.UserID("user_gone"): "",
		"gone":                    "",
		"   ":                     "",
		"+1":                      "user_h user_i",
		"+1 (555) 123-45":         "user_h",
		"15551":                   "user_h",
		"+15551234567":            "user_h",
		"+155512345678":           "",
		"+4930":                   "", // not the primary number
		"+":                       "",
		"+1555x":                  "",
		"' OR 1=1 --":             "",
	} {
		got := found(t, db, mirror.UserFilter{Search: text})
		slices.Sort(got)
		wanted := strings.Fields(want)
		slices.Sort(wanted)
		if !slices.Equal(got, wanted) {
			t.Errorf("%.50q finds %v, want %s", text, got, want)
		}
	}
	for _, c := range []struct {
		f    mirror.UserFilter
		want string
	}{
		{mirror.UserFilter{Search: "ada", OrganizationID: "org_1"}, "[user_b]"},
		{mirror.UserFilter{Search: "user_a", OrganizationID: "org_1"}, "[]"},
		{mirror.UserFilter{Search: "ada", Role: "none"}, "[]"},
		{mirror.UserFilter{Search: "ada", Active: new(false)}, "[]"},
		{mirror.UserFilter{Search: "ada", Active: new(true)}, "[user_a user_b]"},
		{mirror.UserFilter{OrganizationID: "org_1"}, "[user_b]"},
		{mirror.UserFilter{OrganizationID: "org_1", Role: "none"}, "[]"},
		{mirror.UserFilter{OrganizationID: "org_1", Active: new(true), Role: "solo"}, "[user_b]"},
	} {
		if got := fmt.Sprint(found(t, db, c.f)); got != c.want {
			t.Errorf("%+v finds %s, want %s", c.f, got, c.want)
		}
	}
}

// A cursor of a search leads on in that search alone.
func searchCursors(t *testing.T, db *store.DB) {
	var rows []*row.Row
	for i := range 40 { // each is found by many texts
		rows = append(rows, userRow(t, fmt.Sprintf("user_%02d", i), "ada@example.com", fmt.Sprintf("ada%d", i), "Ada", "Ada Ada"))
	}
	save(t, db, rows...)
	if got := found(t, db, mirror.UserFilter{Search: "ada"}); len(got) != 40 {
		t.Errorf("found %v", got)
	}
	page, err := db.Users(t.Context(), mirror.UserFilter{Search: "ada", Limit: 1})
	if err != nil || page.Next == "" {
		t.Fatalf("%+v, %v", page, err)
	}
	list, err := db.Users(t.Context(), mirror.UserFilter{Limit: 1})
	must(t, err)
	for name, f := range map[string]mirror.UserFilter{
		"another search": {Search: "bob", After: page.Next}, "a list": {After: page.Next}, "of a list": {Search: "ada", After: list.Next},
		"damaged": {Search: "ada", After: page.Next[1:]},
	} {
		if _, err := db.Users(t.Context(), f); !errors.Is(err, store.ErrInvalidCursor) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := db.Organizations(t.Context(), mirror.OrganizationFilter{Search: "ada", After: page.Next}); !errors.Is(err, store.ErrInvalidCursor) {
		t.Errorf("organizations: %v", err)
	}
}

func searchesOrganizations(t *testing.T, db *store.DB) {
	gone := newRow(t, clerk.KindOrganization, `{"id":"org_gone","name":"Acme","slug":"acme"}`)
	gone.Tombstoned = true
	save(t, db, gone,
		newRow(t, clerk.KindOrganization, `{"id":"org_1","name":"Acme Works","slug":"acme-works"}`),
		newRow(t, clerk.KindOrganization, `{"id":"org_2","name":"Other","slug":"ACME2"}`),
		newRow(t, clerk.KindOrganization, `{"id":"org_3","name":"%wild_","slug":null}`))
	for text, want := range map[string]string{
		"acme": "[org_1 org_2]", "acme w": "[org_1]", "works": "[]", "org_2": "[org_2]", "org_gone": "[]", "%": "[org_3]", "_": "[]", "ACME2": "[org_2]",
	} {
		for _, limit := range []int{1, 9} {
			var ids []string
			for _, o := range inPages(t, func(after mirror.Cursor) (mirror.Page[mirror.Organization], error) {
				return db.Organizations(t.Context(), mirror.OrganizationFilter{Search: text, After: after, Limit: limit})
			}) {
				ids = append(ids, o.ClerkOrganizationID)
			}
			slices.Sort(ids)
			if got := fmt.Sprint(ids); got != want {
				t.Errorf("%q finds %s, want %s", text, got, want)
			}
		}
	}
}
