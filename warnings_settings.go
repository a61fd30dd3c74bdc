package clerksync

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

func warnOfSettings(_ context.Context, f *facts) []mirror.Warning {
	if f.settings == nil {
		return nil
	}
	return settingsThatDiffer(f.settings, f.config)
}

// settingsThatDiffer returns warnings where a process is configured otherwise than the database is set.
func settingsThatDiffer(s *store.Settings, config *Config) []mirror.Warning {
	var found chosen
	found.when(s.Ladder != nil && !slices.Equal(s.Ladder, config.Roles), warning(
		"ladder_differs", mirror.SeverityWarning,
		"The configured role ladder is not the one in force. Access is judged by the one in force, which the database remembers.",
		"Give every process the same CLERKSYNC_ROLES. To change the ladder, restart clerksync serve with the new one, or run clerksync migrate.",
	))
	found.when(s.Redact != nil && !sameRedaction(s.Redact, config.Redact), warning(
		"redaction_differs", mirror.SeverityWarning,
		"The configured redaction is not the one in force. What is stored follows the one in force, which the database remembers.",
		"Give every process the same CLERKSYNC_REDACT. To change it, restart clerksync serve with the new one, or run clerksync migrate.",
	))
	return found
}

// warnOfInstances warns of keys or events of another Clerk instance.
func warnOfInstances(_ context.Context, f *facts) []mirror.Warning {
	if f.stored == nil || !f.stored.foreign.Any() {
		return nil
	}
	x := f.stored.foreign
	ours, theirs := x.Database, strings.Join(x.Events, ", ")
	if ours == "" {
		ours = strings.Join(f.instances, ", ")
	}
	var found chosen
	found.when(len(x.Keys) > 0, warning(
		"foreign_instance", mirror.SeverityError,
		fmt.Sprintf("This database mirrors %s, but the keys are those of %s. Nothing is read with them, and no token that they verify is accepted.",
			ours, strings.Join(x.Keys, ", ")),
		"Use another database for "+strings.Join(x.Keys, ", ")+", or the keys of "+ours+".",
	))
	found.when(len(x.Events) > 0 && ours != "", warning(
		"foreign_instance", mirror.SeverityWarning,
		fmt.Sprintf("This database mirrors %s, but events of %s come here. They are kept apart and not applied.", ours, theirs),
		"Point the endpoint of "+theirs+" elsewhere, and give that instance another database.",
	))
	found.when(len(x.Events) > 0 && ours == "", warning(
		"foreign_instance", mirror.SeverityError,
		"Events of more than one Clerk instance come here: of "+theirs+". It is not known which of them this database mirrors, and their rows are mixed.",
		"Set CLERK_INSTANCE_ID, and give each instance an endpoint and a database of its own.",
	))
	return found
}
