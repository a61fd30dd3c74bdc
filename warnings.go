package clerksync

import (
	"cmp"
	"context"
	"slices"
)

// Severity is how much a warning matters now.
type Severity string

// The severities, the worst first.
const (
	SeverityError   Severity = "error"   // it does harm now
	SeverityWarning Severity = "warning" // it needs attention, before it does harm
	SeverityInfo    Severity = "info"    // a standing choice, shown for information
)

// rank orders severities, the worst first.
func (s Severity) rank() int {
	return slices.Index([]Severity{SeverityError, SeverityWarning, SeverityInfo}, s)
}

// Warning is something that wants an operator's attention. Codes are stable; docs/warnings.md lists them.
type Warning struct {
	Code     string   `json:"code"`
	Severity Severity `json:"severity"`
	Message  string   `json:"message"` // what happened, and why it matters
	Remedy   string   `json:"remedy"`  // what to do
}

// warner makes warnings out of facts. It reads nothing else.
type warner func(context.Context, *facts) []Warning

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
func warningsOf(ctx context.Context, f *facts, warners []warner) []Warning {
	warnings := []Warning{}
	for _, warn := range warners {
		warnings = append(warnings, warn(ctx, f)...)
	}
	slices.SortStableFunc(warnings, func(a, b Warning) int { return cmp.Compare(a.Severity.rank(), b.Severity.rank()) })
	return warnings
}
