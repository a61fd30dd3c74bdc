package config

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

func machineSettings() []Setting { return append(callerSettings(), verificationSettings()...) }

func callerSettings() []Setting {
	return []Setting{{
		Name:    "CLERKSYNC_OAUTH_RESOURCES",
		Unset:   "the audience of OAuth access tokens is not checked",
		Value:   "one or more URLs of this API, separated by commas, exactly as clients name them",
		Example: "https://api.example.com/mcp",
		Summary: "The resources (claim aud) for which OAuth access tokens must be made. A token without an audience is refused then, and so is every opaque one.",
		When:    "When a route accepts OAuth access tokens, such as that of an MCP server: without it, those for other applications are accepted, too.",
		noun:    "OAuth resource", why: "Access tokens for other resources are refused by an exact comparison.",
		binding: bind(func(c *Config) *[]string { return &c.OAuthResources }, listOf(parseURL)),
	}, {
		Name:    "CLERKSYNC_MACHINE_CALLERS",
		Unset:   "M2M tokens that are JWTs are refused",
		Value:   "machines, each with its scopes, such as mch_1=deals:read+deals:write,mch_2",
		Example: "mch_1=deals:read+deals:write,mch_2",
		Summary: "The machines whose M2M tokens are accepted, and the scopes that each of them has here.",
		When:    "When a route accepts M2M tokens. Any machine of the instance can make a JWT for itself, with any claims.",
		noun:    "machine caller", why: "Machines that are not listed are refused, and machines have no other scopes.",
		binding: bind(func(c *Config) *[]string { return &c.MachineCallers }, listOf(parseMachineCaller)),
	}, {
		Name:    "CLERKSYNC_MACHINE_ID",
		Unset:   "the receivers of M2M tokens are not checked",
		Value:   "the id of a machine (mch_…)",
		Example: "mch_2abc",
		Summary: "This application's own machine, which must be among the receivers of opaque M2M tokens.",
		When:    "When a route accepts opaque M2M tokens.",
		noun:    "machine id", why: "Tokens for other machines are refused by an exact comparison.",
		binding: bind(func(c *Config) *string { return &c.MachineID }, parseMachineID),
	}, {
		Name: "CLERK_MACHINE_SECRET_KEY", Secret: true,
		Unset:   "CLERK_SECRET_KEY verifies M2M tokens, and Clerk accepts those for any machine",
		Value:   "ak_…",
		Summary: "The secret key of this application's own machine. With it, Clerk accepts only M2M tokens that are for this machine.",
		When:    "When a route accepts opaque M2M tokens. CLERK_SECRET_KEY is needed as well.",
		noun:    "machine secret key", why: "Opaque M2M tokens are verified with it.",
		remedy:  "Copy it from the machine's page in the Clerk dashboard.",
		binding: bind(func(c *Config) *string { return &c.MachineSecretKey }, parseMachineSecretKey),
	}}
}

// verificationSettings are about tokens that only Clerk can read.
func verificationSettings() []Setting {
	return []Setting{{
		Name: "CLERKSYNC_MACHINE_TTL", Default: "1m",
		Value:   "a duration from 1s to 720h, such as 1m",
		Summary: "For how long Clerk's answer about an API key or an opaque token counts, if the token lives that long.",
		When:    "Lengthen it to pay for fewer verifications. What is revoked at Clerk, and not here, is accepted for so long.",
		noun:    "lifetime of verified tokens", why: "A token that was revoked at Clerk is accepted for so long.",
		binding: bind(func(c *Config) *time.Duration { return &c.MachineTTL }, durationBetween(time.Second, 720*time.Hour)),
	}, {
		Name: "CLERKSYNC_MACHINE_MAX_STALE", Default: "5m",
		Value:   "a duration such as 5m; 0 means never",
		Summary: "How much longer Clerk's last answer about an API key or an opaque token counts while Clerk cannot be asked.",
		When:    "0, if a token that may have been revoked must never be accepted.",
		noun:    "stale time of verified tokens", why: "A token that was revoked at Clerk during an outage is accepted for so long.",
		binding: bind(func(c *Config) *time.Duration { return &c.MachineMaxStale }, durationFrom(0)),
	}, {
		Name: "CLERKSYNC_MACHINE_CALLS", Default: "600",
		Value: "a whole number from 1 to 1000000",
		Summary: "How many verifications at Clerk API keys and opaque tokens that were never seen may cost each process, in any minute. " +
			"OAuth tokens also use half of the API budget at most.",
		When: "Raise it if many new tokens are used at the same time; lower it to bound what a flood of junk costs.",
		noun: "number of verifications", why: "Clerk is paid for each verification, also for junk.",
		binding: bind(func(c *Config) *int { return &c.MachineCalls }, parseRequests),
	}, {
		Name: "CLERKSYNC_MACHINE_PRICE", Default: "0.00001",
		Value:   "an amount in US dollars, such as 0.00001",
		Summary: "What Clerk charges for a verification. It is used for metrics only.",
		When:    "When your price at Clerk is another one.",
		noun:    "price of a verification", why: "Metrics show what was saved by it.",
		binding: bind(func(c *Config) *string { return &c.MachinePrice }, parsePrice),
	}}
}

// parseMachineSecretKey refuses a key that is none of a machine.
func parseMachineSecretKey(text string) (string, error) {
	if rest, found := strings.CutPrefix(text, "ak_"); !found || len(rest) < minMachineSecret || !token(text) {
		return "", errors.New("is not the secret key of a machine (ak_…)")
	}
	return text, nil
}

// minMachineSecret is the least length of a secret after its prefix. The id of a key has 32.
const minMachineSecret = 16

// parsePrice checks an amount, and keeps it as it is written.
func parsePrice(text string) (string, error) {
	if price, err := strconv.ParseFloat(text, 64); err != nil || !(price >= 0 && price <= 1) { // so written, NaN is refused
		return "", errors.New("is not an amount from 0 to 1")
	}
	return text, nil
}

// parseMachineCaller checks machine or machine=scope+scope.
func parseMachineCaller(text string) (string, error) {
	machine, scopes, found := strings.Cut(text, "=")
	if _, err := parseMachineID(machine); err != nil {
		return "", errors.New("does not start with the id of a machine (mch_…)")
	}
	if !found {
		return text, nil
	}
	for scope := range strings.SplitSeq(scopes, "+") {
		if scope == "" || !token(scope) || strings.ContainsAny(scope, `"\`) {
			return "", errors.New("has a scope that is empty or has a character that no scope has")
		}
	}
	return text, nil
}

func parseMachineID(text string) (string, error) {
	if rest, found := strings.CutPrefix(text, "mch_"); !found || !validSlug(rest) {
		return "", errors.New("is not the id of a machine (mch_…)")
	}
	return text, nil
}
