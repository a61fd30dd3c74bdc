package config

import (
	"errors"
	"net/netip"
	"strings"
)

func webhookSettings() []Setting {
	return []Setting{{
		Name:    "CLERKSYNC_WEBHOOKS_ALLOW",
		Unset:   "public addresses only",
		Value:   "host names or addresses without scheme and port, such as hooks.internal or 127.0.0.1",
		Example: "hooks.internal",
		Summary: "Hosts to which outgoing webhooks may be sent although they are private or loopback, also by plain http.",
		When:    "When a receiver of outgoing webhooks is in your own network.",
		noun:    "webhook host", why: "Outgoing webhooks are sent to private addresses only if their host is allowed by name.",
		binding: bind(func(c *Config) *[]string { return &c.WebhooksAllow }, listOf(parseHost)),
	}}
}

// parseHost reads a host name or an address.
func parseHost(text string) (string, error) {
	host := strings.TrimSuffix(strings.TrimPrefix(text, "["), "]")
	if _, err := netip.ParseAddr(host); err == nil {
		return host, nil
	}
	if host == "" || strings.ContainsAny(host, "/@?#*:[] \t") {
		return "", errors.New("is not a host name or an address")
	}
	return strings.ToLower(host), nil
}
