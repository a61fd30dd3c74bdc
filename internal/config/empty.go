package config

import "strings"

// An empty text counts as unset: compose files and templates hand on every name, set or not. An empty
// file does not where the setting restricts something: an operator who names a file wants what is in it, and
// one that was lost or truncated must not open what it closed.

// noteEmpty remembers that a source sets a name to an empty text. spell is how the name is written
// there.
func (l *loader) noteEmpty(name string, spell func(string) string) {
	v, known := l.variables[name]
	if !known {
		v, known = l.variables[strings.TrimSuffix(name, twinSuffix)]
	}
	if known && name != portName && l.empty[v.Name] == "" { // platforms set PORT, empty or not
		l.empty[v.Name] = spell(name)
	}
}

// isEmpty reports a setting that restricts something, and that no source sets to more than an empty
// text. An empty policy is a fault: it is never on purpose, and any signed-in user would pass.
func (l *loader) isEmpty(v Setting) {
	name := l.empty[v.Name]
	if v.Name == policyName {
		l.written[v.Name] = name
		l.fault(v, valueError{"is set and empty", "Write the policy, or unset the name to go without one."})
		return
	}
	l.warn(name, v.noun+" is set and empty", "It counts as unset. "+v.why, "Write a value, or unset the name.")
}
