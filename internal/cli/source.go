package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/api"
	"github.com/clerksync/clerksync/internal/access"
	"github.com/clerksync/clerksync/internal/apiclient"
	"github.com/clerksync/clerksync/internal/config"
	"github.com/clerksync/clerksync/internal/web"
	"github.com/clerksync/clerksync/mirror"
)

// sourceFlags say where a command works: on a database, or on a running server.
type sourceFlags struct {
	configFlags
	Server string `help:"Ask the server at this URL of its operator listener, with CLERKSYNC_OPERATOR_TOKEN, in place of a database." placeholder:"URL" group:"settings"`
}

func (f sourceFlags) source() sourceFlags { return f }

// sourced is a command that works on a database or on a running server.
type sourced interface {
	settingFlags
	source() sourceFlags
}

// withClient does work with a client of the API: that of a running server, or that of the mirror
// that open opens in this process. It says what to do after errors of the connection.
func (p *process) withClient(ctx context.Context, flags sourced, open opener, work func(*apiclient.Client) error) error {
	return p.withSource(ctx, flags, open, func(s source) error { return work(s.Client) })
}

// source is where a command works.
type source struct {
	*apiclient.Client
	// mirror is the opened one, nil for a server. It has no background work.
	mirror *clerksync.Mirror
}

// prepare adds to the options of the API of an opened mirror.
type prepare func(*config.Config, *slog.Logger, *clerksync.Mirror, *api.Options) error

// withSource is withClient for work that also needs to know where it is done.
func (p *process) withSource(ctx context.Context, flags sourced, open opener, work func(source) error, more ...prepare) error {
	cfg, _, err := config.Load(p.options(flags)) // the warnings concern servers
	if err != nil {
		return err
	}
	if f := flags.source(); f.Server != "" {
		if f.DatabaseURL != "" {
			return usageError("--server and --database-url exclude each other: the server has its own database")
		}
		client, err := apiclient.Remote(f.Server, cfg.OperatorToken)
		if err == nil {
			err = work(source{client, nil})
		}
		return ofServer(f.Server, err)
	}
	logger, err := p.quietLogger(cfg)
	if err != nil {
		return err
	}
	m, err := open(ctx, cfg, logger)
	if err != nil {
		return err
	}
	defer m.Close()
	var causes causes
	options := apiOptions(cfg)
	options.OperatorToken, options.Rule, options.Origin = "", nil, "command" // the user who runs the command is the operator
	for _, add := range more {
		if err := add(cfg, logger, m, &options); err != nil {
			return err
		}
	}
	return work(source{apiclient.Local(asOperator(api.New(m, options), &causes), causes.take), m})
}

// asOperator serves requests of this process, which the user who runs the command makes.
func asOperator(h http.Handler, causes *causes) http.Handler {
	return web.AccessLog(slog.New(causes), nil)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		access.ServeAs(mirror.Operator{Name: operatorName()}, h, w, r)
	}))
}

// causes is a log of requests that keeps the cause of the last error, which an answer of the API
// does not show.
type causes struct {
	mu   sync.Mutex
	last error
}

// Enabled reports that all levels count.
func (c *causes) Enabled(context.Context, slog.Level) bool { return true }

// Handle keeps the error of a line.
func (c *causes) Handle(_ context.Context, line slog.Record) error {
	line.Attrs(func(a slog.Attr) bool {
		if problem, ok := a.Value.Any().(error); ok && a.Key == "error" {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.last = problem
		}
		return true
	})
	return nil
}

// WithAttrs returns the same log: attributes of requests are not kept.
func (c *causes) WithAttrs([]slog.Attr) slog.Handler { return c }

// WithGroup returns the same log.
func (c *causes) WithGroup(string) slog.Handler { return c }

// take returns the cause of the last error.
func (c *causes) take() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if problem, ok := errors.AsType[*web.Problem](c.last); ok {
		return problem.Err
	}
	return c.last
}

// ofServer adds to an error of a server what it means and what to do.
func ofServer(address string, err error) error {
	failed, _ := errors.AsType[*apiclient.Error](err)
	lost, unreachable := errors.AsType[*apiclient.UnreachableError](err)
	const listener = "Use the URL of its operator listener (CLERKSYNC_OPERATOR_LISTEN), such as http://127.0.0.1:8081"
	switch {
	case err == nil:
		return nil
	case errors.Is(err, apiclient.ErrAddress):
		return usageError("--server " + address + ": this is not the URL of a server\n" + listener)
	case errors.Is(err, apiclient.ErrNoToken):
		return errors.New("the server asks for the token of an operator\n" +
			"Set CLERKSYNC_OPERATOR_TOKEN to the token of that server, or to one that clerksync operators add has printed there")
	case unreachable && lost.Unknown():
		return fmt.Errorf("%w\nIt may have made the change all the same\nLook whether it did before you try again", err)
	case unreachable:
		return fmt.Errorf("%w\nStart the server, or check the address. %s", err, listener)
	case failed == nil:
		return err
	case failed.Foreign:
		return fmt.Errorf("the server at %s has no such route (%d %s)\n%s. The server may also be older than this program",
			address, failed.Status, http.StatusText(failed.Status), listener)
	case failed.Status == http.StatusUnauthorized:
		return errors.New("the server does not accept the operator token\n" +
			"Set CLERKSYNC_OPERATOR_TOKEN to the token of that server, or to one that clerksync operators add has printed there")
	}
	return err
}
