package console

import (
	"strings"

	"github.com/clerksync/clerksync/mirror"
)

// attention is a warning with the page on which something can be done.
type attention struct {
	mirror.Warning

	Link, LinkText string
}

// attention returns a warning with the page on which something can be done about it.
func (v *visit) attention(w mirror.Warning) attention {
	a := attention{Warning: w}
	if remedy := remedies[string(w.Severity)+" "+w.Code]; remedy != "" {
		a.Remedy = remedy
	} else if remedy := remedies[w.Code]; remedy != "" {
		a.Remedy = remedy
	}
	switch {
	case w.Code == "dead_letters" || w.Code == "hook_failed":
		a.Link, a.LinkText = v.to("deliveries")+"?state=dead", "Failed deliveries"
	case w.Code == "foreign_instance":
		a.Link, a.LinkText = v.to("deliveries")+"?state=quarantined", "Quarantine"
	case strings.HasPrefix(w.Code, "consumer_"):
		a.Link, a.LinkText = v.to("changes", "consumers"), "Consumers"
	case strings.HasPrefix(w.Code, "webhook_endpoint_"):
		a.Link, a.LinkText = v.to("changes", "endpoints"), "Outgoing webhooks"
	case w.Code == "job_failed":
		a.Link, a.LinkText = v.to("jobs")+"?state=failed", "Failed jobs"
	}
	switch w.Code {
	case "not_in_sync", "backfill_missing", "walk_overdue", "verify_stuck", "unreadable", "not_subscribed", "not_running", "silence":
		a.Link, a.LinkText = v.to("sync"), "Sync"
	case "ladder_differs", "redaction_differs", "authorized_parties_unset", "issuer_unset", "webhook_secret_unset", "secret_key_unset", "no_policy",
		"missing_azp_allowed", "hmac_body", "jwt_hs256", "mirror_unproven", "secret_key_refused", "keys_unavailable":
		a.Link, a.LinkText = v.to("settings", "configuration"), "Configuration"
	case "revocations_kept":
		a.Link, a.LinkText = v.to("keys"), "Keys"
	case "roles_rejected":
		a.Link, a.LinkText = v.to("users"), "Users"
	}
	return a
}

// remedies say what to do about warnings on pages of the console, instead of with commands. Those
// that only some warnings of a code have begin with the severity.
var remedies = map[string]string{
	"dead_letters":                      "Open them to see why. After a fix, replay them. Dismiss what can never be applied.",
	"not_in_sync":                       "Sync says why, and what to do.",
	"consumer_behind":                   "Look at their last errors and at what they held back.",
	"consumer_parked":                   "Open the consumer to see what failed and why. After a fix, retry it, or drop it.",
	"error consumer_stopped":            "Find out what was missed, then move them to the present end of the feed.",
	"warning consumer_stopped":          "Start the processes that run them. Delete one that is no longer used.",
	"error webhook_endpoint_disabled":   "Let the receiver read everything again, then resume the endpoint from now.",
	"warning webhook_endpoint_disabled": "Open the endpoint to see the failed attempts. After a fix, enable it again.",
	"webhook_endpoint_failing":          "Open the endpoint to see the failed attempts, and send a ping.",
	"job_failed":                        "Open the job to see why. After a fix, let it go on where it ended. The warning ends after a day.",
}
