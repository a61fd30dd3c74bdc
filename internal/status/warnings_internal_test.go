package status

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
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
	"github.com/clerksync/clerksync/internal/clerkapi"
	"github.com/clerksync/clerksync/internal/converge"
	"github.com/clerksync/clerksync/internal/instance"
	"github.com/clerksync/clerksync/internal/reconcile"
	"github.com/clerksync/clerksync/internal/refusals"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// wellSignals are those of a mirror that lacks nothing.
func wellSignals() *signals {
	now := time.UnixMilli(1780000000000)
	at := func(ago time.Duration) clerk.Time { return clerk.TimeOf(now.Add(-ago)) }
	f := &Facts{
		Now: clerk.TimeOf(now), Head: store.Head{LastReceivedAt: at(time.Minute)}, Born: at(100 * 24 * time.Hour),
		Life: store.Life{AliveAt: at(time.Minute)}, Overdue: 26 * time.Hour,
	}
	for _, kind := range Kinds() {
		f.Kinds = append(f.Kinds, Kind{
			Kind: kind, Listed: slices.Contains(reconcile.Kinds(), kind), Readable: converge.Readable(kind),
			Walk: store.Walk{BackfilledAt: at(time.Hour), CompleteAt: at(10 * time.Minute), SweptAt: at(time.Minute)},
		})
	}
	return &signals{
		now: now, engine: store.Postgres, durable: true, listeningSince: now.Add(-48 * time.Hour), readsClerk: true,
		instances: []string{"ins_1"}, database: "Postgres at postgres://db:5432/clerk", stored: f,
		Settings: &Settings{SecretKey: true, WebhookSecret: true, TokenKeys: true, Issuer: true, AuthorizedParties: true},
	}
}

// of returns the facts of one kind.
func (s *signals) of(kind clerk.Kind) *Kind {
	return &s.stored.Kinds[slices.IndexFunc(s.stored.Kinds, func(k Kind) bool { return k.Kind == kind })]
}

// consumer adds a consumer of the change feed.
func consumer(c mirror.Consumer) func(*signals) {
	return func(s *signals) {
		c.Name, s.FeedRetention = "mail", 30*24*time.Hour
		s.stored.Consumers = append(s.stored.Consumers, c)
	}
}

// endpoint adds an endpoint of outgoing webhooks that has failed for a time.
func endpoint(reason string, failing time.Duration) func(*signals) {
	return func(s *signals) {
		e := mirror.WebhookEndpoint{ID: "ep_1", Enabled: reason == "", DisabledReason: reason}
		if failing > 0 {
			e.FailingSince = s.now.Add(-failing)
		}
		s.stored.Endpoints = append(s.stored.Endpoints, e)
	}
}

