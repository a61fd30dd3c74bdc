package clerksync

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/clerksync/clerksync/auth"
	"github.com/clerksync/clerksync/internal/privacy"
	"github.com/clerksync/clerksync/internal/store"
)

// fieldFault returns an error that says what is wrong with a field of [Config]. It does not quote
// the value, which may be a secret in the wrong field.
func fieldFault(field, problem string) error { return fmt.Errorf("%s %s", field, problem) }

// checkSettings returns the configured redaction, or everything that is wrong with fields which no
// other part of the mirror checks.
func (c *Config) checkSettings() (privacy.Redaction, error) {
	redaction, err := privacy.ParseRedaction(c.Redact)
	return redaction, errors.Join(store.CheckLadder(c.Roles), err, c.checkRedact(), c.checkPeriods(), c.checkNames(), c.checkBudget())
}

// checkPeriods returns what is wrong with retentions and pauses. A negative retention would remove
// everything.
func (c *Config) checkPeriods() error {
	var faults []error
	for _, period := range []struct {
		field string
		value time.Duration
	}{
		{"AuditRetention", c.AuditRetention},
		{"InboxRetention", c.InboxRetention},
		{"ChangesRetention", c.ChangesRetention},
		{"WalkMinPause", c.WalkMinPause},
		{"WalkMaxPause", c.WalkMaxPause},
		{"MachineTTL", c.MachineTTL},
	} {
		if period.value < 0 {
			faults = append(faults, fieldFault(period.field, "is negative: use 0 for the default"))
		}
	}
	if c.WalkMaxPause > 0 && c.WalkMinPause > c.WalkMaxPause {
		faults = append(faults, fieldFault("WalkMaxPause", "is shorter than WalkMinPause"))
	}
	if c.MachineCallsPerMinute < 0 || c.MachineCallsPerMinute > maxMachineCalls {
		faults = append(faults, fieldFault("MachineCallsPerMinute", "is not a number from 1 to 1000000: use 0 for the default"))
	}
	return errors.Join(faults...)
}

const maxMachineCalls = 1_000_000

var instanceID = regexp.MustCompile(`^ins_[A-Za-z0-9]{1,64}$`)

// checkNames returns what is wrong with ids, keys and URLs that name something.
func (c *Config) checkNames() error {
	var faults []error
	if c.PublishableKey != "" {
		_, err := auth.FrontendAPI(c.PublishableKey)
		if wrong, ok := errors.AsType[*auth.PublishableKeyError](err); ok {
			faults = append(faults, fieldFault("PublishableKey", wrong.Problem+": "+wrong.Remedy))
		}
	}
	if c.InstanceID != "" && !instanceID.MatchString(c.InstanceID) {
		faults = append(faults, fieldFault("InstanceID", "does not have the form ins_…: copy it from the Clerk dashboard, or leave it empty"))
	}
	if c.FrontendAPI != "" {
		_, err := auth.CanonicalIssuer(c.FrontendAPI) // the issuer is the URL of the Frontend API
		if wrong, ok := errors.AsType[*auth.IssuerError](err); ok {
			faults = append(faults, fieldFault("FrontendAPI", wrong.Problem+": "+wrong.Remedy))
		}
	}
	if u, err := url.Parse(c.UpgradeURL); c.UpgradeURL != "" && (err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http") {
		faults = append(faults, fieldFault("UpgradeURL", "is not an absolute URL: write it with https:// and the host"))
	}
	return errors.Join(faults...)
}

var clerkField = regexp.MustCompile(`^[A-Za-z0-9_*-]*$`)

// checkRedact returns which paths do not begin with the name of a field. Keys in metadata can be
// any text.
func (c *Config) checkRedact() error {
	var faults []error
	for _, path := range c.Redact {
		first, _, _ := strings.Cut(path, ".")
		if !clerkField.MatchString(first) {
			faults = append(faults, fieldFault("Redact:", fmt.Sprintf("%q is not a path of fields, such as public_metadata.ssn", path)))
		}
	}
	return errors.Join(faults...)
}

// checkBudget returns what is wrong with the share of Clerk's rate limit that reads may use.
func (c *Config) checkBudget() error {
	var faults []error
	if c.APIBudget != 0 && !(c.APIBudget > 0 && c.APIBudget <= 1) { // NaN too
		faults = append(faults, fieldFault("APIBudget", "is not a share of Clerk's rate limit: use a number above 0 and up to 1, or 0 for the default"))
	}
	if c.APILimit < 0 {
		faults = append(faults, fieldFault("APILimit", "is negative: use the requests that Clerk allows in ten seconds, or 0 for the default"))
	}
	return errors.Join(faults...)
}
