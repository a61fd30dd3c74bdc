package diagnose

import (
	"context"
	"time"

	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/internal/doctor"
	"github.com/clerksync/clerksync/internal/instance"
	"github.com/clerksync/clerksync/internal/status"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// Limit is how long a check may take.
const Limit = 10 * time.Second

// Subject is what is checked: a configuration, and what was made of it.
type Subject struct {
	DB         *store.DB
	NoDatabase bool // there is no database yet; DB stands in for it
	Instance   *instance.Guard
	Settings   status.Settings

	Algorithm      string // of tokens
	SecretKey      string
	HasAPIKey      bool // SecretKey is Clerk's, and not a shared secret of tokens
	PublishableKey string
	InstanceID     string
	Issuer         string
	APIURL         string
	APIBudget      float64
	PublicURL      string // where Clerk reaches this server; "" is not known
}

// remedy returns the text for the reader: an operator of the server, or a user of the library.
func (s *Subject) remedy(server, library string) string {
	if s.Settings.Server {
		return server
	}
	return library
}

// Checks are about the configuration, the database and the network, not about rows.
func (s *Subject) Checks() []doctor.Check {
	return []doctor.Check{
		{Name: "configuration", Run: func(context.Context) []mirror.Finding { return s.checkConfiguration() }},
		{Name: "database", Run: s.checkDatabase},
		{Name: "token keys", Run: s.checkKeys},
		{Name: "secret key", Run: s.checkSecretKey},
		{Name: "clock", Run: s.checkClock},
		{Name: "webhook route", Run: s.checkRoute},
	}
}

// checkConfiguration repeats what health says of the configuration.
func (s *Subject) checkConfiguration() []mirror.Finding {
	found := findingsOf(status.ConfigWarnings(s.Settings, s.DB))
	if s.Settings.KeysOfTwoKinds {
		found = append(found, doctor.Fail("Copy both from the same instance's API keys page.",
			"Secret key and publishable key are of different instances: one is for production, one for development."))
	}
	if named, err := auth.FrontendAPI(s.PublishableKey); err == nil && s.Issuer != named {
		found = append(found, doctor.Warn(
			s.remedy("Unset CLERK_ISSUER, or copy the publishable key of the instance that issues the tokens. ",
				"Leave Config.Issuer empty, or copy the publishable key of the instance that issues the tokens. ")+
				"Keep both only if a proxy of yours in front of Clerk's Frontend API issues the tokens.",
			s.remedy("CLERK_ISSUER is %s, but CLERK_PUBLISHABLE_KEY names the issuer %s, whose tokens are all refused.",
				"Config.Issuer is %s, but Config.PublishableKey names the issuer %s, whose tokens are all refused."), s.Issuer, named))
	}
	if len(found) == 0 {
		return []mirror.Finding{doctor.Good("Everything is set, and nothing dangerous.")}
	}
	return found
}

// findingsOf turns warnings into findings. An error is a failure.
func findingsOf(warnings []mirror.Warning) (found []mirror.Finding) {
	severities := map[mirror.Severity]mirror.FindingSeverity{
		mirror.SeverityError: mirror.FindingFailure, mirror.SeverityWarning: mirror.FindingWarning, mirror.SeverityInfo: mirror.FindingInfo,
	}
	for _, w := range warnings {
		found = append(found, mirror.Finding{Severity: severities[w.Severity], Text: w.Message, Remedy: w.Remedy})
	}
	return found
}

// Faults returns the errors of a configuration as findings.
func Faults(err error) (found []mirror.Finding) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, err := range joined.Unwrap() {
			found = append(found, Faults(err)...)
		}
		return found
	}
	return []mirror.Finding{{
		Check: "configuration", Severity: mirror.FindingFailure, Text: err.Error(), Remedy: "Correct it; nothing starts before.",
	}}
}
