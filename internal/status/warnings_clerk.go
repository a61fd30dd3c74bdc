package status

import (
	"fmt"
	"strings"
	"time"

	"github.com/clerksync/clerksync/mirror"
)

// outageNoticed is how long Clerk must have answered nothing before that is a warning.
const outageNoticed = 30 * time.Second

// warnOfClerk warns that Clerk's Backend API answers nothing.
func warnOfClerk(s *signals) []mirror.Warning {
	lasted := time.Since(s.outage.Since)
	if s.outage.Since.IsZero() || lasted < outageNoticed {
		return nil
	}
	return []mirror.Warning{{
		Code: "clerk_unreachable", Severity: mirror.SeverityWarning,
		Message: fmt.Sprintf("Clerk has answered no request for %s: %s. Nothing is compared or repaired meanwhile; webhooks are taken, "+
			"and requests are answered from the database.", lasted.Round(time.Second), s.outage.Problem),
		Remedy: sentence(s.outage.Remedy),
	}}
}

// sentence returns a remedy of package clerkapi as a sentence.
func sentence(text string) string {
	if text == "" {
		return "Check the network, and https://status.clerk.com."
	}
	return strings.ToUpper(text[:1]) + text[1:] + "."
}
