package cli

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/internal/config"
	"github.com/clerksync/clerksync/internal/doctor"
	"github.com/clerksync/clerksync/mirror"
	"github.com/clerksync/clerksync/sqlite"
)

type doctorCommand struct {
	serverFlags
	PublicURL string `help:"URL at which Clerk reaches the server; doctor tries its webhook route (CLERKSYNC_PUBLIC_URL)." placeholder:"URL" group:"settings"`
	JSON      bool   `name:"json" help:"Print JSON."`
}

// Help returns the text below the description.
func (doctorCommand) Help() string {
	return `Example:

    clerksync doctor --public-url https://auth.example.com

Run it with the settings of the server, also next to a running server. It reads the database, calls Clerk, and sends an unsigned webhook ` +
		`to the public URL. It changes nothing.

Exit code 0: everything works, perhaps with warnings, 1: something does not work.`
}

func (c doctorCommand) settings() map[string]string {
	all := c.serverFlags.settings()
	all["CLERKSYNC_PUBLIC_URL"] = c.PublicURL
	return all
}

// Run runs all checks and prints what they found.
func (c doctorCommand) Run(ctx context.Context, p *process) error {
	findings := c.examine(ctx, p)
	doctor.Sort(findings)
	if c.JSON {
		err := json.NewEncoder(p.stdout).Encode(struct {
			OK       bool             `json:"ok"`
			Findings []mirror.Finding `json:"findings"`
		}{doctor.Worst(findings) != mirror.FindingFailure, findings})
		if err != nil {
			return err
		}
	} else {
		doctor.Print(p.stdout, findings, terminalOf(p.stdout, p.environ).width)
	}
	if doctor.Worst(findings) == mirror.FindingFailure {
		return exitFailed
	}
	return nil
}

func (c doctorCommand) examine(ctx context.Context, p *process) (found []mirror.Finding) {
	add := func(severity mirror.FindingSeverity, f config.Fault) {
		found = append(found, mirror.Finding{Check: "configuration", Severity: severity, Text: f.What + " (" + f.Name + "). " + f.Why, Remedy: f.Remedy})
	}
	cfg, warnings, err := config.Load(p.options(c))
	for _, w := range warnings {
		add(mirror.FindingWarning, config.Fault(w))
	}
	if faults, ok := errors.AsType[config.Faults](err); ok {
		for _, f := range faults {
			add(mirror.FindingFailure, f)
		}
	}
	broken := func(remedy string, err error) []mirror.Finding {
		f := doctor.Fail(remedy, "%v", err)
		if fault, ok := errors.AsType[*mirror.DatabaseError](err); ok {
			f = doctor.Fail(fault.Remedy, "%s %s.", fault.Database, fault.Problem)
		}
		f.Check = "database"
		return append(found, f)
	}
	if err != nil {
		return found
	}
	o := clerksync.DoctorOptions{PublicURL: cfg.PublicURL}
	db, err := openToRead(cfg)
	if errors.Is(err, sqlite.ErrNoDatabase) {
		if d := cfg.Database; !d.Memory {
			if _, err := os.Stat(filepath.Dir(d.Path)); err != nil {
				return broken("Create the folder, or correct DATABASE_URL.", errors.New("the folder of the database does not exist"))
			}
			o.NoDatabase = true
		}
		db, err = sqlite.Open(sqlite.Memory) // in its place
	}
	if err != nil {
		return broken("Check DATABASE_URL, and the permissions of the file.", err)
	}
	return append(found, diagnose(ctx, db, cfg, o)...)
}

// diagnoseRunning runs the checks for a server that runs: its configuration is valid.
func diagnoseRunning(ctx context.Context, cfg *config.Config) []mirror.Finding {
	db, err := openToRead(cfg)
	if err != nil {
		f := doctor.Fail("Check DATABASE_URL, and the permissions of the file.", "%v", err)
		f.Check = "database"
		return []mirror.Finding{f}
	}
	o := clerksync.DoctorOptions{PublicURL: cfg.PublicURL}
	return diagnose(ctx, db, cfg, o)
}

func diagnose(ctx context.Context, db clerksync.DB, cfg *config.Config, o clerksync.DoctorOptions) []mirror.Finding {
	settings := mirrorConfig(cfg, slog.New(slog.DiscardHandler))
	var err error
	if settings.ReadDB, err = openReplica(cfg); err != nil {
		f := doctor.Fail("Correct CLERKSYNC_READ_DATABASE_URL.", "%v", errors.Join(err, db.Close()))
		f.Check = "database"
		return []mirror.Finding{f}
	}
	return clerksync.Diagnose(ctx, db, settings, o)
}
