package config

import (
	"net/netip"

	"github.com/clerksync/clerksync/internal/web"
)

// parseProxies reads the networks of the proxies. It refuses those that together are most of the internet: everyone could
// then pretend to come from any address and ask for any path.
func parseProxies(text string) ([]netip.Prefix, error) {
	networks, err := listOf(parsePrefix)(text)
	if err == nil && web.Proxies(networks).CoverInternet() {
		err = valueError{
			"list covers half of the internet or more",
			"List the addresses of your proxies, or the private network that they are in, such as 10.0.0.0/8.",
		}
	}
	return networks, err
}
