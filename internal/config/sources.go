package config

import (
	"cmp"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/clerksync/clerksync/internal/nearest"
)

// source is one place that settings come from.
type source struct {
	label  string            // as Origin.Source
	path   string            // of the YAML file
	values map[string]string // by environment name, alias or NAME_FILE; none is empty
	lines  map[string]int    // in the YAML file, by the same names
}

// key returns how a name is written in the source.
func (s source) key(name string) string {
	switch s.label {
	case fromFlag:
		return "--" + strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(name, "CLERKSYNC_")), "_", "-")
	case fromYAML:
		return strings.ToLower(name)
	}
	return name
}

// spell returns how a message names a setting of the source.
func (s source) spell(name string) string {
	if s.label == fromYAML {
		return s.key(name) + " in " + s.path
	}
	return s.key(name)
}

func (l *loader) flags(flags map[string]string) source {
	s := source{label: fromFlag, values: maps.Clone(flags)}
	maps.DeleteFunc(s.values, func(_, text string) bool { return text == "" })
	return s
}

func (l *loader) environment(environ []string) source {
	s := source{label: fromEnvironment, values: map[string]string{}}
	unknown := map[string]bool{}
	for _, entry := range environ {
		name, text, _ := strings.Cut(entry, "=")
		switch {
		case text == "" && s.values[name] == "":
			l.noteEmpty(name, name)
		case text == "" || s.values[name] != "":
		case l.known(name):
			s.values[name] = text
		case l.suspicious(name, text):
			unknown[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(unknown)) {
		near, _ := l.nearest(name)
		l.warn(printable(name), "environment variable is unknown", "It has no effect.",
			"The nearest known name is "+near+"; rename it or unset it.")
	}
	return s
}

// suspicious reports whether a variable that is no setting was probably meant to be one.
func (l *loader) suspicious(name, text string) bool {
	switch {
	case strings.HasPrefix(name, "CLERKSYNC_EMULATE_"): // flags of clerksync emulate
		return false
	case strings.HasPrefix(name, "CLERKSYNC_"):
		return !serviceLink(name, text)
	case strings.HasPrefix(name, "CLERK_"): // many are for Clerk's SDKs
		_, distance := l.nearest(name)
		return distance <= maxTypos && !slices.Contains(sdkNames(), name)
	}
	return false
}

// maxTypos is how many letters a CLERK_ name may differ from a known one to be taken for it.
const maxTypos = 2

// sdkNames returns the names of Clerk's SDKs that resemble names of this program.
func sdkNames() []string {
	return []string{"CLERK_API_KEY", "CLERK_FAPI_URL", "CLERK_JS_URL", "CLERK_PROXY_URL"}
}

// serviceLink reports whether Kubernetes set the variable. It does so in every container for a
// service called clerksync or clerksync-…, in the form of Docker links.
func serviceLink(name, text string) bool {
	port := strings.HasSuffix(name, "_PORT") && (strings.HasPrefix(text, "tcp://") || strings.HasPrefix(text, "udp://"))
	return port || regexp.MustCompile(`_SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)$|_PORT_[0-9]+_(TCP|UDP)(_(PROTO|PORT|ADDR))?$`).
		MatchString(name)
}

// known reports whether a source may have this name.
func (l *loader) known(name string) bool {
	if _, ok := l.settings[name]; ok {
		return true
	}
	base, isFile := strings.CutSuffix(name, fileSuffix)
	_, ok := l.settings[base]
	return isFile && ok && base != configName
}

// nearest returns the known name closest to one that is not known, and how many letters differ.
// Prefixes do not count, since people confuse them.
func (l *loader) nearest(name string) (near string, distance int) {
	var names []string
	for known := range l.settings {
		names = append(names, known)
		if known != configName {
			names = append(names, known+fileSuffix)
		}
	}
	slices.Sort(names)
	stem := func(name string) string { return strings.TrimPrefix(strings.TrimPrefix(name, "CLERKSYNC_"), "CLERK_") }
	to := func(known string) int { return nearest.Distance(stem(name), stem(known)) }
	near = slices.MinFunc(names, func(a, b string) int { return cmp.Compare(to(a), to(b)) })
	return near, to(near)
}

// yamlFile reads the YAML file, if an earlier source names one.
func (l *loader) yamlFile(before []source) source {
	s := source{label: fromYAML}
	l.config.Sources[configName] = Origin{Source: fromDefault}
	for _, from := range slices.Backward(before) {
		if path := from.values[configName]; path != "" {
			s.path = path
			l.record(l.settings[configName], from, configName, "")
		}
	}
	if s.path == "" {
		return s
	}
	l.config.File = s.path
	if ext := filepath.Ext(s.path); ext == ".yaml" || ext == ".yml" {
		l.written[configName] = s.path // the name of such a file is no secret
	}
	text, err := l.readFile(s.path)
	if err == nil && strings.TrimSpace(text) == "" {
		err = valueError{"is empty", "Write the settings into it, or name no file. A comment is enough if there are none."}
	}
	if err == nil {
		l.written[configName] = s.path
		s.values, s.lines, err = l.parseYAML(text)
	}
	l.yamlUnread = s.values == nil
	if err != nil {
		l.fault(l.settings[configName], err)
	}
	return s
}

// printable shortens a name that others chose, and quotes it unless it is a plain name.
func printable(name string) string {
	if quoted := fmt.Sprintf("%.64q", name); quoted != `"`+name+`"` {
		return quoted
	}
	return name
}

// An empty text counts as unset: compose files and templates pass on every name, set or not. An
// empty file is a fault where the setting restricts something: an operator who names a file wants
// what is in it, and a file that was lost or truncated must not permit what it restricted.

// noteEmpty remembers that a source sets a name to an empty text; written is the name as written
// there.
func (l *loader) noteEmpty(name, written string) {
	s, known := l.settings[name]
	if !known {
		s, known = l.settings[strings.TrimSuffix(name, fileSuffix)]
	}
	if known && name != portName && l.empty[s.Name] == "" { // platforms set PORT, empty or not
		l.empty[s.Name] = written
	}
}

// reportEmpty reports a setting that restricts something and that sources set only to an empty
// text. An empty policy is a fault: it is never meant, and any signed-in user would pass.
func (l *loader) reportEmpty(s Setting) {
	name := l.empty[s.Name]
	if s.Name == policyName {
		l.written[s.Name] = name
		l.fault(s, valueError{"is set and empty", "Write the policy, or unset the name to go without one."})
		return
	}
	l.warn(name, s.noun+" is set and empty", "It counts as unset. "+s.why, "Write a value, or unset the name.")
}
