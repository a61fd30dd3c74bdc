package emulator_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync/internal/emulator"
)

// crowd makes three users who differ in everything that can be asked for, oldest first.
func crowd(t *testing.T, c *clerk) (users [3]string, orgs [2]string) {
	t.Helper()
	for i, u := range []object{
		{"first_name": "Ada", "last_name": "Lovelace", "username": "carol", "external_id": "x", "email_address": []string{"b@example.com"}, "phone_number": []string{"+15555550103"}, "web3_wallet": []string{"0x0000000000000000000000000000000000000002"}},
		{"first_name": "grace", "last_name": "Hopper", "username": "alice", "external_id": "y", "email_address": []string{"c@example.com"}, "phone_number": []string{"+15555550101"}, "web3_wallet": []string{"0x0000000000000000000000000000000000000003"}},
		{"first_name": "Barbara", "last_name": "liskov", "username": "Bobby", "external_id": "z", "email_address": []string{"a@example.org"}, "phone_number": []string{"+15555550102"}, "web3_wallet": []string{"0x0000000000000000000000000000000000000001"}},
	} {
		u["created_at"] = fmt.Sprintf("2026-01-0%dT00:00:00Z", i+1)
		users[i] = c.made("/v1/users", u)
	}
	c.call("POST", "/v1/users/"+users[1]+"/ban", nil) // updated before the others
	orgs[0], orgs[1] = c.organization("First", users[0]), c.organization("Second", users[0])
	c.made("/v1/organizations/"+orgs[1]+"/memberships", object{"user_id": users[2], "role": "org:member"})
	c.Advance(48 * time.Hour)
	c.signIn(users[2], object{})
	c.Advance(48 * time.Hour)
	c.signIn(users[0], object{})
	c.call("PATCH", "/v1/users/"+users[2], object{})
	c.Advance(time.Hour)
	c.call("PATCH", "/v1/users/"+users[0], object{})
	return users, orgs
}

func TestUserFilters(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{})
	users, orgs := crowd(t, c)
	day := func(n int) string {
		return strconv.FormatInt(time.Date(2026, 1, n, 0, 0, 0, 0, time.UTC).UnixMilli(), 10)
	}
	signedIn := int64(c.call("GET", "/v1/users/"+users[2], nil)["last_sign_in_at"].(float64))
	for query, want := range map[string]string{
		"":                            "012",
		"email_address=B@example.com": "0",
		"email_address=b@example.com&email_address=a@example.org":     "02",
		"phone_number=%2B15555550101":                                 "1",
		"username=bobby":                                              "2",
		"web3_wallet=0x0000000000000000000000000000000000000003":      "1",
		"external_id=x":                                               "0",
		"external_id=-x":                                              "12",
		"external_id=%2By":                                            "1",
		"user_id=" + users[1]:                                         "1",
		"user_id=%2B" + users[1] + "&user_id=" + users[0]:             "01",
		"user_id=%2B" + users[1] + "&user_id=-" + users[0]:            "1",
		"user_id=-" + users[1]:                                        "02",
		"organization_id=" + orgs[0]:                                  "0",
		"organization_id=%2B" + orgs[1]:                               "02",
		"organization_id=" + orgs[1] + "&organization_id=-" + orgs[0]: "2",
		"organization_id=-" + orgs[0]:                                 "12",
		"query=HOP":                                                   "1",
		"query=ada+lov":                                               "0",
		"query=" + users[2]:                                           "2",
		"email_address_query=example.ORG":                             "2",
		"phone_number_query=0103":                                     "0",
		"username_query=AL":                                           "1",
		"name_query=a+l":                                              "02",
		"banned=true":                                                 "1",
		"banned=false":                                                "02",
		"created_at_after=" + day(2):                                  "12",
		"created_at_before=" + day(2):                                 "01",
		"created_at_after=" + day(2) + "&created_at_before=" + day(2): "1",
		fmt.Sprint("last_sign_in_at_before=", signedIn):               "2",
		fmt.Sprint("last_sign_in_at_after=", signedIn+1):              "0",
		fmt.Sprint("last_active_at_after=", signedIn):                 "0", // exact to the day
		fmt.Sprint("last_active_at_before=", signedIn):                "2",
		fmt.Sprint("last_active_at_since=", signedIn):                 "0",
		"provider=google":                                             "",
		"provider=google&provider_user_id=1":                          "",
		"banned=false&query=lovelace&email_address=b@example.com":     "0",
		"banned=true&query=lovelace":                                  "",
		"email_address=nobody@example.com":                            "",
	} {
		list := ids(c.list("/v1/users?order_by=created_at&" + query))
		got := ""
		for i, id := range users {
			if slices.Contains(list, id) {
				got += strconv.Itoa(i)
			}
		}
		if got != want || len(list) != len(want) {
			t.Errorf("%s: users %s, want %s", query, got, want)
		}
		if count := c.call("GET", "/v1/users/count?"+query, nil)["total_count"]; count != float64(len(want)) {
			t.Errorf("%s: counted %v, want %d", query, count, len(want))
		}
	}
}

