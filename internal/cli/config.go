package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/clerksync/clerksync/internal/config"
	"github.com/clerksync/clerksync/internal/doctor"
)

type configCommand struct {
	serverFlags
	JSON    bool `name:"json" help:"Print one JSON object: file, settings, warnings and faults."`
	Example bool `help:"Print an example file with all settings instead."`
}

// Help returns the text below the description.
func (configCommand) Help() string {
	return `Example:

    clerksync config --config clerksync.yaml

Settings come from flags, then the environment, then the YAML file, then defaults. Secrets are hidden. Nothing is written, ` +
		`and neither the database nor Clerk is contacted. docs/configuration.md describes every setting.

Exit code 0: the settings are valid, 1: they are not.`
}

// Run prints the settings and everything that is wrong with them.
func (c configCommand) Run(_ context.Context, p *process) error {
	if c.Example {
		_, err := fmt.Fprint(p.stdout, config.Example())
		return err
	}
	report := config.Inspect(p.options(c))
	err := error(nil)
	if c.JSON {
		err = json.NewEncoder(p.stdout).Encode(report)
	} else {
		printSettings(p.stdout, report.Settings, terminalOf(p.stdout, p.environ).width)
		for _, w := range report.Warnings {
			fmt.Fprintf(p.stderr, "\n%s\n", w)
		}
		if len(report.Faults) > 0 {
			fmt.Fprintf(p.stderr, "\n%s\n", report.Faults)
		}
	}
	if err == nil && len(report.Faults) > 0 {
		return exitFailed
	}
	return err
}

// printSettings prints the settings that are set, the defaults in force, and the names of the
// settings without a value.
func printSettings(w io.Writer, settings []config.Value, width int) {
	var set, defaults []config.Value
	var unset []string
	for _, v := range settings {
		switch {
		case v.Origin.Source != "default":
			set = append(set, v)
		case v.Value == "" || v.Value == "unset":
			unset = append(unset, v.Name)
		default:
			defaults = append(defaults, v)
		}
	}
	fmt.Fprintln(w, "Set:")
	printOrigins(w, set, width)
	if len(set) == 0 {
		fmt.Fprintln(w, "  nothing")
	}
	fmt.Fprintln(w, "\nDefaults:")
	for _, v := range defaults {
		fmt.Fprintf(w, "  %-*s  %s\n", longestName(defaults), v.Name, v.Value)
	}
	fmt.Fprintf(w, "\nWithout a value:\n  %s\n", doctor.Wrap(strings.Join(unset, ", "), "  ", cmp.Or(width, 80)))
}

// printOrigins prints where values come from: next to the value, or below it if a terminal is too
// narrow.
func printOrigins(w io.Writer, values []config.Value, width int) {
	names := longestName(values)
	for _, v := range values {
		value, origin := harmless(v.Value), "← "+harmless(v.Origin.String())
		switch {
		case v.Origin.Source == "":
			origin = "← the YAML file cannot be read"
		case v.Value == "set":
			value = "(hidden)"
		}
		between := "  "
		if column := 2 + names + 2; width > 0 && column+utf8.RuneCountInString(value+between+origin) > width {
			between = "\n" + strings.Repeat(" ", column)
		}
		fmt.Fprintf(w, "  %-*s  %s%s%s\n", names, v.Name, value, between, origin)
	}
}

func longestName(values []config.Value) (longest int) {
	for _, v := range values {
		longest = max(longest, len(v.Name))
	}
	return longest
}
