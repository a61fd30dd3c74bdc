package forwardauth_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/forwardauth"
)

// faults returns the texts of all mistakes that an error joins, each with a remedy.
func faults(t *testing.T, err error) []string {
	t.Helper()
	if err == nil {
		return nil
	}
	errs := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		errs = joined.Unwrap()
	}
	var texts []string
	for _, err := range errs {
		fault, ok := errors.AsType[*forwardauth.PolicyError](err)
		if !ok || fault.Remedy == "" {
			t.Errorf("%v is no fault with a remedy", err)
			continue
		}
		texts = append(texts, fault.Error())
	}
	return texts
}

func TestPolicyMistakes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		``:                                                               "is not valid JSON",
		`[]`:                                                             "does not have exactly the key routes",
		`{}`:                                                             "does not have exactly the key routes",
		`{"Routes":[]}`:                                                  "does not have exactly the key routes",
		`{"routes":[{"path":"/a"}],"x":1}`:                               "does not have exactly the key routes",
		`{"routes":[{"path":"/a"}],"routes":[]}`:                         "has a key twice, routes",
		`{"routes":[{"path":"/a","path":"/b"}]}`:                         "has a key twice, path",
		`{"routes":[]}`:                                                  "lists no routes",
		`{"routes":{}}`:                                                  "lists no routes",
		`{"routes":[1]}`:                                                 "route 1: is a number, not a mapping",
		`{"routes":[{}]}`:                                                "route 1: has no path",
		`{"routes":[{"path":1}]}`:                                        "route 1: path is a number, not text",
		`{"routes":[{"path":"a"}]}`:                                      "route 1: path does not begin with a slash",
		`{"routes":[{"path":""}]}`:                                       "route 1: path does not begin with a slash",
		`{"routes":[{"path":"/a/"}]}`:                                    "route 1: path ends in a slash",
		`{"routes":[{"path":"/a//b"}]}`:                                  "route 1: path has an empty segment",
		`{"routes":[{"path":"/a/**/b"}]}`:                                "route 1: path has ** before its end",
		`{"routes":[{"path":"/a/*.css"}]}`:                               "route 1: path has a * within a segment",
		`{"routes":[{"path":"/a/b***"}]}`:                                "route 1: path has a * within a segment",
		`{"routes":[{"path":"/a/.."}]}`:                                  "route 1: path has a segment that ends in a full stop",
		`{"routes":[{"path":"/a."}]}`:                                    "route 1: path has a segment that ends in a full stop",
		`{"routes":[{"path":"/a b"}]}`:                                   "route 1: path has a character that no literal may hold",
		`{"routes":[{"path":"/%61"}]}`:                                   "route 1: path has a character that no literal may hold",
		`{"routes":[{"path":"/a?b"}]}`:                                   "route 1: path has a character that no literal may hold",
		`{"routes":[{"path":"/a;b"}]}`:                                   "route 1: path has a character that no literal may hold",
		`{"routes":[{"path":"/a\\b"}]}`:                                  "route 1: path has a character that no literal may hold",
		`{"routes":[{"path":"/é"}]}`:                                     "route 1: path has a character that no literal may hold",
		`{"routes":[{"path":"/a","methods":[]}]}`:                        "route 1: methods is not a list, or is empty",
		`{"routes":[{"path":"/a","methods":"GET"}]}`:                     "route 1: methods is not a list, or is empty",
		`{"routes":[{"path":"/a","methods":["get"]}]}`:                   "route 1: methods contains something that is not a method",
		`{"routes":[{"path":"/a","methods":["*"]}]}`:                     "route 1: methods contains something that is not a method",
		`{"routes":[{"path":"/a","methods":["GET","GET"]}]}`:             "route 1: methods contains a method twice",
		`{"routes":[{"path":"/a","public":false}]}`:                      "route 1: public is not true",
		`{"routes":[{"path":"/a","public":"true"}]}`:                     "route 1: public is not true",
		`{"routes":[{"path":"/a","deny":null}]}`:                         "route 1: deny is not true",
		`{"routes":[{"path":"/a","public":true,"deny":true}]}`:           "route 1: has public and deny",
		`{"routes":[{"path":"/a","Public":true}]}`:                       "route 1: has an unknown key, Public",
		`{"routes":[{"path":"/a","pubic":true}]}`:                        "route 1: has an unknown key, pubic",
		`{"routes":[{"path":"/a"},{"path":"/a"}]}`:                       "route 2: has the path of route 1, and neither lists methods",
		`{"routes":[{"path":"/a"},{"path":"/A"}]}`:                       "route 2: has the path of route 1 in another case",
		`{"routes":[{"path":"/a/*"},{"path":"/*/b"}]}`:                   "route 2: shares some paths with route 1, and neither is the more specific one",
		`{"routes":[{"path":"/a/*/c"},{"path":"/*/b/**"}]}`:              "route 2: shares some paths with route 1, and neither is the more specific one",
		`{"routes":[{"path":"/a/**"},{"path":"/a"},{"path":"/a/*/**"}]}`: "route 1: cannot be reached: more specific routes take all its paths",
		`{"routes":[{"path":"/**"},{"path":"/"},{"path":"/*"},{"path":"/*/*/**"}]}`:                               "route 1: cannot be reached: more specific routes take all its paths",
		`{"routes":[{"path":"/a"},{"path":"/a","methods":["GET","POST","PUT","PATCH","DELETE"]}]}`:                "route 1: cannot be reached: other routes of its path list all its methods",
		`{"routes":[{"path":"/a","methods":["GET","PUT"]},{"path":"/b"},{"path":"/a","methods":["PUT","POST"]}]}`: "route 3: has the path of route 1 and a method of it, PUT",
		`{"routes":[{"path":"/a","public":true,"require":{"role":"x"}}]}`:                                         "route 1: has public and require",
	} {
		_, err := forwardauth.ParsePolicy([]byte(text))
		if diff := cmp.Diff([]string{want}, faults(t, err)); diff != "" {
			t.Errorf("%s (-want +got)\n%s", text, diff)
		}
	}
	for name, text := range map[string]string{
		"too deep":   strings.Repeat(`[`, 100) + strings.Repeat(`]`, 100),
		"too large":  `{"routes":[` + strings.Repeat(" ", 1<<20) + `]}`,
		"not UTF-8":  "{\"routes\":[{\"path\":\"/\xff\"}]}",
		"two values": `{"routes":[{"path":"/a"}]} {}`,
		"too many":   `{"routes":[` + strings.Repeat(`{"path":"/a"},`, 1001) + `{"path":"/b"}]}`,
	} {
		if _, err := forwardauth.ParsePolicy([]byte(text)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// All mistakes are reported at once.
func TestPolicyMistakesAreReportedTogether(t *testing.T) {
	t.Parallel()
	_, err := forwardauth.ParsePolicy([]byte(`{"routes": [
		{"path": "/a/", "methods": ["get"], "require": {"minrole": "x", "role": "", "any": []}},
		{"require": {}},
		{"path": "/ok"},
		{"path": "/ok"}
	]}`))
	want := []string{
		"route 1: path ends in a slash",
		"route 1: methods contains something that is not a method",
		"route 1: require has an unknown key, minrole",
		"route 1: require.role can never allow: the name is empty",
		"route 1: require.any is not a list of rules, or is empty",
		"route 2: require is empty",
		"route 2: has no path",
		"route 4: has the path of route 3, and neither lists methods",
	}
	if diff := cmp.Diff(want, faults(t, err)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestRules(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"role":"admin"}`:                  `Role("admin")`,
		`{"min_role":"growth"}`:             `MinRole("growth")`,
		`{"org_role":"org:admin"}`:          `OrgRole("org:admin")`,
		`{"permission":"org:reports:read"}`: `Permission("org:reports:read")`,
		`{"feature":"user:reports"}`:        `Feature("user:reports")`,
		`{"plan":"pro"}`:                    `Plan("pro")`,
		`{"not_impersonated":true}`:         `NotImpersonated()`,
		`{"reverified":"strict"}`:           auth.Reverified(auth.Strict()).String(),
		`{"reverified":{"level":"first_factor","after_minutes":5}}`: auth.Reverified(
			auth.ReverificationPolicy{Level: auth.FirstFactor, AfterMinutes: 5}).String(),
		`{"accept":["api_key","m2m"],"scope":"deals:read"}`:                             `All(Accept(api_key, m2m), Scope("deals:read"))`,
		`{"accept":"m2m","machine":["mch_1","mch_2"],"scope":["a","b"]}`:                `All(Accept(m2m), Machine("mch_1", "mch_2"), Scope("a", "b"))`,
		`{"accept":["session","api_key"],"any":[{"accept":["session"]},{"scope":"a"}]}`: `All(Accept(session, api_key), Any(Accept(session), Scope("a")))`,
		`{"role":"a","min_role":"b"}`:                                                   `All(Role("a"), MinRole("b"))`,
		`{"min_role":"b","role":"a"}`:                                                   `All(MinRole("b"), Role("a"))`,
		`{"any":[{"role":"a"},{"plan":"p","feature":"f"}]}`:                             `Any(Role("a"), All(Plan("p"), Feature("f")))`,
		`{"all":[{"role":"a"},{"any":[{"role":"b"}]}],"plan":"p"}`:                      `All(All(Role("a"), Any(Role("b"))), Plan("p"))`,
	} {
		rule, err := forwardauth.ParseRule([]byte(text))
		if err != nil || rule.String() != want {
			t.Errorf("%s: %v, %v", text, rule, err)
		}
	}
	for text, want := range map[string]string{
		`1`:                          "rule is a number, not a mapping",
		`{}`:                         "rule is empty",
		`nonsense`:                   "is not valid JSON",
		`{"rôle":"a"}`:               "rule has an unknown key",
		`{"role":["a"]}`:             "role is a list, not text",
		`{"plan":2024}`:              "plan is a number, not text",
		`{"plan":true}`:              "plan is true or false, not text",
		`{"role":" a"}`:              "role has white space around it or a control character",
		`{"role":""}`:                "role can never allow: the name is empty",
		`{"permission":"org:"}`:      "permission can never allow: the name is empty",
		`{"feature":"team:x"}`:       `feature can never allow: want "slug", "org:slug" or "user:slug"`,
		`{"not_impersonated":false}`: "not_impersonated is not true",
		`{"reverified":"very"}`:      "reverified names no preset",
		`{"reverified":true}`:        "reverified is true or false",
		`{"reverified":{"level":"first_factor"}}`:                   "reverified lacks level or after_minutes",
		`{"reverified":{"level":"x","after_minutes":1}}`:            "reverified has an unknown key or value, level",
		`{"reverified":{"level":"first_factor","after_minutes":0}}`: "reverified has an unknown key or value, after_minutes",
		`{"accept":[]}`:        "accept is empty",
		`{"accept":["any"]}`:   "accept names no kind of token",
		`{"accept":[1]}`:       "accept holds a number, not text",
		`{"accept":true}`:      "accept holds true or false, not text",
		`{"scope":""}`:         "scope can never allow: a scope is empty, or has a character that no scope has",
		`{"scope":["a",null]}`: "scope holds null, not text",
		`{"machine":"user_1"}`: `machine can never allow: "user_1" is not the id of a machine (mch_…)`,
		`{"scope":"a"}`:        "rule can never allow: it accepts tokens of the kind session, none of which can meet it: name others in Accept",
		`{"accept":["api_key","session"],"machine":"mch_1"}`: "rule can never allow: it accepts tokens of the kind session, api_key, none of which can meet it: name others in Accept",
		`{"any":[{"accept":["m2m"]}]}`:                       "rule can never allow: Accept within Any names m2m, which the route does not accept: name it in an Accept at the top, too",
		`{"all":[{"accept":["m2m"]},{"accept":["oauth"]}]}`:  "rule can never allow: its rules Accept have no kind of token in common",
		`{"any":[]}`:                  "any is not a list of rules, or is empty",
		`{"any":[{}]}`:                "any[1] is empty",
		`{"all":[{"role":"a"},null]}`: "all[2] is null, not a mapping",
		`{"any":[{"all":[{"x":1}]}]}`: "any[1].all[1] has an unknown key, x",
		`{"role":"a","role":"b"}`:     "has a key twice, role",
	} {
		_, err := forwardauth.ParseRule([]byte(text))
		if diff := cmp.Diff([]string{want}, faults(t, err)); diff != "" {
			t.Errorf("%s (-want +got)\n%s", text, diff)
		}
	}
}

func TestPolicyRolesAreOnTheLadder(t *testing.T) {
	t.Parallel()
	p := parsePolicy(t, `{"routes":[
		{"path":"/a","require":{"role":"owner","any":[{"min_role":"grwth"},{"min_role":"growth"}]}},
		{"path":"/b","require":{"org_role":"whatever"}}]}`)
	want := []string{"route 1: require.role is not in the ladder of roles", "route 1: require.any[1].min_role is not in the ladder of roles"}
	if diff := cmp.Diff(want, faults(t, p.CheckRoles([]string{"solo", "growth"}))); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if err := p.CheckRoles([]string{"grwth", "growth", "owner"}); err != nil {
		t.Error(err)
	}
}

// The most specific path decides, in whatever order the routes are, and a method that it lacks is
// refused.
func TestPolicyMatch(t *testing.T) {
	t.Parallel()
	routes := []string{
		`{"path":"/**"}`,
		`{"path":"/a/**","methods":["GET","POST"]}`,
		`{"path":"/a/**","methods":["DELETE"]}`,
		`{"path":"/a/*/c","methods":["GET"]}`,
		`{"path":"/a/*/c"}`,
		`{"path":"/a/b/c","methods":["HEAD","OPTIONS"]}`,
		`{"path":"/x/*"}`,
		`{"path":"/","public":true}`,
	}
	cases := map[string]string{
		"GET /":          "/",
		"GET /other":     "/**",
		"OPTIONS /other": "no_route",
		"GET /a":         "/a/** GET POST",
		"HEAD /a/b":      "/a/** GET POST",
		"DELETE /a/b":    "/a/** DELETE",
		"PUT /a/b":       "no_route", // and not /**
		"GET /a/z/c":     "/a/*/c GET",
		"HEAD /a/z/c":    "/a/*/c GET",
		"PUT /a/z/c":     "/a/*/c",
		"OPTIONS /a/z/c": "no_route",
		"HEAD /a/b/c":    "/a/b/c HEAD OPTIONS",
		"OPTIONS /a/b/c": "/a/b/c HEAD OPTIONS",
		"GET /a/b/c":     "no_route",
		"GET /x/1":       "/x/*",
		"GET /x":         "/**",
		"GET /x/1/2":     "/**",
		"get /x/1":       "no_route",
		"TRACE /x/1":     "no_route",
		" /x/1":          "no_route",
		"GET,POST /x/1":  "no_route",
	}
	for turn := range routes {
		order := slices.Concat(routes[turn:], routes[:turn])
		if turn%2 == 1 {
			slices.Reverse(order)
		}
		p := parsePolicy(t, `{"routes":[`+strings.Join(order, ",")+`]}`)
		for request, want := range cases {
			method, target, _ := strings.Cut(request, " ")
			got := "no_route"
			if r, err := p.Match(method, target); err == nil {
				got = strings.TrimSpace(r.Path + " " + strings.Join(r.Methods, " "))
			}
			if got != want {
				t.Errorf("%s: %q, want %q", request, got, want)
			}
		}
		if n := len(p.Routes()); n != len(routes) {
			t.Errorf("%d routes", n)
		}
	}
}

// FuzzPolicy checks that no text causes a panic, and that an accepted policy decides about each of
// its paths.
func FuzzPolicy(f *testing.F) {
	f.Add([]byte(sitePolicy), "GET", "/admin/x")
	f.Add([]byte(pathsPolicy), "POST", "/users/7")
	f.Add([]byte(`{"routes":[{"path":"/**","require":{"any":[{"reverified":"lax"}]}}]}`), "HEAD", "/")
	f.Fuzz(func(t *testing.T, text []byte, method, target string) {
		p, err := forwardauth.ParsePolicy(text)
		if err != nil {
			faults(t, err)
			return
		}
		if r, err := p.Match(method, target); (err == nil) != (r != nil) {
			t.Errorf("%v, %v", r, err)
		}
		for _, r := range p.Routes() {
			if r.Rule != nil && (auth.Validate(r.Rule) != nil || r.Rule.Check(&auth.Subject{}).Allowed) {
				t.Errorf("route %d lets nobody in by %s", r.Number, r.Rule)
			}
			for _, method := range append([]string{"GET"}, r.Methods...) {
				target := strings.NewReplacer("/**", "/some/thing", "*", "thing").Replace(r.Path)
				if found, err := p.Match(method, target); err == nil && found.Deny && found.Public {
					t.Error(fmt.Sprint(found))
				}
			}
		}
	})
}
