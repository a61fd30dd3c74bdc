package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/forwardauth"
	"github.com/clerksync/clerksync/internal/config"
	"github.com/clerksync/clerksync/internal/doctor"
	"github.com/clerksync/clerksync/internal/telemetry"
	"github.com/clerksync/clerksync/internal/web"
	"github.com/clerksync/clerksync/mirror"
	outgoing "github.com/clerksync/clerksync/publish/webhook"
	"github.com/clerksync/clerksync/webhook"
)

// softMemoryLimit is where the garbage collector stops using memory to save time. A server needs
// less; a walk over millions of rows needs more, and then takes more time.
const softMemoryLimit = 160 << 20

// tuneGC makes garbage collection rare, because what an event or a page allocates does not outlive
// it. GOGC and GOMEMLIMIT take precedence.
func tuneGC() {
	if os.Getenv("GOGC") == "" && os.Getenv("GOMEMLIMIT") == "" {
		debug.SetGCPercent(400)
		debug.SetMemoryLimit(collectAt(memoryLimit(os.DirFS("/"))))
	}
}

// collectAt returns the soft limit of memory for a process that may use so much, 0 for any amount:
// four fifths of it, because the heap is not all that takes memory.
func collectAt(memory int64) int64 {
	if memory == 0 {
		return softMemoryLimit
	}
	return min(softMemoryLimit, memory/5*4)
}

type serveCommand struct{ serverFlags }

// Help returns the text below the description.
func (serveCommand) Help() string {
	return `Example:

    clerksync serve --config clerksync.yaml

The server creates the database, copies everything from Clerk, receives webhooks at /api/webhooks/clerk and answers ` +
		`GET /api/auth/me. clerksync config shows the settings in force; docs/configuration.md describes them all.`
}

// shutdownTimeout is how long requests may still take after the server was told to stop.
const shutdownTimeout = 20 * time.Second

// Run runs the server until the context ends.
func (c serveCommand) Run(ctx context.Context, p *process) error {
	cfg, err := p.load(c)
	if err != nil {
		return err
	}
	logger, err := p.logger(cfg)
	if err != nil {
		return err
	}
	if text := firstSteps(cfg, terminalOf(p.stderr, p.environ)); text != "" {
		fmt.Fprintln(p.stderr, text)
	}
	t := terminalOf(p.stderr, p.environ)
	if t.width == 0 {
		return serveNotifying(ctx, cfg, logger, p.environ, nil)
	}
	return serveNotifying(ctx, cfg, logger, p.environ, func(s startedServer) { printServing(ctx, p.stderr, t, cfg, s) })
}

// firstSteps returns what to do next for a person who starts a server of which nothing is
// configured, or "".
func firstSteps(c *config.Config, t terminal) string {
	configured := c.SecretKey != "" || len(c.WebhookSecrets) > 0 || c.PublishableKey != "" || c.JWKSURL != "" || c.JWTKey != "" || c.Issuer != ""
	if configured || t.width == 0 {
		return ""
	}
	return doctor.Wrap("Nothing is configured: this server receives no webhooks and lets no user in. docs/getting-started.md "+
		"says which settings it needs. To try it without an account at Clerk, run clerksync dev.", "", t.width)
}

// startedServer is a server that listens.
type startedServer struct {
	mirror   *clerksync.Mirror
	addrs    []net.Addr // the public one, and that of operators if there is one
	public   http.Handler
	webhooks *outgoing.Publisher
}

