package status

import (
	"time"

	"github.com/clerksync/clerksync/mirror"
)

// maxFailing is how long all attempts to an endpoint of outgoing webhooks may fail before that is a
// warning.
const maxFailing = time.Hour

// warnOfEndpoints warns of endpoints of outgoing webhooks that clerksync disabled, and of those
// that fail. What an operator disabled is no reason to warn.
func warnOfEndpoints(s *signals) []mirror.Warning {
	if s.stored == nil {
		return nil
	}
	var gone, disabled, failing []string
	for i := range s.stored.Endpoints {
		e := &s.stored.Endpoints[i]
		switch {
		case e.DisabledReason == mirror.WebhookCursorGone:
			gone = append(gone, e.ID)
		case e.DisabledReason == mirror.WebhookGone || e.DisabledReason == mirror.WebhookFailing:
			disabled = append(disabled, e.ID+" ("+e.DisabledReason+")")
		case e.Enabled && !e.FailingSince.IsZero() && s.now.Sub(e.FailingSince) >= maxFailing:
			failing = append(failing, e.ID)
		}
	}
	var found conditional
	found.when(len(gone) > 0, mirror.Warning{
		Code: "webhook_endpoint_disabled", Severity: mirror.SeverityError,
		Message: "Some endpoints of outgoing webhooks are disabled, because changes after their cursors are no longer known: " + names(gone),
		Remedy: s.remedy("Let the receiver read everything again. Then: clerksync webhooks resume ENDPOINT --from now.",
			"Let the receiver read everything again. Then call Publisher.Resume."),
	})
	found.when(len(disabled) > 0, mirror.Warning{
		Code: "webhook_endpoint_disabled", Severity: mirror.SeverityWarning,
		Message: "Some endpoints of outgoing webhooks were disabled, because their receivers failed: " + names(disabled),
		Remedy: s.remedy("See clerksync webhooks attempts --failed. After a fix: clerksync webhooks endpoints enable ENDPOINT. If one is no longer used: remove it.",
			"See Publisher.Attempts. After a fix call Publisher.Enable. If one is no longer used, call Publisher.Remove."),
	})
	found.when(len(failing) > 0, mirror.Warning{
		Code: "webhook_endpoint_failing", Severity: mirror.SeverityWarning,
		Message: "No attempt to deliver to some endpoints of outgoing webhooks has succeeded for an hour or longer: " + names(failing),
		Remedy:  s.remedy("See clerksync webhooks attempts --failed, and clerksync webhooks ping ENDPOINT.", "See Publisher.Attempts, and call Publisher.Ping."),
	})
	return found
}
