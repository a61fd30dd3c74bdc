package config

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/clerksync/clerksync/internal/nearest"
)

// Names that Load treats apart from the rest of the table.
const (
	configName         = "CLERKSYNC_CONFIG"
	secretKeyName      = "CLERK_SECRET_KEY"
	webhookName        = "CLERK_WEBHOOK_SIGNING_SECRET"
	schemeName         = "CLERKSYNC_WEBHOOK_SCHEME"
	listenName         = "CLERKSYNC_LISTEN"
	portName           = "PORT"
	operatorListenName = "CLERKSYNC_OPERATOR_LISTEN"
	rolesName          = "CLERKSYNC_ROLES"
	adminRoleName      = "CLERKSYNC_ADMIN_ROLE"
	algorithmName      = "CLERK_JWT_ALGORITHM"
	jwtKeyName         = "CLERK_JWT_KEY"
	issuerName         = "CLERK_ISSUER"
	publishableName    = "CLERK_PUBLISHABLE_KEY"
	missingAZPName     = "CLERKSYNC_DANGEROUSLY_ALLOW_MISSING_AZP"
	proxiesName        = "CLERKSYNC_TRUSTED_PROXIES"
	policyName         = "CLERKSYNC_POLICY"
	identityName       = "CLERKSYNC_IDENTITY_SECRET"
	operatorTokenName  = "CLERKSYNC_OPERATOR_TOKEN" //nolint:gosec // a name
	walkMinName        = "CLERKSYNC_WALK_MIN_PAUSE"
	walkMaxName        = "CLERKSYNC_WALK_MAX_PAUSE"
	databaseName       = "DATABASE_URL"
	synchronousName    = "CLERKSYNC_SQLITE_SYNCHRONOUS"

	twinSuffix = "_FILE"
	maxFile    = 1 << 20 // bytes of the YAML file and of each NAME_FILE
)

// Options is what Load reads from.
type Options struct {
	Flags      map[string]string // by environment name (also NAME_FILE), whatever the flag is called
	Environ    []string          // as of os.Environ
	ConfigPath string            // of --config; empty: CLERKSYNC_CONFIG
	WorkingDir string            // start of relative paths; empty: that of the process
}

// Load reads and validates the configuration; the package comment has the rules. It opens no connection and writes
// nothing; it reads the YAML file and the files that NAME_FILE names, at most 1 MiB each. The error, if any, is Faults
// with every fault found, and then the Config is nil. Warnings come with and without faults.
func Load(o Options) (*Config, []Warning, error) {
	l := newLoader(o)
	sources := []source{l.flags(o.Flags), l.environment(o.Environ)}
	sources = append(sources, l.file(o.ConfigPath, sources))
	for _, v := range Settings() {
		if v.Name != configName {
			l.load(v, sources)
		}
	}
	l.derive()
	if len(l.faults) > 0 {
		return nil, l.warnings, l.faults
	}
	return l.config, l.warnings, nil
}

type loader struct {
	dir       string
	config    *Config
	variables map[string]Setting // by name and alias
	written   map[string]string  // name of a variable -> that name as it was written where the value was found
	faulty    map[string]bool    // variables whose value is not known
	empty     map[string]string  // variables that some source sets to an empty text -> the name as written there
	blind     bool               // the YAML file cannot be read, so that what is set nowhere else is not known
	faults    Faults
	warnings  []Warning
}

func newLoader(o Options) *loader {
	l := &loader{
		dir:       o.WorkingDir,
		config:    &Config{Sources: map[string]string{}},
		variables: map[string]Setting{},
		written:   map[string]string{},
		faulty:    map[string]bool{},
		empty:     map[string]string{},
	}
	for _, v := range Settings() {
		for _, name := range v.names() {
			l.variables[name] = v
		}
	}
	return l
}

// source is one place that settings come from.
type source struct {
	label  string                   // as in Config.Sources
	values map[string]string        // by environment name, alias or twin; none is empty
	spell  func(name string) string // how people write the name there
}

// valueError is a fault of a value: what is wrong, put so that it follows the noun of the variable, and a remedy where
// the variable's own does not help.
type valueError struct{ what, remedy string }

func (c valueError) Error() string { return c.what }