// serve runs the configured server; it calls started, if not nil, when it listens.
func serve(ctx context.Context, cfg *config.Config, logger *slog.Logger, started func(startedServer)) error {
	tuneGC()
	if err := checkLimits(ctx, openFiles(), memoryLimit(os.DirFS("/")), logger); err != nil {
		return err
	}
	signals, err := telemetry.Start(ctx, os.Getenv, logger)
	if err != nil {
		return err
	}
	defer endTelemetry(signals, logger)
	db, err := awaitDatabase(ctx, cfg, logger)
	if err != nil {
		return err
	}
	settings := mirrorConfig(cfg, logger)
	settings.MeterProvider, settings.TracerProvider = signals.Meters(), signals.Tracers()
	settings.PolicyVersion = policyVersion(cfg.Policy) // only a server uses the policy
	var publish publishers
	secrets := newSecretFiles(cfg, logger)
	settings.Warnings = func() []mirror.Warning { return slices.Concat(publish.nats.warnings(), secrets.warnings()) }
	if settings.ReadDB, err = openReplica(cfg); err != nil {
		return errors.Join(err, db.Close())
	}
	m, err := clerksync.New(ctx, db, settings)
	if err != nil {
		return err
	}
	err = fetchKeys(ctx, m, logger)
	if err == nil { // once the keys are known to be of the database's instance, before any request
		err = clerksync.Migrate(ctx, db, settings)
	}
	if err != nil {
		return errors.Join(err, m.Close())
	}
	logger.Info("mirror opened", "database", cfg.Database.String(), "roles", cfg.Roles)
	for _, w := range m.Health(ctx).Warnings {
		logger.Log(ctx, logLevel(w.Severity), w.Message, "code", w.Code, "remedy", w.Remedy) //nolint:sloglint // one of few texts
	}
	front := &answers{mirror: m, scraped: signals.Handler(), logger: logger}
	if err = publish.open(db, m, cfg, signals.Meters(), logger); err == nil {
		front.webhooks = publish.webhooks
		err = front.use(cfg)
	}
	if err != nil {
		return errors.Join(err, m.Close())
	}
	listening, err := web.Listen(ctx, logger, shutdownTimeout, front.servers(cfg)...)
	if err != nil {
		return errors.Join(listenError(err, cfg), m.Close())
	}
	if started != nil {
		started(startedServer{m, listening.Addrs(), &front.public, publish.webhooks})
	}
	background := make(chan error, 1)
	go func() { background <- m.Run(ctx) }()
	go secrets.run(ctx, m, front.use)
	stopPublishing := publish.start(ctx)
	err = listening.Serve(ctx)
	stopPublishing()
	if ctx.Err() != nil {
		err = errors.Join(err, <-background)
	}
	logger.Info("stopped")
	return errors.Join(err, m.Close())
}

// logLevel returns the level at which a warning is logged.
func logLevel(s mirror.Severity) slog.Level {
	switch s {
	case mirror.SeverityError:
		return slog.LevelError
	case mirror.SeverityInfo:
		return slog.LevelInfo
	default:
		return slog.LevelWarn
	}
}

// endTelemetry sends what is left, within a few seconds.
func endTelemetry(signals *telemetry.Providers, logger *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := signals.Shutdown(ctx); err != nil {
		logger.Warn("the last telemetry could not be sent", "error", err)
	}
}

func mirrorConfig(c *config.Config, logger *slog.Logger) clerksync.Config {
	return clerksync.Config{
		SecretKey: c.SecretKey, WebhookSecrets: c.WebhookSecrets, WebhookScheme: webhook.Scheme(c.WebhookScheme),
		InstanceID: c.InstanceID, Roles: c.Roles, JWTAlgorithm: c.JWTAlgorithm, JWTKey: c.JWTKey, JWKSURL: c.JWKSURL,
		APIURL: c.APIURL, Issuer: c.Issuer, AuthorizedParties: c.AuthorizedParties, Audience: c.Audience, Logger: logger,
		DangerouslyAllowMissingAuthorizedParty: c.AllowMissingAZP, ClockLeeway: c.ClockLeeway,
		FrontendAPI:    c.Issuer, // Clerk's issuer is the URL of its Frontend API
		PublishableKey: c.PublishableKey, StalePolicy: clerksync.StalePolicy(c.Unready), PlanFeatures: lists(c.PlanFeatures), UpgradeURL: c.UpgradeURL,
		AuditRetention: c.AuditRetention, InboxRetention: c.InboxRetention, ChangesRetention: c.ChangesRetention,
		Redact: c.Redact, EraseAfter: orNone(c.EraseAfter), DisableOnDemandUsers: c.JIT == "off", APIBudget: c.APIBudget, APILimit: c.APILimit,
		DisableBackfill: c.Backfill == "off", DisableReconcile: c.Reconcile == "off", DisableWrites: c.Writes == "off",
		RoleMaxStale: orNone(c.ReadyWithin), PermissionMaxStale: orNone(c.ReadyWalkWithin),
		WalkMinPause: c.WalkMinPause, WalkMaxPause: c.WalkMaxPause,
		OAuthResources: c.OAuthResources, MachineCallers: lists(c.MachineCallers), MachineID: c.MachineID, TrustedProxies: c.TrustedProxies,
		MachineSecretKey: c.MachineSecretKey, MachineTTL: c.MachineTTL, MachineMaxStale: orNone(c.MachineMaxStale), MachineCallsPerMinute: c.MachineCalls,
		MachinePrice:             machinePrice(c),
		RemediesForServer:        true,
		ForwardAuthWithoutPolicy: c.Routes == nil && len(c.TrustedProxies) > 0,
	}
}

