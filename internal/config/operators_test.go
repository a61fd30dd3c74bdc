package config

import (
	"strings"
	"testing"
)

func TestOperatorListenerForOtherMachinesNeedsAToken(t *testing.T) {
	t.Parallel()
	token := "CLERKSYNC_OPERATOR_TOKEN=" + longText
	for _, c := range []struct {
		listen        string
		token, refuse bool
		warn          bool
	}{
		{"127.0.0.1:8081", false, false, false},
		{"127.9.9.9:8081", false, false, false},
		{"localhost:8081", false, false, false},
		{"[::1]:8081", false, false, false},
		{"off", false, false, false},
		{":8081", false, true, false},
		{"0.0.0.0:8081", false, true, false},
		{"[::]:8081", false, true, false},
		{"192.0.2.1:8081", false, true, false},
		{"operators:8081", false, true, false},
		{":8081", true, false, true},
		{"operators:8081", true, false, true},
	} {
		environ := []string{"CLERKSYNC_OPERATOR_LISTEN=" + c.listen}
		if c.token {
			environ = append(environ, token)
		}
		_, warnings, err := Load(Options{Environ: environ})
		if refused := err != nil && strings.Contains(err.Error(), "no operator token is set"); refused != c.refuse {
			t.Errorf("%s, token %v: %v", c.listen, c.token, err)
		}
		warned := false
		for _, w := range warnings {
			warned = warned || strings.Contains(w.String(), "reachable from other machines")
		}
		if warned != c.warn {
			t.Errorf("%s, token %v: warnings %v", c.listen, c.token, warnings)
		}
	}
}
