package clerksync

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/instance"
	"github.com/clerksync/clerksync/internal/reconcile"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// wellFacts are those of a mirror that lacks nothing.
func wellFacts() *facts {
	now := time.UnixMilli(1780000000000)
	at := func(ago time.Duration) clerk.Time { return clerk.TimeOf(now.Add(-ago)) }
	s := &storedFacts{
		head: store.Head{LastReceivedAt: at(time.Minute)}, born: at(100 * 24 * time.Hour), clock: clerk.TimeOf(now), walks: map[string]store.Walk{},
	}
	for _, kind := range reconcile.Kinds() {
		s.walks[string(kind)] = store.Walk{BackfilledAt: at(time.Hour), CompleteAt: at(10 * time.Minute), SweptAt: at(time.Minute)}
	}
	return &facts{
		now: now, engine: store.Postgres, durable: true, takesWebhooks: true, listeningSince: now.Add(-48 * time.Hour), readsClerk: true,
		instances: []string{"ins_1"}, database: "Postgres at postgres://db:5432/clerk", stored: s,
		config: &Config{SecretKey: "sk_test_x", StalePolicy: StaleAskClerk, Issuer: "https://clerk.example.com", AuthorizedParties: []string{"https://a.example"}},
	}
}

func TestWarningsOfFacts(t *testing.T) {
	t.Parallel()
	refused := func(kind string, since, last time.Duration) func(*facts) {
		return func(f *facts) {
			f.refused = map[string]refusal{kind: {3, clerk.TimeOf(f.now.Add(-since)), clerk.TimeOf(f.now.Add(-last))}}
		}
	}
	for name, c := range map[string]struct {
		change func(*facts)
		want   string // codes with their severities
	}{
		"nothing is wrong":                   {func(*facts) {}, ""},
		"the database is away":               {func(f *facts) { f.stored, f.databaseErr = nil, errors.New("x") }, "database error"},
		"the database is slow":               {func(f *facts) { f.stored, f.storedErr = nil, errors.New("x") }, "checks_incomplete error"},
		"signatures are refused":             {refused(refusedSignature, time.Minute, time.Second), "webhook_signatures_refused warning"},
		"signatures are refused for an hour": {refused(refusedSignature, time.Hour, time.Second), "webhook_signatures_refused error"},
		"no delivery was ever accepted": {func(f *facts) {
			refused(refusedSignature, time.Minute, 0)(f)
			f.stored.head.LastReceivedAt, f.stored.born = 0, clerk.TimeOf(f.now)
		}, "webhook_signatures_refused error"},
		"the clock is wrong":                   {refused(refusedClock, time.Minute, time.Second), "clock_skew warning"},
		"the clock has been wrong for an hour": {refused(refusedClock, 2*time.Hour, time.Second), "clock_skew error"},
		"the secret key is refused":            {refused(refusedSecretKey, time.Second, 0), "secret_key_refused error"},
		"no event for a day":                   {func(f *facts) { f.stored.head.LastReceivedAt -= 25 * 3600_000 }, "silence warning"},
		"no event ever":                        {func(f *facts) { f.stored.head.LastReceivedAt = 0 }, "silence warning"},
		"no event, and just started": {func(f *facts) {
			f.stored.head.LastReceivedAt, f.listeningSince = 0, f.now.Add(-time.Hour)
		}, ""},
		"no event, and just made": {func(f *facts) { f.stored.head.LastReceivedAt, f.stored.born = 0, clerk.TimeOf(f.now) }, ""},
		"no event, for a command": {func(f *facts) { f.stored.head.LastReceivedAt, f.listeningSince = 0, time.Time{} }, "silence warning"},
		"no event is taken":       {func(f *facts) { f.stored.head.LastReceivedAt, f.takesWebhooks = 0, false }, "webhook_secret_unset error"},
		"old dead letters":        {func(f *facts) { f.stored.deliveries = map[mirror.DeliveryState]int64{mirror.DeliveryDead: 1} }, "dead_letters warning"},
		"dismissed ones":          {func(f *facts) { f.stored.deliveries = map[mirror.DeliveryState]int64{mirror.DeliveryDismissed: 1} }, ""},
		"a dead letter just now": {func(f *facts) {
			f.stored.deliveries, f.stored.lastDead = map[mirror.DeliveryState]int64{mirror.DeliveryDead: 1}, clerk.TimeOf(f.now)
		}, "dead_letters error"},
		"another instance's events": {func(f *facts) { f.stored.foreign = instance.Foreign{Database: "ins_1", Events: []string{"ins_2"}} }, "foreign_instance warning"},
		"two instances, none ours": {func(f *facts) {
			f.instances, f.stored.foreign = nil, instance.Foreign{Events: []string{"ins_1", "ins_2"}}
		}, "foreign_instance error"},
		"refused reads":           {func(f *facts) { f.stored.unreadable = map[clerk.Kind]int64{clerk.KindUser: 1} }, "unreadable warning"},
		"another instance's keys": {func(f *facts) { f.stored.foreign = instance.Foreign{Database: "ins_1", Keys: []string{"ins_2"}} }, "foreign_instance error"},
		"another ladder":          {func(f *facts) { f.settings = &store.Settings{Ladder: []string{"x"}} }, "ladder_differs warning"},
		"another redaction":       {func(f *facts) { f.settings = &store.Settings{Redact: []string{"x"}} }, "redaction_differs warning"},
		"odd roles":               {func(f *facts) { f.stored.rolesRejected = 1 }, "roles_rejected warning"},
		"not filled":              {func(f *facts) { delete(f.stored.walks, "user") }, "backfill_missing warning"},
		"not walked": {func(f *facts) {
			w := f.stored.walks["organization"]
			w.CompleteAt -= 27 * 3600_000
			f.stored.walks["organization"] = w
		}, "walk_overdue warning"},
		"an old doubt": {func(f *facts) {
			f.stored.queues = map[clerk.Kind]store.Queue{clerk.KindUser: {Objects: 1, OldestAt: clerk.TimeOf(f.now.Add(-time.Hour))}}
		}, "verify_stuck error"},
		"not subscribed": {func(f *facts) { f.stored.unheard = []clerk.Kind{clerk.KindRole} }, "not_subscribed warning"},
		"not heard, as all is refused": {func(f *facts) {
			f.stored.unheard = []clerk.Kind{clerk.KindRole}
			refused(refusedSignature, time.Minute, time.Second)(f)
		}, "webhook_signatures_refused warning"},
		"not proven": {func(f *facts) {
			f.reasons = []mirror.SyncReason{{Code: "gap", Kind: clerk.KindUser}, {Code: "gap", Kind: clerk.KindRole}, {Code: "suspects"}}
		}, "not_in_sync warning"},
		"no key is configured":     {func(f *facts) { f.noKeys = true }, "keys_unavailable warning"},
		"no key can be fetched":    {func(f *facts) { f.keysMissing = true }, "keys_unavailable error"},
		"no policy for proxies":    {func(f *facts) { f.config.ForwardAuthWithoutPolicy = true }, "no_policy warning"},
		"tokens that name no page": {func(f *facts) { f.config.DangerouslyAllowMissingAuthorizedParty = true }, "missing_azp_allowed warning"},
		"SQLite, for real":         {func(f *facts) { f.engine, f.production = store.SQLite, true }, "sqlite_in_production info"},
		"what is chosen comes after what is wrong": {func(f *facts) {
			f.config.Issuer, f.stored.rolesRejected, f.storedErr = "", 1, errors.New("x")
		}, "checks_incomplete error, roles_rejected warning, issuer_unset info"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := wellFacts()
			c.change(f)
			var got []string
			for _, w := range warningsOf(t.Context(), f, allWarners()) {
				got = append(got, w.Code+" "+string(w.Severity))
				if w.Message == "" || w.Remedy == "" {
					t.Errorf("a warning that does not help: %+v", w)
				}
			}
			if list := strings.Join(got, ", "); list != c.want {
				t.Errorf("warned of %q, want %q", list, c.want)
			}
		})
	}
}

