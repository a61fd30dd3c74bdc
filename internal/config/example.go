package config

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/clerksync/clerksync/internal/doctor"
)

// Example returns a YAML file in which every setting is a comment: with its default, or with an
// example.
func Example() string {
	var b strings.Builder
	b.WriteString(`# Settings of clerksync. Name this file with --config or CLERKSYNC_CONFIG.
#
# Every setting is commented out and shows its default, or an example if it has none. Flags and
# environment variables take precedence over this file. clerksync config shows what is in force.
# Keep secrets in files of their own: NAME_file is the path of a file with the value of NAME.
`)
	for _, g := range Groups() {
		fmt.Fprintf(&b, "\n# --- %s ---\n", g.Title)
		for _, s := range g.Settings {
			if s.Name == configName {
				continue // it cannot be in the file
			}
			b.WriteString("\n" + commented(s.Summary))
			if s.Default == "" {
				b.WriteString(commented("Without a value: " + s.Unset + "."))
			}
			fmt.Fprintf(&b, "# %s\n", s.exampleLine())
		}
	}
	return b.String()
}

// exampleLine returns a line of YAML that sets the setting.
func (s Setting) exampleLine() string {
	if s.Secret || s.multiline {
		return fmt.Sprintf("%s%s: /run/secrets/%[1]s", s.Key(), strings.ToLower(fileSuffix))
	}
	value := cmp.Or(s.Default, s.Example)
	if strings.HasPrefix(value, ":") || strings.HasSuffix(value, "%") {
		value = "'" + value + "'"
	}
	return s.Key() + ": " + value
}

// commented returns a text as comment lines of at most 100 columns.
func commented(text string) string { return "# " + doctor.Wrap(text, "# ", 100) + "\n" }