// fault reports each error that err joins.
func (l *loader) fault(v Setting, err error) {
	l.faulty[v.Name] = true
	for _, err := range split(err) {
		c := valueError{what: err.Error()}
		errors.As(err, &c)
		l.faults = append(l.faults, Fault{
			Name: cmp.Or(l.written[v.Name], v.Name), What: v.noun + " " + c.what, Why: v.why, Remedy: cmp.Or(c.remedy, v.form),
		})
	}
}

// split takes joined errors apart.
func split(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var errs []error
	for _, err := range joined.Unwrap() {
		errs = append(errs, split(err)...)
	}
	return errs
}

func (l *loader) warn(name, what, why, remedy string) {
	l.warnings = append(l.warnings, Warning{Name: name, What: what, Why: why, Remedy: remedy})
}

// unknown reports whether the value of any of the variables is not known.
func (l *loader) unknown(names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return l.faulty[name] })
}

// known reports whether a source may hold this name.
func (l *loader) known(name string) bool {
	if _, ok := l.variables[name]; ok {
		return true
	}
	base, twin := strings.CutSuffix(name, twinSuffix)
	_, ok := l.variables[base]
	return twin && ok && base != configName
}

// nearest is the known name closest to one that is not. Prefixes do not count, since they are what people mix up.
func (l *loader) nearest(name string) string {
	var names []string
	for known := range l.variables {
		names = append(names, known)
		if known != configName {
			names = append(names, known+twinSuffix)
		}
	}
	slices.Sort(names)
	stem := func(name string) string { return strings.TrimPrefix(strings.TrimPrefix(name, "CLERKSYNC_"), "CLERK_") }
	return slices.MinFunc(names, func(a, b string) int {
		return cmp.Compare(nearest.Distance(stem(name), stem(a)), nearest.Distance(stem(name), stem(b)))
	})
}

func (l *loader) flags(flags map[string]string) source {
	s := source{label: "flag", values: map[string]string{}, spell: func(name string) string { return "--" + flagName(name) }}
	for _, name := range slices.Sorted(maps.Keys(flags)) {
		text := flags[name]
		v, ok := l.variables[name]
		switch {
		case text == "":
		case ok && v.Secret:
			l.faulty[v.Name] = true
			l.faults = append(l.faults, Fault{
				Name: s.spell(name), What: v.noun + " is given as a flag",
				Why:    "Every user of this machine can read the arguments of its processes.",
				Remedy: fmt.Sprintf("Set %s or %s%s in the environment.", name, name, twinSuffix),
			})
		case l.known(name):
			s.values[name] = text
		default:
			l.faults = append(l.faults, Fault{
				Name: s.spell(name), What: "flag is unknown", Why: "A misspelt setting would silently keep its default.",
				Remedy: "The nearest known one is " + s.spell(l.nearest(name)) + ".",
			})
		}
	}
	return s
}

