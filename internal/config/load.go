package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Names that the loader treats apart from the rest of the table.
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
	readDatabaseName   = "CLERKSYNC_READ_DATABASE_URL"
	synchronousName    = "CLERKSYNC_SQLITE_SYNCHRONOUS"

	fileSuffix = "_FILE" // of a name whose value is the path of a file with the setting's value
	maxFile    = 1 << 20 // bytes of the YAML file and of each NAME_FILE
)

// Options is what a configuration is read from.
type Options struct {
	Flags      map[string]string // of non-secret settings, by environment name; "" is unset
	Environ    []string          // as of os.Environ
	WorkingDir string            // start of relative paths; empty: that of the process
}

// Load reads and validates the configuration; the package comment has the rules. It opens no
// connection and writes nothing. It reads the YAML file and the files that NAME_FILE names, at most
// 1 MiB each. The error, if any, is [Faults] with every fault found, and then the Config is nil.
// Warnings come with and without faults.
func Load(o Options) (*Config, []Warning, error) {
	l := read(o)
	if len(l.faults) > 0 {
		return nil, l.warnings, l.faults
	}
	return l.config, l.warnings, nil
}

// ListenAddress returns the address of the public listener, as [Load] does. Of all other settings
// it checks nothing. The error, if any, is [Faults].
func ListenAddress(o Options) (string, error) {
	l := newLoader(o)
	sources := []source{l.flags(o.Flags), l.environment(o.Environ)}
	sources = append(sources, l.yamlFile(sources))
	l.load(l.settings[listenName], sources)
	if l.unknown(listenName) {
		return "", l.faults
	}
	return l.config.Listen, nil
}

// Reload reads the sources of the configuration again, as [Load] does. It changes nothing in c.
func (c *Config) Reload() (*Config, []Warning, error) { return Load(c.options) }

// Inspect reads the configuration as Load does, and reports what was found, valid or not.
func Inspect(o Options) *Report {
	l := read(o)
	r := &Report{
		File: l.config.File, Settings: l.config.Values(),
		Warnings: append([]Warning{}, l.warnings...), Faults: append(Faults{}, l.faults...),
	}
	for i := range r.Settings {
		switch v := &r.Settings[i]; {
		case !l.faulty[v.Name]:
		case v.Origin.Source == "": // it may be set in a file that could not be read
			v.Value = "unknown"
		default:
			v.Value = "invalid"
		}
	}
	return r
}

// Report is a configuration, valid or not. It holds no secret.
type Report struct {
	File     string    `json:"file"` // the YAML file; empty: none
	Settings []Value   `json:"settings"`
	Warnings []Warning `json:"warnings"`
	Faults   Faults    `json:"faults"`
}

// read reads all sources and checks all settings.
func read(o Options) *loader {
	l := newLoader(o)
	sources := []source{l.flags(o.Flags), l.environment(o.Environ)}
	sources = append(sources, l.yamlFile(sources))
	for _, s := range Settings() {
		if s.Name != configName {
			l.load(s, sources)
		}
	}
	l.derive()
	return l
}

type loader struct {
	dir      string
	config   *Config
	settings map[string]Setting // by name and alias
	written  map[string]string  // name of a setting -> that name as it is written where the value was found
	faulty   map[string]bool    // settings whose value is not known
	empty    map[string]string  // settings that a source sets to an empty text -> the name as written there
	// yamlUnread is true if the YAML file cannot be read, so that settings that no other source has
	// are not known.
	yamlUnread bool
	faults     Faults
	warnings   []Warning
}

func newLoader(o Options) *loader {
	l := &loader{
		dir:      o.WorkingDir,
		config:   &Config{Sources: map[string]Origin{}, Files: map[string]string{}, options: o},
		settings: map[string]Setting{},
		written:  map[string]string{},
		faulty:   map[string]bool{},
		empty:    map[string]string{},
	}
	for _, s := range Settings() {
		for _, name := range s.names() {
			l.settings[name] = s
		}
	}
	return l
}

// valueError is what is wrong with a value, worded so that it follows the noun of the setting, and
// a remedy if that of the setting does not help.
type valueError struct{ what, remedy string }

func (e valueError) Error() string { return e.what }

