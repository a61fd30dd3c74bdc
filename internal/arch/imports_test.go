package arch

import (
	"slices"
	"testing"
)

const (
	otel     = "go.opentelemetry.io/otel" // the API; the SDK is another module
	chromedp = "github.com/chromedp/chromedp"
	cmp      = "github.com/google/go-cmp"
	goJose   = "github.com/go-jose/go-jose/v4"
	pgx      = "github.com/jackc/pgx/v5"
	kong     = "github.com/alecthomas/kong"
	yaml     = "go.yaml.in/yaml/v3"
	modernc  = "modernc.org/sqlite"
	xterm    = "golang.org/x/term"
	xrate    = "golang.org/x/time"
	xsync    = "golang.org/x/sync"
	bigmod   = "filippo.io/bigmod" // the arithmetic of crypto/rsa
)

// rule is what the packages of a pattern may import outside of their tests, beside the standard
// library.
type rule struct {
	pattern string
	own     []string // patterns of our packages
	modules []string // of others, imported directly
}

// rules is docs/ARCHITECTURE.md, "Imports", as a table; the first match counts.
func rules() []rule {
	api := []string{otel, otel + "/metric", otel + "/trace"}
	public := []string{
		".", "api", "auth", "clerk", "clerktest", "console", "emulator", "forwardauth", "mirror", "postgres", "publish/...", "sqlite", "webhook",
	}
	return []rule{
		{"cmd/clerksync", []string{"internal/cli"}, nil},
		{"internal/cli", append(public, "internal/wait", "internal/access", "internal/apiclient", "internal/buildinfo", "internal/config", "internal/demo", "internal/emulator", "internal/emulator/inspector", "internal/doctor", "internal/systemd", "internal/telemetry", "internal/viewreader", "internal/web"), append(api, kong, xterm)},
		{"internal/config", []string{"auth", "forwardauth", "internal/doctor", "internal/nearest", "internal/web", "webhook"}, []string{yaml}},
		{"internal/apiclient", []string{"auth", "clerk", "mirror"}, nil},
		{"api", []string{".", "auth", "clerk", "mirror", "internal/access", "internal/buildinfo", "internal/feedhttp", "internal/mcp", "internal/web", "publish/webhook"}, append(api, xrate)},
		{"console", []string{".", "auth", "clerk", "mirror", "internal/pages", "internal/web", "publish/webhook"}, api},
		{"api", []string{".", "auth", "clerk", "mirror", "internal/access", "internal/feedhttp", "internal/mcp", "internal/web"}, append(api, xrate)},
		{"forwardauth", []string{".", "auth", "internal/web"}, api},
		{"publish/nats", []string{".", "clerk", "internal/metrics", "internal/wait", "mirror"}, append(api, "github.com/nats-io/nats.go", "github.com/nats-io/nkeys")},
		{"publish/webhook", []string{
			".", "clerk", "internal/driver", "internal/group", "internal/holder", "internal/incident", "internal/metrics", "internal/store", "internal/wait", "mirror", "webhook",
		}, api},
		{"clerktest", []string{".", "auth", "clerk", "internal/emulator", "internal/viewreader", "mirror", "webhook"}, nil},
		{"emulator", []string{".", "internal/emulator", "internal/emulator/inspector", "internal/web"}, nil},
		{".", []string{
			"auth", "clerk", "mirror", "webhook", "internal/access", "internal/activity", "internal/buildinfo", "internal/clerkapi", "internal/consumer", "internal/diagnose", "internal/doctor", "internal/driver",
			"internal/feed", "internal/feedhttp", "internal/incident", "internal/ingest", "internal/instance", "internal/jobs", "internal/live", "internal/machine", "internal/metrics", "internal/privacy",
			"internal/reach", "internal/receive", "internal/reconcile", "internal/refusals", "internal/row", "internal/schedule", "internal/status", "internal/store", "internal/upkeep",
			"internal/web", "internal/write",
		}, api},
		{"sqlite", []string{"internal/driver", "internal/driver/sqlite", "mirror"}, nil},
		{"postgres", []string{"internal/driver", "internal/driver/postgres", "mirror"}, []string{pgx}}, // FromPool takes pgx's type
		{"internal/driver", []string{"internal/store", "mirror"}, nil},
		{"internal/driver/sqlite", []string{"internal/store", "mirror"}, []string{modernc}},
		{"internal/driver/postgres", []string{"internal/store"}, []string{pgx}},
		{"internal/consumer", []string{"clerk", "internal/holder", "internal/incident", "internal/row", "internal/store", "internal/wait", "mirror"}, nil},
		{"bench/limit", []string{"internal/web"}, nil},
		{"bench/scale", []string{".", "auth", "mirror", "postgres", "sqlite", "webhook"}, nil},
		{"internal/activity", []string{"clerk", "internal/holder", "internal/store", "mirror"}, nil},
		{"internal/jobs", []string{"clerk", "internal/holder", "internal/store", "internal/wait", "mirror"}, nil},
		{"internal/row", []string{"clerk"}, nil},
		{"internal/converge", []string{"clerk", "internal/row"}, nil},
		{"internal/privacy", []string{"clerk", "internal/converge", "internal/row", "internal/store", "mirror"}, nil},
		{"internal/ingest", []string{"clerk", "internal/converge", "internal/group", "internal/incident", "internal/privacy", "internal/row", "internal/store", "mirror"}, api},
		{"internal/access", []string{
			"auth", "clerk", "internal/clerkapi", "internal/group", "internal/incident", "internal/ingest", "internal/instance", "internal/live", "internal/machine",
			"internal/metrics", "internal/nearest", "internal/reconcile", "internal/row", "internal/store", "internal/web", "mirror",
		}, nil},
		{"internal/machine", []string{"auth", "clerk", "internal/clerkapi", "internal/incident", "internal/metrics", "internal/store"}, []string{xrate, xsync}},
		{"internal/write", []string{
			"auth", "clerk", "internal/clerkapi", "internal/ingest", "internal/machine", "internal/privacy", "internal/row", "internal/store", "internal/wait", "mirror",
		}, nil},
		{"internal/instance", []string{"auth", "internal/clerkapi", "internal/metrics", "internal/reach", "internal/reconcile", "internal/store"}, nil},
		{"internal/reach", nil, nil},
		{"internal/feed", []string{"clerk", "internal/row", "internal/store", "mirror"}, nil},
		{"internal/live", []string{"auth", "clerk", "internal/row", "internal/schedule", "internal/store", "mirror"}, api},
		{"internal/status", []string{
			"clerk", "internal/clerkapi", "internal/converge", "internal/holder", "internal/instance", "internal/live", "internal/metrics", "internal/reach", "internal/reconcile",
			"internal/refusals", "internal/schedule", "internal/store", "mirror",
		}, nil},
		{"internal/upkeep", []string{
			"clerk", "internal/holder", "internal/ingest", "internal/privacy", "internal/reconcile", "internal/schedule", "internal/status", "internal/store", "mirror",
		}, nil},
		{"internal/receive", []string{"clerk", "internal/incident", "internal/ingest", "internal/metrics", "internal/refusals", "internal/web", "mirror", "webhook"}, api},
		{"internal/refusals", []string{"clerk", "internal/store"}, nil},
		{"internal/diagnose", []string{
			"auth", "internal/clerkapi", "internal/doctor", "internal/instance", "internal/reach", "internal/reconcile", "internal/status", "internal/store", "mirror",
		}, nil},
		{"internal/viewreader", []string{".", "clerk", "internal/emulator", "mirror"}, nil},
		{"internal/schedule", []string{"clerk", "internal/store"}, nil},
		{"internal/holder", nil, nil},
		{"internal/reconcile", []string{"clerk", "internal/clerkapi", "internal/converge", "internal/holder", "internal/ingest", "internal/row", "internal/store", "internal/wait", "mirror"}, api},
		{"internal/clerkapi", []string{"clerk", "internal/reach", "internal/row", "internal/wait"}, api},
		{"internal/store", []string{"clerk", "internal/row", "mirror"}, api},
		{"internal/store/storetest", []string{"clerk", "internal/row", "internal/store", "internal/testenv", "mirror"}, []string{cmp}},
		{"internal/emulator/inspector", []string{"internal/emulator", "internal/pages"}, nil},
		{"internal/emulator", []string{"clerk", "internal/nearest", "internal/web", "internal/yamlfile", "webhook"}, []string{goJose}},
		{"internal/emulator/judges", nil, nil},
		{"internal/yamlfile", []string{"internal/nearest"}, []string{yaml}},
		{"internal/telemetry", []string{"internal/buildinfo"}, append(api, otel+"/sdk/...", otel+"/exporters/...", "github.com/prometheus/...")},
		{"internal/feedhttp", []string{"internal/web", "mirror"}, nil},
		{"internal/systemd", []string{"internal/incident", "internal/wait"}, nil},
		{"internal/mcp", []string{"internal/web"}, nil},
		{"internal/metrics", nil, api},
		{"internal/incident", nil, nil},
		{"internal/group", nil, nil},
		{"internal/wait", nil, nil},
		{"internal/web", []string{"internal/incident"}, api},
		{"internal/pages", nil, nil},
		{"internal/demo", []string{"internal/pages", "internal/web"}, nil},
		{"internal/testenv", nil, []string{cmp, pgx}},
		{"internal/browsertest", nil, []string{chromedp, "github.com/chromedp/cdproto"}},
		{"internal/testkit", []string{
			"clerk", "internal/clerkapi", "internal/emulator", "internal/ingest", "internal/reconcile", "internal/row", "internal/store", "internal/testenv",
			"internal/driver/postgres", "internal/driver/sqlite", "internal/viewreader", "mirror", "webhook",
		}, nil},
		{"internal/doctor", []string{"mirror"}, nil},
		{"internal/nearest", nil, nil},
		{"internal/buildinfo", nil, nil},
		{"packaging", nil, nil}, // only tests
		{"internal/arch", nil, nil},
		{"internal/docs", nil, nil},
		{"auth", nil, []string{bigmod}},
		{"clerk", nil, nil},
		{"mirror", []string{"clerk"}, nil},
		{"webhook", nil, nil},
		{"examples/metrics", []string{"."}, []string{otel + "/sdk/metric", otel + "/exporters/prometheus", "github.com/prometheus/client_golang"}},
		{"examples/mcp", public, []string{"github.com/modelcontextprotocol/go-sdk"}},
		{"examples/...", append(public, "examples/sqlc/deals"), []string{pgx}},
	}
}

