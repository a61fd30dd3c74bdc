package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/internal/config"
	"github.com/clerksync/clerksync/internal/emulator"
	"github.com/clerksync/clerksync/internal/telemetry"
	"github.com/clerksync/clerksync/internal/viewreader"
	"github.com/clerksync/clerksync/internal/web"
)

type chaosCommand struct {
	Actions     int    `help:"Number of actions at the emulated Clerk; default 1000." default:"1000" placeholder:"N"`
	Seed        uint64 `help:"Seed of actions and faults; random by default." placeholder:"N"`
	DatabaseURL string `help:"Empty database for the mirror; a temporary SQLite file by default. DATABASE_URL is not used." placeholder:"URL"`
	JSON        bool   `name:"json" help:"Print the verdict as one line of JSON."`

	Watch time.Duration `help:"How long a running server is tested; default 1m, 0 skips that test." default:"1m" placeholder:"TIME"`
}

// Help returns the text below the description.
func (chaosCommand) Help() string {
	return `Example:

    clerksync chaos --actions 5000 --seed 7

An emulated Clerk feeds a mirror over HTTP while the network duplicates, reorders, delays, forges and loses requests. The mirror must ` +
		`equal Clerk by events alone.

Then 1, 10 and 100 of 100 events are lost permanently, and an outage lasts 40 hours, longer than webhooks are retried. Each time one ` +
		`reconcile must repair the mirror. Sessions are compared only before the losses, because Clerk has no list of all sessions.

Finally, a real server (clerksync serve, with its own SQLite file) is killed, its database is replaced by old copies and edited by hand, ` +
		`events are lost and Clerk refuses requests, while the server is asked five times a second whether it is in sync. Each time it ` +
		`says yes, that is checked. If it was never killed or never said yes by then, it is asked without faults for up to 5 minutes more.

Exit code 0: the mirror equals Clerk, every row was compared with it, and the server was right each time it said that it is in sync. ` +
		`1: otherwise.`
}

// Verdict is what chaos found.
type Verdict struct {
	Seed        uint64   `json:"seed"`
	Actions     int      `json:"deeds"`
	Events      int      `json:"events"`
	Attempts    int      `json:"attempts"`
	Duplicated  int      `json:"duplicated"`  // delivered more than once
	Failed      int      `json:"failed"`      // failed attempts
	Forged      int      `json:"forged"`      // copies with a wrong signature
	Accepted    int      `json:"accepted"`    // forged copies that were accepted: must be none
	Lost        int      `json:"lost"`        // events that never arrived
	APICalls    int      `json:"api_calls"`   // made by reconcile
	Repaired    int      `json:"repaired"`    // rows repaired by reconcile
	Losses      []Loss   `json:"losses"`      // and how each was repaired
	Unverified  []string `json:"unverified"`  // kinds with a row that was never compared with Clerk: must be none
	InSync      bool     `json:"in_sync"`     // what clerksync status reports at the end
	Sentence    string   `json:"sentence"`    // its sentence
	Seconds     float64  `json:"seconds"`     // until the mirror was correct
	Hours       float64  `json:"clock_hours"` // that the emulated clock moved, for retries
	Differences []string `json:"differences"` // must be none
	Claims      *Claims  `json:"claims"`      // what a running server reported; null if it was not tested
	OK          bool     `json:"ok"`
}

// scenario is a period in which the network has faults.
type scenario struct {
	name   string
	lasts  time.Duration // of the emulated clock; retries are left when it ends
	faults emulator.Faults
}

func scenarios() []scenario {
	hours := func(n int) emulator.Duration { return emulator.Duration(time.Duration(n) * time.Hour) }
	milliseconds := func(n int) emulator.Duration { return emulator.Duration(time.Duration(n) * time.Millisecond) }
	return []scenario{
		{"no faults", 0, emulator.Faults{}},
		{"duplicates", 4 * time.Hour, emulator.Faults{Duplicate: 0.5, Unheard: 0.2}},
		{"out of order", 4 * time.Hour, emulator.Faults{Reorder: 0.8, ReorderWindow: milliseconds(300), Delay: 0.2, DelayMax: hours(3)}},
		{"failing requests", 4 * time.Hour, emulator.Faults{Fail: 0.5, Unheard: 0.3, Burst: milliseconds(100)}},
		{"forged webhooks", 4 * time.Hour, emulator.Faults{WrongSignature: 0.5, WrongInstance: 0.5}},
		{"outage of 10 hours", 10 * time.Hour, emulator.Faults{Outage: hours(10)}},
		{"all faults", 4 * time.Hour, emulator.Faults{
			Duplicate: 0.3, Unheard: 0.2, Reorder: 0.5, Delay: 0.2, DelayMax: hours(3), Fail: 0.3, WrongSignature: 0.1, WrongInstance: 0.1,
		}},
	}
}

