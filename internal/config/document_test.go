package config

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/clerksync/clerksync/internal/doctor"
	"github.com/clerksync/clerksync/internal/testenv"
)

// The reference and the example file are generated from the table; `go test ./internal/config
// -update` rewrites them.
func TestDocuments(t *testing.T) {
	t.Parallel()
	root := testenv.Root(t)
	testenv.Golden(t, filepath.Join(root, "docs", "configuration.md"), []byte(reference()))
	testenv.Golden(t, filepath.Join(root, "examples", "clerksync.yaml"), []byte(Example()))
}

// The example is a valid configuration as it stands, and with each of its settings taken out of its
// comment.
func TestExampleIsValid(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	setting := regexp.MustCompile(`(?m)^# ([a-z_]+: )`)
	secrets := map[string]string{
		"clerk_secret_key": "sk_test_x", "clerk_webhook_signing_secret": svixSecret, "clerk_jwt_key": publicPEM(t),
		"clerksync_operator_token": longText, "clerksync_identity_secret": "identity" + longText,
		"clerksync_policy": "routes: [{path: /x}]", "clerk_machine_secret_key": "ak_" + longText,
	}
	pair := certificatePEM(t)
	for name, value := range map[string]string{natsURLName: "nats://a", natsCredentialsName: natsCredentials, natsCAName: pair.cert, natsCertName: pair.cert, natsKeyName: pair.key} {
		secrets[strings.ToLower(name)] = value
	}
	for name, value := range secrets {
		write(t, dir, name, value+"\n")
	}
	whole := strings.ReplaceAll(setting.ReplaceAllString(Example(), "$1"), "/run/secrets/", dir+"/")
	for name, text := range map[string]string{"as it stands": Example(), "every setting": whole} {
		r := Inspect(Options{WorkingDir: dir, Flags: map[string]string{configName: write(t, dir, "c.yaml", text)}})
		if len(r.Faults) > 0 || len(r.Warnings) > 0 {
			t.Errorf("%s: %v %v", name, r.Faults, r.Warnings)
		}
		for _, v := range r.Settings {
			inFile := v.Origin.Source == fromYAML && v.Origin.Line > 0
			if skipped := v.Name == configName; !skipped && inFile != (name == "every setting") {
				t.Errorf("%s: %s comes from %s", name, v.Name, v.Origin)
			}
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "clerksync.db")); err == nil {
		t.Error("reading the settings made a database")
	}
}

// reference returns docs/configuration.md.
func reference() string {
	var b strings.Builder
	b.WriteString(`<!-- Generated from the settings table in internal/config; go test ./internal/config -update rewrites it. -->

# Configuration

Which settings are there, and which of them do I need? This page describes each setting of the clerksync commands.

- ` + "`clerksync config`" + ` shows what is in force and where each value comes from, and lists everything that is wrong.
- ` + "`clerksync config --example`" + ` prints [examples/clerksync.yaml](../examples/clerksync.yaml), a file with all settings.
- Library users set the same things in ` + "`clerksync.Config`" + `; see its documentation.

## Where settings come from

A setting is read from the first of these that has it:

1. a **flag**, for the few settings that have one. Secrets never have one, because every user of a machine can read the
   arguments of its processes;
2. the **environment**;
3. the **YAML file** that ` + "`--config` or `CLERKSYNC_CONFIG`" + ` names. A key is the environment name in lower case;
4. the **default**.

In the environment and in the YAML file, the name with ` + "`_FILE`" + ` (` + "`_file`" + `) is the path of a file that contains the
value, as container platforms mount secrets: ` + "`CLERK_SECRET_KEY_FILE=/run/secrets/clerk_secret_key`" + `. Relative paths
start at the working folder. A server takes new contents of the files of five secrets while it runs
([operations.md](operations.md#rotating-secrets)).

Lists are separated by commas, or are lists in YAML. Durations have units: ` + "`90s`, `10m`, `24h`" + `. An empty text means
unset. An empty file is refused where the setting restricts something. Unknown keys in the file are refused. Commands
warn of unknown environment variables that begin with ` + "`CLERKSYNC_`" + ` or resemble a setting. 🔒 marks secrets, which are
never printed.

Commands also honor ` + "`NO_COLOR`" + `, the ` + "`OTEL_…`" + ` variables of OpenTelemetry, and ` + "`GOGC` and `GOMEMLIMIT`" + `.

## All settings

`)
	for _, g := range Groups() {
		line := "- **" + g.Title + "**:"
		for i, s := range g.Settings {
			link := fmt.Sprintf(" [`%s`](#%s)", s.Name, s.Key())
			if i < len(g.Settings)-1 {
				link += ","
			}
			if len(line)+len(link) > 120 {
				b.WriteString(line + "\n")
				line = " "
			}
			line += link
		}
		b.WriteString(line + "\n")
	}
	for _, g := range Groups() {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n", g.Title, g.Intro)
		for _, s := range g.Settings {
			b.WriteString("\n" + entry(s))
		}
	}
	return b.String()
}

// entry returns the section of a setting.
func entry(s Setting) string {
	secret, names := "", []string{"YAML `" + s.Key() + "`"}
	if s.Secret {
		secret = "🔒 "
	}
	if s.Name == configName {
		names = nil
	}
	if s.Flag != "" {
		names = append(names, "flag `"+s.Flag+"`")
	}
	for _, alias := range s.Aliases {
		names = append(names, "also read from `"+alias+"`")
	}
	unset := "`" + s.Default + "`"
	if s.Default == "" {
		unset = "unset; " + s.Unset
	}
	text := fmt.Sprintf("### `%s`\n\n%s\n\n", s.Name, doctor.Wrap(secret+s.Summary, "", 120))
	for _, line := range []string{
		"Names: " + strings.Join(names, ", "), "Value: " + s.Value, "Default: " + unset, "When to change it: " + s.When,
	} {
		text += "- " + doctor.Wrap(line, "  ", 120) + "\n"
	}
	return text
}