// machinePrice returns the price of a verification, whose form was checked. The smallest price
// stands for none, because 0 is the default.
func machinePrice(c *config.Config) float64 {
	price, _ := strconv.ParseFloat(c.MachinePrice, 64)
	return max(price, math.SmallestNonzeroFloat64)
}

// orNone returns a duration for clerksync.Config, where 0 is the default and less than 0 means
// none.
func orNone(d time.Duration) time.Duration {
	if d == 0 {
		return -1
	}
	return d
}

// policyVersion returns a digest of the policy's text.
func policyVersion(text string) string {
	if text == "" {
		return "none"
	}
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:8])
}

// lists reads texts of the form name=value+value.
func lists(texts []string) map[string][]string {
	all := map[string][]string{}
	for _, text := range texts {
		name, values, found := strings.Cut(text, "=")
		if all[name] = append(all[name], []string{}...); found {
			all[name] = append(all[name], strings.Split(values, "+")...)
		}
	}
	return all
}

// publicHandler lists the routes that anyone can reach.
func publicHandler(m *clerksync.Mirror, c *config.Config, webhooks *outgoing.Publisher, logger *slog.Logger) (http.Handler, error) {
	resources, err := protectedResources(m, c)
	if err != nil {
		return nil, err
	}
	verify, err := forwardauth.New(m, forwardauth.Config{
		Policy: c.Routes, TrustedProxies: c.TrustedProxies, Proxy: forwardauth.Proxy(c.Proxy),
		IdentitySecret: c.IdentitySecret, Resources: resources, Logger: logger,
	})
	if err != nil {
		return nil, err
	}
	routes := m.Handler(clerksync.HandlerOptions{CORSOrigins: c.CORSOrigins, OperatorToken: c.OperatorToken})
	routes = withMetadata(routes, resources)
	if c.OperatorListen == "public" {
		routes = withOperators(routes, operatorAPI(m, c, webhooks), consoleHandler(m, c, webhooks))
	}
	return web.Standard(web.Config{Logger: logger, Proxies: c.TrustedProxies}, verify.Middleware(routes)), nil
}

// withOperators adds the API of operators and the console to the public routes. Metrics and
// profiles are never public.
func withOperators(public, operators, console http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", public)
	for _, path := range apiPaths() {
		mux.Handle(path, operators)
	}
	for _, path := range []string{"/api/auth/", "/api/webhooks/"} {
		mux.Handle(path, public)
	}
	return withConsole(console, web.NotFoundAndMethod(mux))
}

// profiles serves what net/http/pprof registers elsewhere: never on the public listener.
func profiles(mux *http.ServeMux) {
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
}

// operatorHandler lists the routes of operators: /health shows figures here.
func operatorHandler(m *clerksync.Mirror, c *config.Config, scraped http.Handler, webhooks *outgoing.Publisher, logger *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	operators := m.OperatorHandler(clerksync.OperatorOptions{
		Token: c.OperatorToken, OpenHealth: true, // operatorAccess asks for the token where it must
	})
	for _, path := range []string{"/livez", "/readyz", "/health"} {
		mux.Handle(path, operators)
	}
	programs := operatorAPI(m, c, webhooks)
	for _, path := range apiPaths() {
		mux.Handle(path, programs)
	}
	mux.Handle("GET /metrics", scraped)
	profiles(mux)
	routes := operatorAccess(m, c, web.NotFoundAndMethod(mux))
	if console := consoleHandler(m, c, webhooks); console != nil {
		routes = withConsole(ownHost(c.OperatorListen, console), startAtConsole(routes)) // it asks for the token by itself
	}
	return web.Standard(web.Config{Logger: logger, Proxies: c.TrustedProxies}, routes)
}

// ownHost refuses what names another host than a loopback one, where the listener is on one: a page
// elsewhere whose name was made to point here (DNS rebinding) could read what needs no password.
func ownHost(listen string, next http.Handler) http.Handler {
	loopback := func(hostport string) bool {
		host, _, err := net.SplitHostPort(hostport)
		if err != nil {
			host = hostport
		}
		address, err := netip.ParseAddr(strings.Trim(host, "[]"))
		return host == "localhost" || err == nil && address.IsLoopback()
	}
	if !loopback(listen) {
		return next
	}
	return web.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		if !loopback(r.Host) {
			return &web.Problem{Status: http.StatusMisdirectedRequest, Code: "wrong_host", Detail: "Operators ask for a loopback address here"}
		}
		next.ServeHTTP(w, r)
		return nil
	})
}
