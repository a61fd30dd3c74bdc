package status

import (
	"fmt"
	"slices"
	"strings"

	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

func warnOfSettings(s *signals) []mirror.Warning {
	if s.remembered == nil {
		return nil
	}
	return SettingsWarnings(s.remembered, s.Settings)
}

// SettingsWarnings returns warnings where a process is configured differently from the settings
// in force.
func SettingsWarnings(inForce *store.Settings, s *Settings) []mirror.Warning {
	var found conditional
	found.when(inForce.Ladder != nil && !slices.Equal(inForce.Ladder, s.Roles), mirror.Warning{
		Code: "ladder_differs", Severity: mirror.SeverityWarning,
		Message: "The configured role ladder is not the one in force. Access is decided by the one in force, which the database remembers.",
		Remedy: s.remedy("Give every process the same CLERKSYNC_ROLES. To change the ladder, restart clerksync serve with the new one, or run clerksync migrate.",
			"Give every process the same Config.Roles. To change the ladder, call m.Run or clerksync.Migrate with the new one."),
	})
	found.when(inForce.Redact != nil && !SameRedaction(inForce.Redact, s.Redact), mirror.Warning{
		Code: "redaction_differs", Severity: mirror.SeverityWarning,
		Message: "The configured redaction is not the one in force. What is stored follows the one in force, which the database remembers.",
		Remedy: s.remedy("Give every process the same CLERKSYNC_REDACT. To change it, restart clerksync serve with the new one, or run clerksync migrate.",
			"Give every process the same Config.Redact. To change it, call m.Run or clerksync.Migrate with the new one."),
	})
	found.when(inForce.OnChange && !s.OnChange && !s.ReadOnly, mirror.Warning{
		Code: "hook_bypassed", Severity: mirror.SeverityWarning,
		Message: "An application with an OnChange uses this database. What this process stores passes it by: the application's own tables miss those changes.",
		Remedy: s.remedy("Let the application receive the webhooks and run the mirror, and use this program for reading only. "+
			"If the application has no OnChange any more, run clerksync migrate --forget-on-change.",
			"Set Config.OnChange in every process that uses the database. If the application has no OnChange any more, call clerksync.ForgetOnChange."),
	})
	return found
}

// SameRedaction reports whether two lists of paths redact the same.
func SameRedaction(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Compact(slices.Sorted(slices.Values(b))))
}

// warnOfInstances warns of keys or events of another Clerk instance.
func warnOfInstances(s *signals) []mirror.Warning {
	if s.stored == nil || !s.stored.Foreign.Any() {
		return nil
	}
	x := s.stored.Foreign
	ours, theirs := x.Database, strings.Join(x.Events, ", ")
	if ours == "" {
		ours = strings.Join(s.instances, ", ")
	}
	var found conditional
	found.when(len(x.Keys) > 0, mirror.Warning{
		Code: "foreign_instance", Severity: mirror.SeverityError,
		Message: fmt.Sprintf("This database mirrors %s, but the keys are those of %s. Nothing is read with them, and no token that they verify is accepted.",
			ours, strings.Join(x.Keys, ", ")),
		Remedy: "Use the keys of " + ours + ", or another database for " + strings.Join(x.Keys, ", ") + ", or let this one mirror it: " +
			s.remedy("clerksync instance reset", "clerksync.ResetInstance") + " deletes what is stored of " + ours + ".",
	})
	found.when(len(x.Events) > 0 && ours != "", mirror.Warning{
		Code: "foreign_instance", Severity: mirror.SeverityWarning,
		Message: fmt.Sprintf("This database mirrors %s, but events of %s come here. They are kept apart and not applied.", ours, theirs),
		Remedy:  "Point the endpoint of " + theirs + " elsewhere, and give that instance another database.",
	})
	found.when(len(x.Events) > 0 && ours == "", mirror.Warning{
		Code: "foreign_instance", Severity: mirror.SeverityError,
		Message: "Events of more than one Clerk instance come here: of " + theirs +
			". It is not known which of them this database mirrors, and their rows are mixed.",
		Remedy: s.remedy("Set CLERK_INSTANCE_ID, and give each instance an endpoint and a database of its own.",
			"Set Config.InstanceID, and give each instance an endpoint and a database of its own."),
	})
	return found
}
