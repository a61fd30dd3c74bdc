package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"

	"github.com/clerksync/clerksync/internal/config"
	"github.com/clerksync/clerksync/internal/telemetry"
)

// configFlags are the settings that every command has as flags. All others come from the
// environment or the YAML file.
type configFlags struct {
	Config      string `help:"YAML file with settings (CLERKSYNC_CONFIG)." placeholder:"FILE" group:"settings"`
	DatabaseURL string `help:"Database of the mirror: sqlite:FILE or postgres://… (DATABASE_URL)." placeholder:"URL" group:"settings"`
	LogLevel    string `help:"debug, info, warn or error (CLERKSYNC_LOG_LEVEL)." placeholder:"LEVEL" group:"settings"`
	LogFormat   string `help:"json or text (CLERKSYNC_LOG_FORMAT)." placeholder:"FORMAT" group:"settings"`
}

func (f configFlags) settings() map[string]string {
	return map[string]string{
		"CLERKSYNC_CONFIG": f.Config, "DATABASE_URL": f.DatabaseURL,
		"CLERKSYNC_LOG_LEVEL": f.LogLevel, "CLERKSYNC_LOG_FORMAT": f.LogFormat,
	}
}

// serverFlags are the settings that commands about the server have as flags.
type serverFlags struct {
	configFlags
	Listen         string `help:"Public address, default :8080 (CLERKSYNC_LISTEN)." placeholder:"ADDR" group:"settings"`
	OperatorListen string `help:"Address for operators, default 127.0.0.1:8081; \"off\" disables it (CLERKSYNC_OPERATOR_LISTEN)." placeholder:"ADDR" group:"settings"`
}

func (f serverFlags) settings() map[string]string {
	all := f.configFlags.settings()
	maps.Copy(all, map[string]string{"CLERKSYNC_LISTEN": f.Listen, "CLERKSYNC_OPERATOR_LISTEN": f.OperatorListen})
	return all
}

// settingFlags is a command with flags for settings.
type settingFlags interface {
	settings() map[string]string // by environment name; "" is unset
}

// options returns where the settings of a command come from.
func (p *process) options(flags settingFlags) config.Options {
	return config.Options{Flags: flags.settings(), Environ: p.environ}
}

// load reads the settings of a command and prints warnings.
func (p *process) load(flags settingFlags) (*config.Config, error) {
	cfg, warnings, err := config.Load(p.options(flags))
	for _, w := range warnings {
		fmt.Fprintln(p.stderr, w)
	}
	return cfg, err
}

// quietLogger returns the logger of a command that says by itself what it does: unless a level is
// configured, it logs nothing, and only warns that what it stores passes by an OnChange.
func (p *process) quietLogger(cfg *config.Config) (*slog.Logger, error) {
	for _, v := range cfg.Values() {
		if v.Name == "CLERKSYNC_LOG_LEVEL" && v.Origin.Source == "default" {
			return slog.New(bypassWarning{p.stderr}), nil
		}
	}
	return p.logger(cfg)
}

// bypassWarning is a log of which only the warning hook_bypassed is printed, in lines.
type bypassWarning struct{ w io.Writer }

// Enabled reports that only warnings and errors count.
func (b bypassWarning) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn
}

// Handle prints the warning with its remedy.
func (b bypassWarning) Handle(_ context.Context, line slog.Record) error {
	code, remedy := "", ""
	line.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "code":
			code = a.Value.String()
		case "remedy":
			remedy = a.Value.String()
		}
		return true
	})
	if code != "hook_bypassed" {
		return nil
	}
	_, err := fmt.Fprintf(b.w, "warning: %s (%s)\n%s\n", line.Message, code, remedy)
	return err
}

// WithAttrs returns the same log.
func (b bypassWarning) WithAttrs([]slog.Attr) slog.Handler { return b }

// WithGroup returns the same log.
func (b bypassWarning) WithGroup(string) slog.Handler { return b }

// logger returns the configured logger, which writes to stderr.
func (p *process) logger(cfg *config.Config) (*slog.Logger, error) {
	return telemetry.NewLogger(p.stderr, cfg.LogFormat, cfg.LogLevel)
}