// fault reports each error that err joins.
func (l *loader) fault(s Setting, err error) {
	l.faulty[s.Name] = true
	for _, err := range split(err) {
		e := valueError{what: err.Error()}
		errors.As(err, &e)
		l.faults = append(l.faults, Fault{
			Name: cmp.Or(l.written[s.Name], s.Name), What: s.noun + " " + e.what, Why: s.why,
			Remedy: cmp.Or(e.remedy, s.remedyText()),
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

// unknown reports whether the value of any of the settings is not known.
func (l *loader) unknown(names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return l.faulty[name] })
}

// load finds the value of a setting, checks it and stores it.
func (l *loader) load(s Setting, sources []source) {
	text, err := l.find(s, sources)
	switch {
	case err != nil:
	case text == "" && (l.yamlUnread || l.faulty[s.Name]):
		l.faulty[s.Name] = true
		return
	case text == "":
		if l.empty[s.Name] != "" && !s.emptyIsUnset {
			l.reportEmpty(s)
		}
		text = s.Default
		l.config.Sources[s.Name] = Origin{Source: fromDefault}
	case !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool {
		return unicode.IsControl(r) && (!s.multiline || !strings.ContainsRune("\n\r\t", r))
	}):
		err = errors.New("contains a control character or is not UTF-8")
	}
	if err == nil && text != "" {
		err = s.set(l.config, text)
	}
	if err != nil {
		l.fault(s, err)
	}
}

// find returns the first value that a source has for the setting, or "", and records where it was
// found.
func (l *loader) find(s Setting, sources []source) (string, error) {
	for _, from := range sources {
		for _, name := range s.names() {
			text, path := from.values[name], from.values[name+fileSuffix]
			switch {
			case text == "" && path == "":
				continue
			case text != "" && path != "":
				l.written[s.Name] = from.spell(name)
				return "", valueError{
					what:   "is given twice, directly and as a file",
					remedy: fmt.Sprintf("Unset %s or %s.", from.spell(name), from.spell(name+fileSuffix)),
				}
			case path != "":
				found, err := l.findInFile(s, from, name+fileSuffix, path)
				if err != nil || found != "" {
					return withPort(name, found), err
				}
			default:
				l.record(s, from, name, "")
				return withPort(name, text), nil
			}
		}
	}
	delete(l.written, s.Name)
	return "", nil
}

// withPort makes a listen address of the number in PORT.
func withPort(name, text string) string {
	if name == portName && text != "" {
		return ":" + text
	}
	return text
}

// record notes where the value of a setting was found.
func (l *loader) record(s Setting, from source, name, path string) {
	l.written[s.Name] = from.spell(name)
	o := Origin{Source: from.label, File: from.path, Line: from.lines[name], ValueFile: path}
	if name != s.Name || from.label == fromFlag {
		o.Name = from.key(name)
	}
	l.config.Sources[s.Name] = o
}

// findInFile returns the value that a NAME_FILE names, or "" if its file is empty and that is no
// fault.
func (l *loader) findInFile(s Setting, from source, name, path string) (string, error) {
	l.written[s.Name] = from.spell(name)
	const remedy = "Write the value into the file, or unset the name."
	l.config.Files[s.Name] = l.resolve(path)
	text, err := l.readFile(path)
	if err != nil {
		return "", err
	}
	text = strings.TrimRight(text, "\r\n")
	switch {
	case text != "":
		l.record(s, from, name, path)
	case s.emptyIsUnset:
		l.warn(l.written[s.Name], s.noun+" comes from an empty file", "It counts as unset.", remedy)
	default:
		err = valueError{"comes from an empty file", remedy}
	}
	return text, err
}

// readFile returns the content of a small file. Its errors do not quote the path, which may be a
// secret that was put there by mistake.
func (l *loader) readFile(path string) (string, error) {
	const remedy = "Name a readable file of at most 1 MiB."
	file, err := os.Open(l.resolve(path))
	switch {
	case errors.Is(err, fs.ErrPermission):
		return "", valueError{"cannot be read: " + cause(err), "Let the user that runs clerksync read the file."}
	case err != nil:
		return "", valueError{"cannot be read: " + cause(err), remedy}
	}
	defer file.Close() //nolint:errcheck // only read
	content, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	switch {
	case err != nil:
		return "", valueError{"cannot be read: " + cause(err), remedy}
	case len(content) > maxFile:
		return "", valueError{"cannot be read: it is larger than 1 MiB", remedy}
	case bytes.HasPrefix(content, []byte("\xff\xfe")), bytes.HasPrefix(content, []byte("\xfe\xff")):
		return "", valueError{"comes from a file that is written as UTF-16", "Save the file as UTF-8, which some editors and shells do not do by themselves."}
	}
	return strings.TrimPrefix(string(content), "\ufeff"), nil // some editors begin UTF-8 with this mark
}

func (l *loader) resolve(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(l.dir, path)
}

// cause returns the text of a file error without the path.
func cause(err error) string {
	if pathError, ok := errors.AsType[*fs.PathError](err); ok {
		return pathError.Err.Error()
	}
	return "unknown error"
}
