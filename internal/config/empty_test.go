package config

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// openToEmpty are the settings whose empty file counts as unset, because unset opens nothing. A new
// setting is not one of them until it was thought about.
func openToEmpty() []string {
	return strings.Fields(`CLERK_WEBHOOK_SIGNING_SECRET CLERKSYNC_WEBHOOK_SCHEME CLERK_API_URL CLERKSYNC_LOG_LEVEL CLERKSYNC_LOG_FORMAT
		CLERKSYNC_DATABASE_WAIT CLERKSYNC_SQLITE_SYNCHRONOUS CLERKSYNC_SQLITE_CHECKPOINTS CLERKSYNC_SQLITE_MODE CLERKSYNC_SQLITE_GROUP
		CLERKSYNC_UPGRADE_COPIES CLERK_JWT_ALGORITHM CLERKSYNC_UPGRADE_URL CLERKSYNC_PLAN_FEATURES CLERKSYNC_BACKFILL CLERKSYNC_RECONCILE
		CLERKSYNC_API_BUDGET CLERKSYNC_API_LIMIT CLERKSYNC_PUBLIC_URL CLERKSYNC_CONSOLE_NAME CLERKSYNC_READ_DATABASE_URL`)
}

// D1: an empty file of a setting that restricts something is refused at start.
func TestEmptyFileOfARestriction(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, content := range []string{"", "\n", "\r\n\n"} {
		path := write(t, dir, "empty", content)
		yaml := func(name string) string {
			return write(t, dir, "c.yaml", strings.ToLower(name)+"_file: empty\n")
		}
		for _, v := range Settings() {
			if v.Name == configName {
				continue
			}
			open := slices.Contains(openToEmpty(), v.Name)
			for _, name := range v.names() {
				for source, o := range map[string]Options{
					"environment": {Environ: []string{name + "_FILE=" + path}},
					"file":        {Flags: map[string]string{configName: yaml(name)}},
				} {
					o.WorkingDir = dir
					_, warnings, err := Load(o)
					got := strings.Join(whats(err), "|")
					if refused := strings.HasPrefix(got, v.noun+" comes from an empty file ("); refused == open {
						t.Errorf("%s_FILE of %q by %s: %q, %v", name, content, source, got, warnings)
					}
				}
			}
		}
	}
}

func TestPolicyWithNothingInIt(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, c := range []struct{ content, want string }{
		{"", "policy comes from an empty file (CLERKSYNC_POLICY_FILE)"},
		{"\n", "policy comes from an empty file (CLERKSYNC_POLICY_FILE)"},
		{"  \n", "policy is empty (CLERKSYNC_POLICY_FILE)"},
		{"# nothing yet\n", "policy is empty (CLERKSYNC_POLICY_FILE)"},
		{"\ufeff", "policy comes from an empty file (CLERKSYNC_POLICY_FILE)"},
		{"---\n", "policy is empty (CLERKSYNC_POLICY_FILE)"},
		{"---\n...\n", "policy is empty (CLERKSYNC_POLICY_FILE)"},
		{"{}\n", "policy is empty (CLERKSYNC_POLICY_FILE)"},
		{"~\n", "policy is empty (CLERKSYNC_POLICY_FILE)"},
		{"routes:\n", "policy lists no routes (CLERKSYNC_POLICY_FILE)"},
		{"routes: []\n", "policy lists no routes (CLERKSYNC_POLICY_FILE)"},
		{"routes: {}\n", "policy lists no routes (CLERKSYNC_POLICY_FILE)"},
		{"\x00", "policy contains a control character or is not UTF-8 (CLERKSYNC_POLICY_FILE)"},
	} {
		write(t, dir, "policy.yaml", c.content)
		config, _, err := Load(Options{WorkingDir: dir, Environ: []string{"CLERKSYNC_POLICY_FILE=policy.yaml"}})
		if config != nil || !slices.Equal(whats(err), []string{c.want}) {
			t.Errorf("%q: %v, want %s", c.content, whats(err), c.want)
		}
	}
	for _, o := range []Options{
		{Environ: []string{"CLERKSYNC_POLICY="}},
		{Environ: []string{"CLERKSYNC_POLICY_FILE="}},
		{Flags: map[string]string{configName: write(t, dir, "a.yaml", "clerksync_policy: ''\n")}},
		{Flags: map[string]string{configName: write(t, dir, "b.yaml", "clerksync_policy:\n")}},
		{Flags: map[string]string{configName: write(t, dir, "c.yaml", "clerksync_policy: |\n  \n")}},
	} {
		config, _, err := Load(o)
		if config != nil || len(whats(err)) != 1 || !strings.HasPrefix(whats(err)[0], "policy ") {
			t.Errorf("%v: %v", o, whats(err))
		}
	}
	// one source that says something is enough, as for every setting
	c, warnings, err := Load(Options{
		Flags:   map[string]string{configName: write(t, dir, "d.yaml", "clerksync_policy: 'routes: [{path: /x}]'\nclerksync_trusted_proxies: 127.0.0.1\n")},
		Environ: []string{"CLERKSYNC_POLICY="},
	})
	if err != nil || len(warnings) > 0 || c.Routes == nil {
		t.Errorf("a policy in the file beside an empty variable: %v %v", warnings, err)
	}
}

// A configuration file that was emptied has lost all restrictions at once.
func TestEmptyConfigurationFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	empty := "configuration file is empty (" + filepath.Join(dir, "c.yaml") + ")"
	for content, want := range map[string]string{"": empty, "\n \n": empty, "# all defaults\n": ""} {
		_, _, err := Load(Options{Flags: map[string]string{configName: write(t, dir, "c.yaml", content)}})
		if got := strings.Join(whats(err), "|"); got != want {
			t.Errorf("%q: %q, want %q", content, got, want)
		}
	}
}

// An empty text of a restriction counts as unset, and is warned of.
func TestEmptyTextOfARestriction(t *testing.T) {
	t.Parallel()
	for _, v := range Settings() {
		for _, name := range v.names() {
			if v.Name == policyName {
				continue
			}
			c, warnings, err := load(t, name+"=")
			if err != nil {
				t.Fatal(err)
			}
			var got, want []string
			for _, w := range warnings {
				got = append(got, w.What+" ("+w.Name+")")
			}
			if v.Name != configName && name != portName && !slices.Contains(openToEmpty(), v.Name) {
				want = []string{v.noun + " is set and empty (" + name + ")"}
			}
			if diff := cmp.Diff(want, got); diff != "" || c.Sources[v.Name].Source != fromDefault {
				t.Errorf("%s from %q (-want +got)\n%s", name, c.Sources[v.Name], diff)
			}
		}
	}
}