func TestUserOrders(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{})
	users, _ := crowd(t, c)
	for order, want := range map[string][]int{
		"":              {2, 1, 0},
		"created_at":    {0, 1, 2},
		"updated_at":    {1, 2, 0},
		"email_address": {2, 0, 1}, "web3wallet": {2, 0, 1},
		"first_name": {0, 2, 1}, "last_name": {1, 2, 0},
		"phone_number": {1, 2, 0}, "username": {1, 2, 0},
		"last_active_at": {1, 2, 0}, "last_sign_in_at": {1, 2, 0},
	} {
		ordered := []string{users[want[0]], users[want[1]], users[want[2]]}
		prefixes := []string{"", "%2B", "+"} // a literal + arrives as a space
		if order == "" {
			prefixes = []string{""}
		}
		for _, prefix := range prefixes {
			if got := ids(c.list("/v1/users?order_by=" + prefix + order)); !slices.Equal(got, ordered) {
				t.Errorf("%s%s: %v, want %v", prefix, order, got, ordered)
			}
		}
		if order == "" {
			continue
		}
		slices.Reverse(ordered)
		if got := ids(c.list("/v1/users?order_by=-" + order)); !slices.Equal(got, ordered) {
			t.Errorf("-%s: %v, want %v", order, got, ordered)
		}
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{Users: 30})
	all := ids(c.list("/v1/users?limit=500"))
	if len(all) != 30 {
		t.Fatalf("%d users", len(all))
	}
	for query, want := range map[string][2]int{
		"":                   {0, 10},
		"limit=500":          {0, 30},
		"limit=501":          {0, 10}, // as seen at Clerk: no error
		"limit=99999":        {0, 10},
		"limit=7&offset=7":   {7, 14},
		"limit=7&offset=28":  {28, 30},
		"limit=1&offset=29":  {29, 30},
		"offset=30":          {30, 30},
		"limit=5&offset=999": {30, 30},
	} {
		if got := ids(c.list("/v1/users?" + query)); !slices.Equal(got, all[want[0]:want[1]]) {
			t.Errorf("%s: %d rows %v", query, len(got), got)
		}
	}
}

// A walk by cursor sees each user once, whatever goes or comes meanwhile.
func TestCursorWalk(t *testing.T) {
	t.Parallel()
	for _, order := range []string{"+created_at", "created_at", "-created_at", ""} {
		t.Run(order, func(t *testing.T) {
			t.Parallel()
			c := newClerk(t, emulator.Options{Users: 25})
			before := ids(c.list("/v1/users?limit=500&order_by=" + url.QueryEscape(order)))
			var seen []string
			for cursor := ""; ; cursor = seen[len(seen)-1] {
				query := url.Values{"limit": {"4"}, "order_by": {order}}
				if cursor != "" {
					query.Set("starting_after", cursor)
				}
				page := ids(c.list("/v1/users?" + query.Encode()))
				if seen = append(seen, page...); len(page) < 4 {
					break
				}
				c.call("DELETE", "/v1/users/"+seen[len(seen)-2], nil) // offsets would skip one now
				if strings.HasPrefix(order, "-") || order == "" {
					c.user(cursor + "x@example.com")
				}
			}
			if !slices.Equal(seen, before) {
				t.Errorf("saw %d, want %d", len(seen), len(before))
			}
		})
	}
}

// A cursor whose user is gone is an error, as one cannot tell where to go on; never the first page
// again.
func TestCursorOfADeletedUser(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{Users: 3})
	last := ids(c.list("/v1/users"))[1]
	c.call("DELETE", "/v1/users/"+last, nil)
	c.refused(http.StatusNotFound, "resource_not_found", "GET", "/v1/users?starting_after="+last, nil)
}

func TestMetadataMerge(t *testing.T) {
	t.Parallel()
	c := newClerk(t, emulator.Options{})
	ada := c.user("ada@example.com")
	org := c.organization("Acme", ada)
	for _, path := range []string{"/v1/users/" + ada, "/v1/organizations/" + org, "/v1/organizations/" + org + "/memberships/" + ada} {
		for i, step := range []struct{ method, patch, want string }{
			{"PATCH", `{"a":1,"deep":{"x":1,"y":{"z":1}},"list":[1,2]}`, `map[a:1 deep:map[x:1 y:map[z:1]] list:[1 2]]`},
			{"PATCH", `{"a":null,"deep":{"x":null,"y":{"w":2}},"list":[3]}`, `map[deep:map[y:map[w:2 z:1]] list:[3]]`},
			{"PATCH", `{"deep":5,"fresh":{"gone":null,"kept":[null]}}`, `map[deep:5 fresh:map[kept:[<nil>]] list:[3]]`},
			{"PATCH", `{}`, `map[deep:5 fresh:map[kept:[<nil>]] list:[3]]`},
			{"PUT", `{"only":{"this":true}}`, `map[only:map[this:true]]`},
			{"PUT", `{}`, `map[]`},
		} {
			if step.method == "PUT" && strings.Contains(path, "memberships") {
				continue // Clerk has none
			}
			got := c.call(step.method, path+"/metadata", `{"public_metadata":`+step.patch+`}`)
			if fmt.Sprint(got["public_metadata"]) != step.want || len(got["private_metadata"].(object)) != 0 {
				t.Errorf("%s, step %d: %v, want %s", path, i, got["public_metadata"], step.want)
			}
		}
	}
}
