package clerksync

import (
	"cmp"
	"context"
	"slices"

	"github.com/clerksync/clerksync/mirror"
)

// rank orders severities, the worst first.
func rank(s mirror.Severity) int {
	return slices.Index([]mirror.Severity{mirror.SeverityError, mirror.SeverityWarning, mirror.SeverityInfo}, s)
}

// warning makes a warning: its code, what happened and why it matters, and what to do.
func warning(code string, severity mirror.Severity, message, remedy string) mirror.Warning {
	return mirror.Warning{Code: code, Severity: severity, Message: message, Remedy: remedy}
}

// warner makes warnings out of facts. It reads nothing else.
type warner func(context.Context, *facts) []mirror.Warning

// configWarners look at what was configured.
func configWarners() []warner {
	return []warner{warnOfCredentials, warnOfTokens, warnOfPolicy, warnOfDurability}
}

// dataWarners look at what happened: at what the database knows, and at what was refused.
func dataWarners() []warner {
	return []warner{
		warnOfDatabase, warnOfKeys, warnOfRefusals, warnOfSilence, warnOfDeadLetters, warnOfVerdict, warnOfWalks, warnOfQueues,
		warnOfUnreadable, warnOfSubscriptions, warnOfInstances, warnOfSettings, warnOfRoles,
	}
}

func allWarners() []warner { return slices.Concat(configWarners(), dataWarners()) }

// warningsOf runs warners and returns what they say, the worst first.
func warningsOf(ctx context.Context, f *facts, warners []warner) []mirror.Warning {
	warnings := []mirror.Warning{}
	for _, warn := range warners {
		warnings = append(warnings, warn(ctx, f)...)
	}
	slices.SortStableFunc(warnings, func(a, b mirror.Warning) int { return cmp.Compare(rank(a.Severity), rank(b.Severity)) })
	return warnings
}
