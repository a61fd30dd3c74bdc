package config

import (
	"net/netip"
	"time"
)

func roleSettings() []Setting {
	return []Setting{{
		Name: rolesName, Default: "solo,growth,enterprise,admin",
		Value:   "role names separated by commas, each once; a name has up to 64 letters, digits and _ . : -",
		Summary: "The role ladder, lowest role first. A user has the role in public_metadata.role, or the lowest.",
		When:    "Set it to the roles of your application.",
		noun:    "role", why: "Access rules compare roles by their place in this list.",
		binding: bind(func(c *Config) *[]string { return &c.Roles }, parseRoles),
	}, {
		Name:    adminRoleName,
		Unset:   "the last role of CLERKSYNC_ROLES, or off if there is only one",
		Value:   "a role of CLERKSYNC_ROLES, but not the lowest, or off",
		Example: "admin",
		Summary: "The role from which on users may use the operator API and the console with their own session. They see and change the data of all users.",
		When:    "To let another role operate, or off to let in operators with a token only.",
		noun:    "admin role", why: "It decides who sees and changes the data of all users.",
		binding: bind(func(c *Config) *string { return &c.AdminRole }, parseAdminRole),
	}, {
		Name:    "CLERKSYNC_PLAN_FEATURES",
		Unset:   "no plan has features",
		Value:   "plan=feature+feature by their slugs, such as pro=reports+export,team=reports",
		Example: "pro=reports+export,team=reports",
		Summary: "The features of each plan, for tokens that do not list them.",
		When:    "When rules ask for a feature.",
		noun:    "plan's features", why: "Stored subscriptions name only the plan; a feature that no plan has is refused.",
		emptyIsUnset: true,
		binding:      bind(func(c *Config) *[]string { return &c.PlanFeatures }, listOf(parsePlanFeatures)),
	}, {
		Name:    "CLERKSYNC_UPGRADE_URL",
		Unset:   "no link",
		Value:   urlValue,
		Example: "https://example.com/pricing",
		Summary: "The page that a refusal for a missing plan or feature links to.",
		When:    "When you have a pricing page.",
		noun:    "upgrade URL", why: "Users are sent to this address.",
		emptyIsUnset: true,
		binding:      bind(func(c *Config) *string { return &c.UpgradeURL }, parseURL),
	}, {
		Name: "CLERKSYNC_JIT", Default: "auto",
		Value:   "auto or off",
		Summary: "Whether an unknown user is read once from Clerk (just in time).",
		When:    "off, to refuse users that no event and no backfill brought.",
		noun:    "just-in-time mode", why: "It decides how a token of an unknown user is treated.",
		binding: bind(func(c *Config) *string { return &c.JIT }, oneOf("auto", "off")),
	}}
}

func readySettings() []Setting {
	return []Setting{{
		Name:    "CLERKSYNC_UNREADY",
		Unset:   "ask with CLERK_SECRET_KEY, allow without",
		Value:   "ask, allow or deny",
		Example: "ask",
		Summary: "What stored roles, permissions and plans may grant while the mirror is not ready. " +
			"ask reads the object from Clerk first, and denies if that fails; allow uses what is stored; deny grants nothing.",
		When: "deny or ask for strict applications; allow where availability matters more.",
		noun: "unready mode", why: "It decides what is granted while the mirror is not ready.",
		binding: bind(func(c *Config) *string { return &c.Unready }, oneOf("ask", "allow", "deny")),
	}, {
		Name: "CLERKSYNC_READY_WITHIN", Default: "5m",
		Value:   "a duration such as 5m; 0 means never",
		Summary: "For how long a sweep of the users lets stored roles grant access. A change that sent no webhook can grant for this long.",
		When:    "Shorten it for a stricter bound; lengthen it if sweeps fail often.",
		noun:    "user freshness", why: "A change that sent no webhook can grant access for this long.",
		binding: bind(func(c *Config) *time.Duration { return &c.ReadyWithin }, durationFrom(0)),
	}, {
		Name: "CLERKSYNC_READY_WALK_WITHIN", Default: "26h",
		Value:   "a duration such as 26h; 0 means never",
		Summary: "For how long a full walk lets the permissions of stored organization roles grant access. A walk that is overdue ends this earlier.",
		When:    "Keep it above CLERKSYNC_WALK_MAX_PAUSE.",
		noun:    "permission freshness", why: "A change that sent no webhook can grant access for this long.",
		binding: bind(func(c *Config) *time.Duration { return &c.ReadyWalkWithin }, durationFrom(0)),
	}}
}

func forwardAuthSettings() []Setting {
	return []Setting{{
		Name: policyName, multiline: true,
		Unset:   "any signed-in user passes",
		Value:   "a YAML mapping; see docs/forward-auth.md",
		Summary: "The route policy as YAML text. Usually CLERKSYNC_POLICY_FILE names its file.",
		When:    "Set it when routes need different rules.",
		noun:    "policy", why: "Without it any signed-in user passes.",
		binding: bind(func(c *Config) *string { return &c.Policy }, parsePolicy),
	}, {
		Name:    proxiesName,
		Unset:   "no proxy is trusted, and forward auth is refused",
		Value:   "addresses or CIDRs, such as 10.0.0.0/8 or fd00::/8",
		Example: "10.0.0.0/8",
		Summary: "Addresses of the reverse proxies whose X-Forwarded headers are trusted.",
		When:    "Set it when a reverse proxy is in front of this server.",
		noun:    "trusted proxy", why: "A trusted proxy decides which address and path a request seems to have.",
		binding: bind(func(c *Config) *[]netip.Prefix { return &c.TrustedProxies }, parseProxies),
	}, {
		Name:    "CLERKSYNC_PROXY",
		Unset:   "any kind but ingress-nginx",
		Value:   "nginx, caddy, traefik, envoy or ingress-nginx",
		Example: "nginx",
		Summary: "The kind of reverse proxy that uses forward auth. Only its headers are read.",
		When:    "Set it when you use forward auth.",
		noun:    "kind of proxy", why: "A client can send the headers by which another kind of proxy passes on the request.",
		binding: bind(func(c *Config) *string { return &c.Proxy }, oneOf(proxyKinds()...)),
	}, {
		Name: identityName, Secret: true,
		Unset:   "no signed header",
		Value:   tokenValue,
		Summary: "The secret that signs the header X-Clerk-Identity.",
		When:    "When servers behind the proxy should verify who set the identity headers.",
		noun:    "identity secret", why: "Servers behind the proxy trust anyone who knows it.",
		binding: bind(func(c *Config) *string { return &c.IdentitySecret }, parseOperatorToken),
	}}
}