func ruleFor(name string) (rule, bool) {
	table := rules()
	if i := slices.IndexFunc(table, func(r rule) bool { return matches(r.pattern, name) }); i >= 0 {
		return table[i], true
	}
	return rule{}, false
}

func TestImports(t *testing.T) {
	t.Parallel()
	g := load(t)
	own := g.own()
	if len(own) < 5 {
		t.Fatalf("go list knows %d packages of ours", len(own))
	}
	for _, p := range own {
		r, ok := ruleFor(p.name())
		if !ok {
			t.Errorf("%s: no rule says what it may import; add one to the table", p.name())
			continue
		}
		for _, imported := range p.Imports {
			if name := relative(imported); name != imported && !matchesAny(r.own, name) {
				t.Errorf("%s must not import %s", p.name(), name)
			}
			if m := g.module(t, imported); m != "" && !matchesAny(r.modules, m) {
				t.Errorf("%s must not import %s: module %s is not in its budget", p.name(), imported, m)
			}
		}
	}
}

// Imports that the table cannot refuse, because they are of the standard library.
func TestStoreKnowsNoHTTP(t *testing.T) {
	t.Parallel()
	for _, p := range load(t).own() {
		if matches("internal/store/...", p.name()) && slices.Contains(p.Imports, "net/http") {
			t.Errorf("%s imports net/http", p.name())
		}
	}
}