func TestWarningsOfSignals(t *testing.T) {
	t.Parallel()
	refused := func(kind refusals.Kind, since, last time.Duration) func(*signals) {
		return func(s *signals) {
			s.refused = map[refusals.Kind]refusals.Count{
				kind: {Count: 3, Since: clerk.TimeOf(s.now.Add(-since)), Last: clerk.TimeOf(s.now.Add(-last))},
			}
		}
	}
	for name, c := range map[string]struct {
		change func(*signals)
		want   string // codes with their severities
	}{
		"nothing is wrong":     {func(*signals) {}, ""},
		"the database is away": {func(s *signals) { s.stored, s.databaseErr = nil, errors.New("x") }, "database error"},
		"nothing can be stored": {func(s *signals) {
			s.writeFault = store.WriteFault{Since: time.Now(), Fault: &mirror.DatabaseError{Problem: "cannot grow: the disk is full", Remedy: "Make room."}}
		}, "database_not_writable error"},
		"the database is slow":               {func(s *signals) { s.stored, s.storedErr = nil, errors.New("x") }, "checks_incomplete error"},
		"signatures are refused":             {refused(refusals.Signature, time.Minute, time.Second), "webhook_signatures_refused warning"},
		"signatures are refused for an hour": {refused(refusals.Signature, time.Hour, time.Second), "webhook_signatures_refused error"},
		"no delivery was ever accepted": {func(s *signals) {
			refused(refusals.Signature, time.Minute, 0)(s)
			s.stored.Head.LastReceivedAt, s.stored.Born = 0, clerk.TimeOf(s.now)
		}, "webhook_signatures_refused error"},
		"the clock is wrong":                   {refused(refusals.Clock, time.Minute, time.Second), "clock_skew warning"},
		"the clock has been wrong for an hour": {refused(refusals.Clock, 2*time.Hour, time.Second), "clock_skew error"},
		"the clock is ahead of Clerk's":        {func(s *signals) { s.aheadOfClerk = 10 * time.Second }, "clock_skew warning"},
		"the clock is far behind Clerk's":      {func(s *signals) { s.aheadOfClerk = -6 * time.Minute }, "clock_skew error"},
		"the clock is ahead of the database's": {func(s *signals) { s.stored.AheadOfDatabase = time.Minute }, "clock_skew warning"},
		"the clock is wrong in every way": {func(s *signals) {
			refused(refusals.Clock, 2*time.Hour, time.Second)(s)
			s.aheadOfClerk, s.stored.AheadOfDatabase = 10*time.Second, time.Minute
		}, "clock_skew error"},
		"Clerk does not answer": {func(s *signals) {
			s.outage = clerkapi.Outage{Since: time.Now().Add(-time.Minute), Problem: "it refuses the connection", Remedy: "check it"}
		}, "clerk_unreachable warning"},
		"Clerk does not answer for a moment": {func(s *signals) { s.outage.Since = time.Now().Add(-20 * time.Second) }, ""},
		"the secret key is refused":          {refused(refusals.SecretKey, time.Second, 0), "secret_key_refused error"},
		"no event for a day":                 {func(s *signals) { s.stored.Head.LastReceivedAt -= 25 * 3600_000 }, "silence warning"},
		"no event ever":                      {func(s *signals) { s.stored.Head.LastReceivedAt = 0 }, "silence warning"},
		"no event, and just started": {func(s *signals) {
			s.stored.Head.LastReceivedAt, s.listeningSince = 0, s.now.Add(-time.Hour)
		}, ""},
		"no event, and just made": {func(s *signals) { s.stored.Head.LastReceivedAt, s.stored.Born = 0, clerk.TimeOf(s.now) }, ""},
		"no event, for a command": {func(s *signals) { s.stored.Head.LastReceivedAt, s.listeningSince = 0, time.Time{} }, "silence warning"},
		"no event is taken":       {func(s *signals) { s.stored.Head.LastReceivedAt, s.WebhookSecret = 0, false }, "webhook_secret_unset error"},
		"old dead letters":        {func(s *signals) { s.stored.DeadLetters = 1 }, "dead_letters warning"},
		"none of many":            {func(s *signals) { s.stored.Deliveries = 1 }, ""},
		"a dead letter just now": {func(s *signals) {
			s.stored.DeadLetters, s.stored.LastDead = 1, clerk.TimeOf(s.now)
		}, "dead_letters error"},
		"another instance's events": {func(s *signals) { s.stored.Foreign = instance.Foreign{Database: "ins_1", Events: []string{"ins_2"}} }, "foreign_instance warning"},
		"two instances, none ours": {func(s *signals) {
			s.instances, s.stored.Foreign = nil, instance.Foreign{Events: []string{"ins_1", "ins_2"}}
		}, "foreign_instance error"},
		"refused reads":           {func(s *signals) { s.of(clerk.KindUser).Unreadable = 1 }, "unreadable warning"},
		"another instance's keys": {func(s *signals) { s.stored.Foreign = instance.Foreign{Database: "ins_1", Keys: []string{"ins_2"}} }, "foreign_instance error"},
		"another ladder":          {func(s *signals) { s.remembered = &store.Settings{Ladder: []string{"x"}} }, "ladder_differs warning"},
		"another redaction":       {func(s *signals) { s.remembered = &store.Settings{Redact: []string{"x"}} }, "redaction_differs warning"},
		"odd roles":               {func(s *signals) { s.stored.RolesRejected = 1 }, "roles_rejected warning"},
		"not filled":              {func(s *signals) { s.of(clerk.KindUser).Walk = store.Walk{} }, "backfill_missing warning"},
		"not walked": {func(s *signals) {
			s.of(clerk.KindOrganization).Walk.CompleteAt -= 27 * 3600_000
		}, "walk_overdue warning"},
		"an old doubt": {func(s *signals) {
			s.of(clerk.KindUser).Queue = store.Queue{Objects: 1, OldestAt: clerk.TimeOf(s.now.Add(-time.Hour))}
		}, "verify_stuck error"},
		"not subscribed": {func(s *signals) { s.stored.Unheard = []clerk.Kind{clerk.KindRole} }, "not_subscribed warning"},
		"not heard, as all is refused": {func(s *signals) {
			s.stored.Unheard = []clerk.Kind{clerk.KindRole}
			refused(refusals.Signature, time.Minute, time.Second)(s)
		}, "webhook_signatures_refused warning"},
		"Run was never called": {func(s *signals) { s.stored.Life = store.Life{} }, "not_running warning"},
		"Run was never called, and just made": {func(s *signals) {
			s.stored.Life, s.stored.Born = store.Life{}, clerk.TimeOf(s.now.Add(-time.Minute))
		}, ""},
		"nothing runs any more":  {func(s *signals) { s.stored.Life.AliveAt -= 11 * 60_000 }, "not_running warning"},
		"the process was killed": {func(s *signals) { s.stored.Abandoned = true }, "not_running warning"},
		"users not swept": {func(s *signals) {
			w := &s.of(clerk.KindUser).Walk
			w.CompleteAt, w.SweptAt = w.CompleteAt-3600_000, w.SweptAt-3600_000
		}, "walk_overdue warning"},
		"not proven": {func(s *signals) {
			s.reasons = []mirror.SyncReason{{Code: "gap", Kind: clerk.KindUser}, {Code: "gap", Kind: clerk.KindRole}, {Code: "suspects"}}
		}, "not_in_sync warning"},
		"no key is configured":          {func(s *signals) { s.TokenKeys = false }, "keys_unavailable warning"},
		"no key can be fetched":         {func(s *signals) { s.keysMissing = true }, "keys_unavailable error"},
		"no policy for proxies":         {func(s *signals) { s.NoPolicy = true }, "no_policy warning"},
		"tokens that name no page":      {func(s *signals) { s.MissingAZP = true }, "missing_azp_allowed warning"},
		"SQLite, for real":              {func(s *signals) { s.engine, s.Production = store.SQLite, true }, "sqlite_in_production info"},
		"a consumer that works":         {consumer(mirror.Consumer{State: mirror.ConsumerRunning, LagChanges: 10_000, LagSeconds: 300}), ""},
		"a consumer that is late":       {consumer(mirror.Consumer{State: mirror.ConsumerRunning, LagSeconds: 301}), "consumer_behind warning"},
		"a consumer with much to do":    {consumer(mirror.Consumer{State: mirror.ConsumerRunning, LagChanges: 10_001}), "consumer_behind warning"},
		"a consumer paused for long":    {consumer(mirror.Consumer{State: mirror.ConsumerPaused, LagSeconds: 301}), "consumer_behind warning"},
		"a consumer that is too late":   {consumer(mirror.Consumer{State: mirror.ConsumerRunning, LagChanges: 1, LagSeconds: 15*24*3600 + 1}), "consumer_behind error"},
		"a consumer that does not run":  {consumer(mirror.Consumer{State: mirror.ConsumerIdle, LagSeconds: 301}), "consumer_stopped warning"},
		"a consumer with nothing to do": {consumer(mirror.Consumer{State: mirror.ConsumerIdle}), ""},
		"a consumer without its place":  {consumer(mirror.Consumer{State: mirror.ConsumerStopped}), "consumer_stopped error"},
		"a consumer that gave up":       {consumer(mirror.Consumer{State: mirror.ConsumerRunning, Parked: 1}), "consumer_parked warning"},
		"an endpoint that works":        {endpoint("", 0), ""},
		"an endpoint that failed now":   {endpoint("", 59*time.Minute), ""},
		"an endpoint that fails":        {endpoint("", time.Hour), "webhook_endpoint_failing warning"},
		"an endpoint that is gone":      {endpoint(mirror.WebhookGone, time.Hour), "webhook_endpoint_disabled warning"},
		"an endpoint given up":          {endpoint(mirror.WebhookFailing, 120*time.Hour), "webhook_endpoint_disabled warning"},
		"an endpoint without its place": {endpoint(mirror.WebhookCursorGone, 0), "webhook_endpoint_disabled error"},
		"an endpoint set aside":         {endpoint("maintenance", time.Hour), ""},
		"a job that failed": {func(s *signals) {
			s.stored.FailedJobs = []mirror.Job{{ID: "job_1", Action: mirror.JobReconcile}}
		}, "job_failed warning"},
		"revocations":      {func(s *signals) { s.stored.Revocations = 10_000 }, ""},
		"many revocations": {func(s *signals) { s.stored.Revocations = 10_001 }, "revocations_kept warning"},
		"several consumers": {func(s *signals) {
			for range 7 {
				s.stored.Consumers = append(s.stored.Consumers, mirror.Consumer{Name: "c", State: mirror.ConsumerStopped, Parked: 1})
			}
		}, "consumer_stopped error, consumer_parked warning"},
		"what is chosen comes after what is wrong": {func(s *signals) {
			s.Issuer, s.stored.RolesRejected, s.storedErr = false, 1, errors.New("x")
		}, "checks_incomplete error, roles_rejected warning, issuer_unset info"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := wellSignals()
			c.change(s)
			var got []string
			for _, w := range warningsOf(s, allWarners()) {
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
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "warnings.md"))
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

// writtenWarnings finds the codes and severities of all literals of mirror.Warning in this package
// in the commands and in the publishers. A severity that is computed may be an error or a warning.
func writtenWarnings(t *testing.T) map[string]map[string]bool {
	t.Helper()
	found := map[string]map[string]bool{}
	var files []string
	for _, pattern := range []string{"*.go", filepath.Join("..", "cli", "*.go"), filepath.Join("..", "..", "publish", "*", "*.go")} {
		matched, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, matched...)
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
			literal, ok := n.(*ast.CompositeLit)
			if !ok {
				return true
			}
			if isWarning(literal.Type) {
				noteWarning(t, found, literal)
			} else if list, ok := literal.Type.(*ast.ArrayType); ok && isWarning(list.Elt) {
				for _, e := range literal.Elts {
					if inner, ok := e.(*ast.CompositeLit); ok && inner.Type == nil {
						noteWarning(t, found, inner)
					}
				}
			}
			return true
		})
	}
	return found
}

func isWarning(e ast.Expr) bool {
	name, ok := e.(*ast.SelectorExpr)
	return ok && name.Sel.Name == "Warning"
}

func noteWarning(t *testing.T, found map[string]map[string]bool, literal *ast.CompositeLit) {
	t.Helper()
	fields := map[string]ast.Expr{}
	for i, e := range literal.Elts {
		if pair, ok := e.(*ast.KeyValueExpr); ok {
			fields[pair.Key.(*ast.Ident).Name] = pair.Value
		} else {
			fields[[]string{"Code", "Severity", "Message", "Remedy"}[i]] = e
		}
	}
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
