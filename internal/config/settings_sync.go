package config

import (
	"time"
)

func syncSettings() []Setting {
	return []Setting{{
		Name: "CLERKSYNC_BACKFILL", Default: "auto",
		Value:   "auto or off",
		Summary: "Whether `clerksync serve` copies everything from Clerk at its first start.",
		When:    "off, to run `clerksync backfill` yourself.",
		noun:    "backfill mode", why: "Without a backfill the mirror has only what webhooks brought.",
		emptyIsUnset: true,
		binding:      bind(func(c *Config) *string { return &c.Backfill }, oneOf("auto", "off")),
	}, {
		Name: "CLERKSYNC_RECONCILE", Default: "auto",
		Value:   "auto or off",
		Summary: "Whether `clerksync serve` compares the mirror with Clerk and repairs it.",
		When:    "off, to run `clerksync reconcile` yourself.",
		noun:    "reconcile mode", why: "Without reconcile lost events are never repaired.",
		emptyIsUnset: true,
		binding:      bind(func(c *Config) *string { return &c.Reconcile }, oneOf("auto", "off")),
	}, {
		Name: "CLERKSYNC_WRITES", Default: "on",
		Value:   "on or off",
		Summary: "Whether operators may change users and sessions: at Clerk, or without a secret key as overrides here.",
		When:    "off, if the secret key must only read.",
		noun:    "mode of changes", why: "Operators change what is at Clerk, with the secret key.",
		binding: bind(func(c *Config) *string { return &c.Writes }, oneOf("on", "off")),
	}, {
		Name: walkMinName, Default: "10m",
		Value:   "a duration such as 10m, at least 1m",
		Summary: "The shortest pause between two full walks. The pause is 20 times as long as the last walk took.",
		When:    "Lengthen it to use less of the API budget.",
		noun:    "shortest pause between walks", why: "A change that sent no webhook stays unnoticed for this long.",
		binding: bind(func(c *Config) *time.Duration { return &c.WalkMinPause }, durationFrom(time.Minute)),
	}, {
		Name: walkMaxName, Default: "24h",
		Value:   "a duration such as 24h, at least CLERKSYNC_WALK_MIN_PAUSE",
		Summary: "The longest pause between two full walks.",
		When:    "Shorten it to notice changes that sent no webhook earlier.",
		noun:    "longest pause between walks", why: "A change that sent no webhook stays unnoticed for this long.",
		binding: bind(func(c *Config) *time.Duration { return &c.WalkMaxPause }, durationFrom(time.Minute)),
	}}
}

func budgetSettings() []Setting {
	return []Setting{{
		Name: "CLERKSYNC_API_BUDGET", Default: "20%",
		Value:   "a percentage above 0% and up to 100%, such as 20%",
		Summary: "The share of Clerk's rate limit that clerksync may use.",
		When:    "Raise it for a faster backfill; lower it if your application needs the limit itself.",
		noun:    "API budget", why: "Your application shares Clerk's rate limit with clerksync.",
		emptyIsUnset: true,
		binding:      bind(func(c *Config) *float64 { return &c.APIBudget }, parsePercent),
	}, {
		Name:    "CLERKSYNC_API_LIMIT",
		Unset:   "1000 with a live key, 100 with a test key",
		Value:   "a whole number from 1 to 1000000",
		Example: "3000",
		Summary: "The number of requests in 10 seconds that Clerk allows your instance.",
		When:    "When Clerk has raised the limit of your instance.",
		noun:    "API limit", why: "The budget is a share of it.",
		emptyIsUnset: true,
		binding:      bind(func(c *Config) *int { return &c.APILimit }, parseRequests),
	}}
}

func retentionSettings() []Setting {
	return []Setting{{
		Name: "CLERKSYNC_ERASE_AFTER", Default: "720h",
		Value:   "a duration in hours such as 720h; 0 means at once",
		Summary: "The time from a user's deletion to the erasure of the personal data.",
		When:    "As your privacy policy says.",
		noun:    "erasure delay", why: "It decides how long personal data is kept after a deletion.",
		binding: bind(func(c *Config) *time.Duration { return &c.EraseAfter }, durationFrom(0)),
	}, {
		Name: "CLERKSYNC_INBOX_RETENTION", Default: "2160h",
		Value:   "a duration in hours such as 2160h, at least 1h",
		Summary: "How long the bodies of deliveries are kept.",
		When:    "Shorten it to store less personal data; lengthen it to replay older deliveries.",
		noun:    "inbox retention", why: "It decides how long bodies of deliveries can be read and replayed.",
		binding: bind(func(c *Config) *time.Duration { return &c.InboxRetention }, durationFrom(time.Hour)),
	}, {
		Name: "CLERKSYNC_CHANGES_RETENTION", Default: "720h",
		Value:   "a duration in hours such as 720h, at least 1h",
		Summary: "How long the change feed goes back.",
		When:    "Lengthen it if readers of the feed pause for longer.",
		noun:    "change feed retention", why: "A reader that pauses for longer misses changes.",
		binding: bind(func(c *Config) *time.Duration { return &c.ChangesRetention }, durationFrom(time.Hour)),
	}, {
		Name: "CLERKSYNC_AUDIT_RETENTION", Default: "2160h",
		Value:   "a duration in hours such as 2160h, at least 1h",
		Summary: "How long the audit log goes back.",
		When:    "As your audit rules say.",
		noun:    "audit retention", why: "Older audit entries are deleted.",
		binding: bind(func(c *Config) *time.Duration { return &c.AuditRetention }, durationFrom(time.Hour)),
	}, {
		Name:    "CLERKSYNC_REDACT",
		Unset:   "nothing beyond one-time secrets, which are never stored",
		Value:   "field names joined by dots, such as public_metadata.ssn",
		Example: "public_metadata.ssn",
		Summary: "Field paths that are never stored. New paths are also removed from what is stored already.",
		When:    "When Clerk holds data that your database must not have.",
		noun:    "redacted field path", why: "Data that must not be stored would be stored.",
		binding: bind(func(c *Config) *[]string { return &c.Redact }, listOf(parseFieldPath)),
	}}
}