// Third parties that judge our work, and packages made for tests, must not reach a user's program.
func TestJudgesStayInTests(t *testing.T) {
	t.Parallel()
	g := load(t)
	forTests := []string{"internal/browsertest", "internal/testenv", "internal/testkit", "internal/store/storetest"}
	judges := []string{
		cmp,
		"github.com/c2sp/wycheproof",
		chromedp,
		"github.com/clerk/clerk-sdk-go/v2",
		"github.com/getkin/kin-openapi",
		"github.com/golang-jwt/jwt/v5",
		"github.com/modelcontextprotocol/go-sdk",
		"github.com/nats-io/jwt/v2",
		"github.com/nats-io/nats-server/v2",
		"github.com/rogpeppe/go-internal",
		"github.com/standard-webhooks/standard-webhooks/libraries",
		"github.com/svix/svix-webhooks",
		"pgregory.net/rapid",
	}
	used := map[string]bool{}
	for _, p := range g.own() {
		for _, imported := range slices.Concat(p.TestImports, p.XTestImports) {
			used[relative(imported)] = true
		}
		if matchesAny(forTests, p.name()) {
			continue // they help tests and may use what tests may
		}
		for _, imported := range p.Imports {
			if matchesAny(forTests, relative(imported)) || matchesAny(judges, g.module(t, imported)) && p.name() != "examples/mcp" { // which shows one
				t.Errorf("%s imports %s outside of its tests", p.name(), imported)
			}
		}
	}
	if !used["internal/testenv"] {
		t.Error("no test imports internal/testenv: this test looks at the wrong imports")
	}
}