// Run runs a mirror through the scenarios and compares it with Clerk.
func (c chaosCommand) Run(ctx context.Context, p *process) error {
	if c.Actions < 1 || c.Actions > 1_000_000 {
		return errors.New("--actions must be a number from 1 to 1000000")
	}
	if c.Seed == 0 {
		c.Seed = emulator.RandomSeed()
	}
	folder, err := os.MkdirTemp("", "clerksync-chaos-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder) //nolint:errcheck // of temporary files
	e, err := emulator.New(emulator.Options{Seed: c.Seed, History: 2 * 1_000_000})
	if err != nil {
		return err
	}
	defer e.Close()
	api, err := serveAPI(ctx, http.HandlerFunc(e.ServeHTTP))
	if err != nil {
		return err
	}
	defer api.stop()
	m, address, stop, err := c.mirror(ctx, p, e, api.url, folder)
	if err != nil {
		return err
	}
	defer stop()
	if _, err := e.AddEndpoint(emulator.Target{URL: "http://" + address + "/api/webhooks/clerk"}, chaosSecret); err != nil {
		return err
	}
	progress := p.stderr
	if c.JSON {
		progress = io.Discard
	}
	v, err := c.drive(ctx, e, m, api, progress)
	if err != nil {
		return err
	}
	if c.Watch > 0 {
		fmt.Fprintf(progress, "%-24s for %s\n", "running server", c.Watch)
		if v.Claims, err = c.watch(ctx, p, folder, progress); err != nil {
			return fmt.Errorf("test a running server: %w", err)
		}
	}
	failure := v.failure()
	v.OK = failure == nil
	if c.JSON {
		err = json.NewEncoder(p.stdout).Encode(v)
	} else {
		v.print(p.stdout)
	}
	if err == nil && failure != nil {
		err = fmt.Errorf("%w; reproduce with --seed %d", failure, c.Seed)
	}
	return err
}

const chaosSecret = "whsec_Y2hhb3NjaGFvc2NoYW9zY2hhb3NjaGFvcw==" //nolint:gosec // of an emulated Clerk

// mirror serves a mirror of the emulated Clerk.
func (c chaosCommand) mirror(ctx context.Context, p *process, e *emulator.Emulator, api, folder string) (*clerksync.Mirror, string, func(), error) {
	keys := e.Keys("")
	database := c.DatabaseURL
	if database == "" {
		database = "sqlite:" + filepath.Join(folder, "clerk.db")
	}
	cfg, _, err := config.Load(config.Options{Environ: []string{
		"DATABASE_URL=" + database, "CLERK_WEBHOOK_SIGNING_SECRET=" + chaosSecret, "CLERK_ISSUER=" + keys.Issuer,
		"CLERK_INSTANCE_ID=" + keys.InstanceID, "CLERK_JWT_KEY=" + keys.PEM,
		"CLERK_SECRET_KEY=" + keys.SecretKey, "CLERK_API_URL=" + api, "CLERKSYNC_API_BUDGET=100%",
	}})
	if err != nil {
		return nil, "", nil, err
	}
	logger, err := telemetry.NewLogger(p.stderr, "text", "error")
	if err != nil {
		return nil, "", nil, err
	}
	db, err := openDatabase(cfg)
	if err != nil {
		return nil, "", nil, err
	}
	settings := mirrorConfig(cfg, logger)
	settings.APIBudget = 1 // no one else uses the emulator
	settings.Test.Sleep = func(ctx context.Context, d time.Duration) error {
		e.Advance(d)
		return ctx.Err()
	}
	m, err := clerksync.New(ctx, db, settings)
	if err != nil {
		return nil, "", nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/api/webhooks/clerk", m.WebhookHandler())
	listening, err := web.Listen(ctx, logger, shutdownTimeout, web.NewServer("127.0.0.1:0", mux))
	if err != nil {
		return nil, "", nil, errors.Join(err, m.Close())
	}
	serving, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = listening.Serve(serving)
	}()
	return m, listening.Addrs()[0].String(), func() {
		cancel()
		<-done
		_ = m.Close()
	}, nil
}

// drive runs all scenarios: first those whose faults end before the retries do, then those that
// lose events permanently.
func (c chaosCommand) drive(ctx context.Context, e *emulator.Emulator, m *clerksync.Mirror, api *apiServer, progress io.Writer) (*Verdict, error) {
	begin, clock := time.Now(), e.Now()
	all, bad := scenarios(), losses()
	v := &Verdict{Seed: c.Seed, Actions: c.Actions, Differences: []string{}, Losses: []Loss{}, Unverified: []string{}}
	share := func(i int) int { return c.Actions * i / (len(all) + len(bad)) }
	for i, scenario := range all {
		if err := runScenario(ctx, e, scenario, share(i+1)-share(i), progress); err != nil {
			return nil, err
		}
	}
	err := errors.Join(e.SetFaults(emulator.Faults{}), exhaust(ctx, e))
	if err == nil {
		err = v.compare(ctx, e, viewreader.FromAPI(m))
	}
	if err != nil {
		return nil, err
	}
	for i, loss := range bad {
		n := len(all) + i
		if err := v.lose(ctx, e, m, api, loss, share(n+1)-share(n), progress); err != nil {
			return nil, err
		}
	}
	if err := v.verified(ctx, m); err != nil {
		return nil, err
	}
	v.Seconds, v.Hours = time.Since(begin).Seconds(), (e.Now().Sub(clock) - time.Since(begin)).Hours()
	v.count(e.Deliveries())
	return v, nil
}

// failure returns what is wrong.
func (v *Verdict) failure() error {
	switch {
	case v.Accepted > 0:
		return errors.New("the mirror accepted forged webhooks")
	case len(v.Differences) > 0 || !v.InSync || len(v.Unverified) > 0:
		return errors.New("the mirror does not equal Clerk")
	case v.Claims != nil && v.Claims.Result == ResultWrong:
		return errors.New("the server said that it is in sync when it was not")
	case v.Claims != nil && v.Claims.Result == ResultNever:
		return fmt.Errorf("the server never said that it is in sync, not even in %s without faults", settleWithin)
	}
	return nil
}

// runScenario performs actions during a scenario, until it is over.
func runScenario(ctx context.Context, e *emulator.Emulator, s scenario, actions int, progress io.Writer) error {
	if err := e.SetFaults(s.faults); err != nil {
		return err
	}
	fmt.Fprintf(progress, "%-24s %d actions\n", s.name, actions)
	for range actions {
		if _, err := e.Step(ctx); err != nil {
			return err
		}
	}
	return advancePast(ctx, e, s.lasts)
}

// compare adds the differences between the mirror and Clerk.
func (v *Verdict) compare(ctx context.Context, e *emulator.Emulator, copied emulator.Reader) error {
	differences, err := e.Differences(ctx, copied)
	v.Differences = append(v.Differences, differences...)
	return err
}

// exhaust advances the clock past all retries.
func exhaust(ctx context.Context, e *emulator.Emulator) error { return advancePast(ctx, e, 0) }

// advancePast moves the clock to the end of a scenario, past each retry; 0: until no retry is left.
func advancePast(ctx context.Context, e *emulator.Emulator, lasts time.Duration) error {
	end := e.Now().Add(lasts)
	for {
		if err := e.Settle(ctx); err != nil {
			return err
		}
		next, waits := e.Pending()
		switch {
		case lasts > 0 && (!waits || next.After(end)):
			e.Advance(max(0, end.Sub(e.Now())))
			return e.Settle(ctx)
		case !waits:
			return nil
		}
		if d := next.Sub(e.Now()); d > 0 {
			e.Advance(d)
		}
	}
}

func (v *Verdict) count(messages []emulator.Message) {
	for _, m := range messages {
		v.Events++
		if m.State != "delivered" {
			v.Lost++
		}
		heard := 0
		for _, a := range m.Attempts {
			v.Attempts++
			good := a.Status >= 200 && a.Status < 300
			switch {
			case a.Fault == "wrong_signature":
				v.Forged++
				if good {
					v.Accepted++
				}
			case a.Fault == "wrong_instance":
			case good || a.Fault == "unheard":
				heard++
			default:
				v.Failed++
			}
		}
		v.Duplicated += max(0, heard-1)
	}
}

func (v *Verdict) print(w io.Writer) {
	fmt.Fprintf(w, `
  actions                 %d
  events                  %d in %d attempts
  delivered again         %d
  failed attempts         %d
  forged, accepted        %d, %d
  lost permanently        %d
  repaired, API calls     %d, %d
  time                    %.1f s, for which the emulated clock was moved %.0f h ahead
  differences             %d
  kinds not compared      %d %s

`, v.Actions, v.Events, v.Attempts, v.Duplicated, v.Failed, v.Forged, v.Accepted, v.Lost, v.Repaired, v.APICalls, v.Seconds, v.Hours,
		len(v.Differences), len(v.Unverified), strings.Join(v.Unverified, ", "))
	for _, l := range v.Losses {
		fmt.Fprintf(w, "  %-24s %d of %d events lost, %d rows repaired by %d API calls in %.1f s\n", l.Name, l.Lost, l.Events, l.Repaired, l.APICalls, l.Seconds)
	}
	fmt.Fprintf(w, "\n  %s\n\n", v.Sentence)
	if len(v.Differences) > 0 {
		fmt.Fprintf(w, "  %s\n\n", strings.Join(v.Differences[:min(len(v.Differences), 20)], "\n  "))
	}
	if v.Claims != nil {
		v.Claims.print(w)
	}
	if v.OK {
		fmt.Fprintln(w, "The mirror equals Clerk.")
	}
}