func (l *loader) environment(environ []string) source {
	s := source{label: "environment", values: map[string]string{}, spell: func(name string) string { return name }}
	unknown := map[string]bool{}
	for _, entry := range environ {
		name, text, _ := strings.Cut(entry, "=")
		switch {
		case text == "" && s.values[name] == "":
			l.noteEmpty(name, s.spell)
		case text == "" || s.values[name] != "":
		case l.known(name):
			s.values[name] = text
		case strings.HasPrefix(name, "CLERKSYNC_") && !serviceLink(name, text):
			unknown[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(unknown)) {
		near := l.nearest(name)
		l.warn(printable(name), "environment variable is unknown", "It has no effect.",
			"The nearest known name is "+near+"; rename it or unset it.")
	}
	return s
}

// serviceLink tells the variables that Kubernetes sets in every container for a service called clerksync or
// clerksync-…, in the form of Docker links: nobody wrote them, so nobody is warned of them.
func serviceLink(name, text string) bool {
	port := strings.HasSuffix(name, "_PORT") && (strings.HasPrefix(text, "tcp://") || strings.HasPrefix(text, "udp://"))
	return port || regexp.MustCompile(`_SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)$|_PORT_[0-9]+_(TCP|UDP)(_(PROTO|PORT|ADDR))?$`).
		MatchString(name)
}

// file reads the YAML file, if one is named by path or by the sources before it.
func (l *loader) file(path string, before []source) source {
	label := "flag"
	for _, s := range before {
		if path == "" && s.values[configName] != "" {
			path, label = s.values[configName], s.label
			l.written[configName] = s.spell(configName)
		}
	}
	if path == "" {
		l.config.Sources[configName] = "default"
		return source{}
	}
	if l.written[configName] == "" {
		l.written[configName] = "--config"
	}
	l.config.File, l.config.Sources[configName] = path, label
	s := source{label: "file " + path, spell: func(name string) string { return strings.ToLower(name) + " in " + path }}
	text, err := l.read(path)
	if err == nil && strings.TrimSpace(text) == "" {
		err = valueError{"is empty", "Write the settings into it, or name no file. A comment is enough if there are none."}
	}
	if err == nil {
		l.written[configName] = path
		s.values, err = l.parseYAML(text)
	}
	l.blind = s.values == nil
	if err != nil {
		l.fault(l.variables[configName], err)
	}
	return s
}

// load finds the value of v and sets it.
func (l *loader) load(v Setting, sources []source) {
	text, err := l.find(v, sources)
	switch {
	case err != nil:
	case text == "" && (l.blind || l.faulty[v.Name]):
		l.faulty[v.Name] = true
		return
	case text == "":
		if l.empty[v.Name] != "" && !v.emptyIsUnset {
			l.isEmpty(v)
		}
		text = v.Default
		l.config.Sources[v.Name] = "default"
	case !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool {
		return unicode.IsControl(r) && (!v.multiline || !strings.ContainsRune("\n\r\t", r))
	}):
		err = errors.New("holds a control character or is not UTF-8")
	}
	if err == nil && text != "" {
		err = v.set(l.config, text)
	}
	if err != nil {
		l.fault(v, err)
	}
}

// find returns the first value that v has, or "", and notes where it was found.
func (l *loader) find(v Setting, sources []source) (string, error) {
	for _, s := range sources {
		for _, name := range v.names() {
			text, label, twin := s.values[name], s.label, s.values[name+twinSuffix]
			if text == "" && twin == "" {
				continue
			}
			l.written[v.Name] = s.spell(name)
			if text != "" && twin != "" {
				return "", valueError{
					what:   "is given twice, directly and as a file",
					remedy: fmt.Sprintf("Unset %s or %s.", s.spell(name), s.spell(name+twinSuffix)),
				}
			}
			if twin != "" {
				l.written[v.Name] = s.spell(name + twinSuffix)
				var err error
				if text, err = l.read(twin); err != nil {
					return "", err
				}
				label = "file " + twin
				if text = strings.TrimRight(text, "\r\n"); text == "" {
					if !v.emptyIsUnset {
						return "", valueError{"comes from an empty file", "Write the value into the file, or unset the name."}
					}
					l.warn(l.written[v.Name], v.noun+" comes from an empty file", "It counts as unset.",
						"Write the value into the file, or unset the name.")
					continue
				}
			}
			if name == portName {
				text = ":" + text
			}
			l.config.Sources[v.Name] = label
			return text, nil
		}
	}
	delete(l.written, v.Name)
	return "", nil
}

// read returns the content of a small file. Its errors do not quote the path, which may be a secret put there by
// mistake.
func (l *loader) read(path string) (string, error) {
	const remedy = "Name a readable file of at most 1 MiB."
	file, err := os.Open(l.resolve(path))
	if err != nil {
		return "", valueError{"cannot be read: " + cause(err), remedy}
	}
	defer file.Close() //nolint:errcheck // only read
	content, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	switch {
	case err != nil:
		return "", valueError{"cannot be read: " + cause(err), remedy}
	case len(content) > maxFile:
		return "", valueError{"cannot be read: it is larger than 1 MiB", remedy}
	}
	return string(content), nil
}

func (l *loader) resolve(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(l.dir, path)
}

// cause is the text of a file error without the path.
func cause(err error) string {
	if pathError, ok := errors.AsType[*fs.PathError](err); ok {
		return pathError.Err.Error()
	}
	return "unknown error"
}

// printable shortens and, where it is anything but a plain name, quotes a name that others chose.
func printable(name string) string {
	if quoted := fmt.Sprintf("%.64q", name); quoted != `"`+name+`"` {
		return quoted
	}
	return name
}
