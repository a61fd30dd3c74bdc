package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/clerksync/clerksync/forwardauth"
	"github.com/clerksync/clerksync/internal/testenv"
)

func TestPolicyIsBuilt(t *testing.T) {
	t.Parallel()
	c, warnings, err := load(t, "CLERKSYNC_TRUSTED_PROXIES=127.0.0.1", `CLERKSYNC_POLICY=# all of it
routes:
  - path: /public/**
    public: true
  - {path: "/reports/**", methods: [GET], require: {min_role: growth, reverified: {level: first_factor, after_minutes: 10}}}
  - path: /on # no boolean
    require:
      any: [{role: "yes"}, {role: off}, {permission: 'org:a:b'}]
      not_impersonated: true
`, "CLERKSYNC_ROLES=off,growth,yes")
	if err != nil || len(warnings) > 0 {
		t.Fatal(err, warnings)
	}
	var rules []string
	for _, r := range c.Routes.Routes() {
		text := r.Path
		if r.Rule != nil {
			text += " " + r.Rule.String()
		}
		rules = append(rules, text)
	}
	want := []string{
		"/public/**", `/reports/** All(MinRole("growth"), Reverified("first_factor, 10 minutes"))`,
		`/on All(Any(Role("yes"), Role("off"), Permission("org:a:b")), NotImpersonated())`,
	}
	if diff := cmp.Diff(want, rules); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestRoutesOfMachinesAreWarnedOf(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		require string
		more    []string
		want    []string
	}{
		"sessions": {"min_role: growth", nil, nil},
		"keys":     {"accept: [session, api_key], scope: a", nil, nil},
		"any": {
			"accept: [session, api_key, oauth, m2m]",
			[]string{"CLERKSYNC_OAUTH_RESOURCES=https://a.example", "CLERKSYNC_MACHINE_ID=mch_1"},
			[]string{"policy route 1 (/x) accepts every kind of token"},
		},
		"no resource":          {"accept: oauth", nil, []string{"policy route 1 (/x) accepts OAuth access tokens for any resource"}},
		"no machines":          {"accept: m2m, machine: mch_1", nil, []string{"policy route 1 (/x) accepts M2M tokens, and no machine may call"}},
		"machines are listed":  {"accept: m2m", []string{"CLERKSYNC_MACHINE_CALLERS=mch_1"}, nil},
		"the resource is ours": {"accept: oauth", []string{"CLERKSYNC_OAUTH_RESOURCES=https://a.example"}, nil},
	} {
		_, warnings, err := load(t, append(test.more, "CLERKSYNC_TRUSTED_PROXIES=127.0.0.1", "CLERKSYNC_POLICY=routes: [{path: /x, require: {"+test.require+"}}]")...)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var got []string
		for _, w := range warnings {
			got = append(got, w.What)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
	}
}

// Faults of a policy are reported at start, all at once and with the faults of other settings.
func TestPolicyFaultsAtStart(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ policy, want string }{
		"not ours":       {"a: b", "policy does not have exactly the key routes"},
		"two faults":     {"routes: [{path: x}, {path: /a/}]", "policy route 1: path does not begin with a slash|policy route 2: path ends in a slash"},
		"not the ladder": {"routes: [{path: /x, require: {min_role: grwth}}]", "policy route 1: require.min_role is not in the ladder of roles"},
		"a key twice":    {"routes:\n- path: /x\n  path: /y\n", "policy has a key on line 3 that is also on line 2"},
		"an anchor":      {"routes: &a [{path: /x}]", "policy has an anchor, alias or tag on line 1"},
		"an alias":       {"routes:\n- &a {path: /x}\n- *a\n", "policy has an anchor, alias or tag on line 2"},
		"a merge":        {"routes:\n- path: /x\n  <<: {public: true}\n", "policy has a key that is not text on line 3"},
		"a tag":          {"routes: [{path: !!str /x}]", "policy has an anchor, alias or tag on line 1"},
		"a number":       {"routes: [{path: /x, require: {reverified: {level: first_factor, after_minutes: 0x10}}}]", "policy has a number in an unusual form on line 1"},
		"a float":        {"routes: [{path: /x, require: {role: 1.5}}]", "policy has a value of the wrong kind on line 1"},
		"a date":         {"routes: [{path: /x, require: {role: 2026-01-01}}]", "policy has a value of the wrong kind on line 1"},
		"a number key":   {"routes: [{path: /x, 1: 2}]", "policy has a key that is not text on line 1"},
		"a list key":     {"routes: [{path: /x, [a]: 2}]", "policy has a key that is not text on line 1"},
		"nothing":        {"routes:", "policy lists no routes"},
		"depth":          {"routes: " + strings.Repeat("[", 60) + strings.Repeat("]", 60), "policy is nested too deeply on line 1"},
		"a bomb":         {"a: &a [x,x]\nb: &b [*a,*a]\nroutes: [*b,*b]", "policy has an anchor, alias or tag on line 1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config, _, err := load(t, "CLERKSYNC_POLICY="+c.policy, "CLERKSYNC_LOG_FORMAT=xml")
			if config != nil {
				t.Fatal("accepted")
			}
			want := []string{"log format is not one of json, text (CLERKSYNC_LOG_FORMAT)"}
			for what := range strings.SplitSeq(c.want, "|") {
				want = append(want, what+" (CLERKSYNC_POLICY)")
			}
			if diff := cmp.Diff(want, whats(err)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestIdentitySecretIsItsOwn(t *testing.T) {
	t.Parallel()
	for _, other := range []string{"CLERK_SECRET_KEY=", "CLERKSYNC_OPERATOR_TOKEN=", "CLERK_JWT_ALGORITHM=HS256\nCLERK_JWT_KEY="} {
		environ := append(strings.Split(other+longText, "\n"), "CLERKSYNC_IDENTITY_SECRET="+longText)
		_, _, err := load(t, environ...)
		want := []string{"identity secret is the same as another secret (CLERKSYNC_IDENTITY_SECRET)"}
		if diff := cmp.Diff(want, whats(err)); diff != "" {
			t.Errorf("%s (-want +got)\n%s", other, diff)
		}
	}
	_, warnings, err := load(t, "CLERKSYNC_IDENTITY_SECRET="+longText)
	if err != nil || len(warnings) != 1 || warnings[0].What != "forward auth is configured, and no proxy is trusted" {
		t.Errorf("%v, %v", warnings, err)
	}
}

// The examples are what they seem: a policy that is valid, and recipes that name every identity
// header.
func TestExamples(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(testenv.Root(t), "examples")
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	if policy, err := buildPolicy(read("nginx/policy.yaml")); err != nil || len(policy.Routes()) == 0 {
		t.Error(policy, err)
	}
	for _, name := range []string{"nginx/nginx.conf", "caddy/Caddyfile", "traefik/dynamic.yaml", "envoy/envoy.yaml", "ingress-nginx/ingress.yaml"} {
		text := read(name)
		var document map[string]any
		if err := yaml.Unmarshal([]byte(text), &document); strings.HasSuffix(name, ".yaml") && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, header := range forwardauth.Headers() {
			if n := strings.Count(strings.ToLower(text), strings.ToLower(header)); n < 1 {
				t.Errorf("%s does not name %s", name, header)
			}
		}
	}
}
