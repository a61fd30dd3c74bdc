package config

import (
	"errors"
	"strings"
)

func machineSettings() []Setting {
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
	}}
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
