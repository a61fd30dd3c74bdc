package config

import (
	"cmp"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Setting describes one setting: for [Load], for `clerksync config` and for docs/configuration.md.
type Setting struct {
	Name    string   // of the environment variable
	Aliases []string // other names that are read where Name is unset
	Group   string   // title of its group
	Secret  bool     // never printed, and never a flag
	Flag    string   // the flag that sets it, with its hyphens; empty: none
	Default string   // as it would be written; empty: none
	Unset   string   // what happens without a value, where there is no default
	Value   string   // what a value looks like, with its unit
	Summary string   // what the setting does
	When    string   // when to change it
	Example string   // for examples/clerksync.yaml, where there is no default

	// noun, why and remedy are the texts of the setting's faults: "NOUN is …", why that matters,
	// and what to do. The remedy is "Use VALUE." if it is empty.
	noun, why, remedy string
	multiline         bool
	// emptyIsUnset means that an empty value permits nothing: the default restricts as much as any
	// value does, or the setting restricts nothing. For all other settings an empty file is a fault
	// and an empty text a warning.
	emptyIsUnset bool
	binding
}

// Key returns the setting's key in the YAML file.
func (s Setting) Key() string { return strings.ToLower(s.Name) }

// List reports whether the value is a list: texts separated by commas, or a list in the YAML file.
func (s Setting) List() bool { return s.list }

func (s Setting) names() []string { return append([]string{s.Name}, s.Aliases...) }

// remedyText returns what to do about a faulty value.
func (s Setting) remedyText() string { return cmp.Or(s.remedy, "Use "+s.Value+".") }

// binding connects a setting with a field of Config.
type binding struct {
	list bool
	set  func(*Config, string) error
	show func(*Config) string
}

func bind[T any](field func(*Config) *T, parse func(string) (T, error)) binding {
	return binding{
		list: reflect.TypeFor[T]().Kind() == reflect.Slice,
		set: func(c *Config, text string) error {
			value, err := parse(text)
			if err == nil {
				*field(c) = value
			}
			return err
		},
		show: func(c *Config) string { return display(*field(c)) },
	}
}

func display(value any) string {
	switch value := value.(type) {
	case []string:
		return strings.Join(value, ",")
	case []netip.Prefix:
		texts := make([]string, len(value))
		for i, prefix := range value {
			texts[i] = prefix.String()
		}
		return strings.Join(texts, ",")
	case float64:
		return strconv.FormatFloat(100*value, 'g', 6, 64) + "%"
	case time.Duration:
		return displayDuration(value)
	case int:
		if value == 0 { // no number is set
			return ""
		}
	}
	return fmt.Sprint(value)
}

// displayDuration leaves out zero minutes and seconds: 24h, not 24h0m0s.
func displayDuration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// Group is a group of settings, as they are documented together.
type Group struct {
	Title    string
	Intro    string // a paragraph
	Settings []Setting
}

// Groups returns all settings by group, in the order in which people read them.
func Groups() []Group {
	groups := []Group{
		{"Database", "Where the mirror is stored.", databaseSettings()},
		{"Clerk", "Which Clerk instance is mirrored, and the keys for it.", clerkSettings()},
		{"Server", "Addresses and log of `clerksync serve`.", slices.Concat(listenerSettings(), logSettings())},
		{"Console", "The operator console in the browser.", consoleSettings()},
		{"Session tokens", "Which session tokens are accepted.", slices.Concat(claimSettings(), keySettings())},
		{"Machine tokens", "Which API keys, OAuth access tokens and M2M tokens are accepted, on routes that accept them at all.", machineSettings()},
		{"Access", "What users may do, and which stored facts may grant it.", slices.Concat(roleSettings(), readySettings())},
		{"Forward auth", "Checks for a reverse proxy; see [forward-auth.md](forward-auth.md).", forwardAuthSettings()},
		{"Synchronization", "How the mirror is compared with Clerk.", slices.Concat(syncSettings(), budgetSettings())},
		{"Outgoing webhooks", "Sending changes to other systems; see [outgoing-webhooks.md](outgoing-webhooks.md).", webhookSettings()},
		{"NATS", "Publishing the change feed to NATS JetStream; see [changes.md](changes.md).", natsSettings()},
		{"Data retention", "How long data is stored, and what is never stored.", retentionSettings()},
	}
	for i := range groups {
		for j := range groups[i].Settings {
			groups[i].Settings[j].Group = groups[i].Title
		}
	}
	return groups
}

// Settings returns the settings of all groups.
func Settings() []Setting {
	var all []Setting
	for _, g := range Groups() {
		all = append(all, g.Settings...)
	}
	return all
}