// docs/warnings.md lists every code that the code has, with its severities, and no other.
func TestWarningsAreDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("docs", "warnings.md"))
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z0-9_]+)` \\| ([a-z, ]+) \\|").FindAllStringSubmatch(string(text), -1) {
		documented[row[1]] = row[2]
	}
	written := writtenWarnings(t)
	if len(written) < 10 {
		t.Fatalf("found %d warnings in the code: this test looks for the wrong thing", len(written))
	}
	for code, severities := range written {
		for severity := range severities {
			if !slices.Contains(strings.Split(documented[code], ", "), severity) {
				t.Errorf("%s of severity %q is not in docs/warnings.md, which says %q", code, severity, documented[code])
			}
		}
	}
	for code := range maps.Keys(documented) {
		if written[code] == nil {
			t.Errorf("docs/warnings.md lists %s, which the code does not have", code)
		}
	}
}

// writtenWarnings finds the codes and severities of all warnings that this package makes. A severity that is computed
// may be an error or a warning.
func writtenWarnings(t *testing.T) map[string]map[string]bool {
	t.Helper()
	found := map[string]map[string]bool{}
	files, err := fs.Glob(os.DirFS("."), "*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CompositeLit:
				if typ, ok := n.Type.(*ast.SelectorExpr); ok && typ.Sel.Name == "Warning" && len(n.Elts) > 0 {
					noteWarning(t, found, keyed(n))
				}
			case *ast.CallExpr:
				if f, ok := n.Fun.(*ast.Ident); ok && f.Name == "warning" {
					noteWarning(t, found, map[string]ast.Expr{"Code": n.Args[0], "Severity": n.Args[1]})
				}
			case *ast.FuncDecl:
				return n.Name.Name != "warning"
			}
			return true
		})
	}
	return found
}

// keyed are the fields of a literal by name.
func keyed(literal *ast.CompositeLit) map[string]ast.Expr {
	fields := map[string]ast.Expr{}
	for _, e := range literal.Elts {
		if pair, ok := e.(*ast.KeyValueExpr); ok {
			fields[pair.Key.(*ast.Ident).Name] = pair.Value
		}
	}
	return fields
}

func noteWarning(t *testing.T, found map[string]map[string]bool, fields map[string]ast.Expr) {
	t.Helper()
	text, ok := fields["Code"].(*ast.BasicLit)
	if !ok {
		t.Error("a warning whose code is not written out")
		return
	}
	code, _ := strconv.Unquote(text.Value)
	if found[code] == nil {
		found[code] = map[string]bool{}
	}
	if name, ok := fields["Severity"].(*ast.SelectorExpr); ok {
		found[code][map[string]string{"SeverityError": "error", "SeverityWarning": "warning", "SeverityInfo": "info"}[name.Sel.Name]] = true
		return
	}
	found[code]["error"], found[code]["warning"] = true, true
}
