package cli

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/clerksync/clerksync/internal/config"
	"github.com/clerksync/clerksync/internal/doctor"
)

// printServing prints what a server found and where it listens, for a person who has started it in
// a terminal.
func printServing(ctx context.Context, w io.Writer, t terminal, cfg *config.Config, s startedServer) {
	lines := [][2]string{{"mirror", cfg.Database.String() + rowsOfServer(ctx, s)}, {"Clerk", keysOf(cfg)}}
	public := "webhooks at /api/webhooks/clerk, callers at /api/auth/me"
	switch {
	case cfg.OperatorListen == "public" && cfg.Console != "off":
		public += ", the console at " + consolePath + "/"
	case len(s.addrs) > 1 && cfg.Console != "off":
		lines = append(lines, [2]string{"operators", urlOf(s.addrs[1]) + consolePath + "/ and the API that commands use with --server"})
	case len(s.addrs) > 1:
		lines = append(lines, [2]string{"operators", urlOf(s.addrs[1]) + ": the API that commands use with --server"})
	}
	lines = append(lines, [2]string{"public", urlOf(s.addrs[0]) + ": " + public})
	fmt.Fprintln(w)
	for _, line := range lines {
		pad := strings.Repeat(" ", max(0, len("operators")-len(line[0])))
		fmt.Fprintf(w, "%s%s  %s\n", t.paint(faint, line[0]), pad, doctor.Wrap(line[1], "           ", t.width))
	}
	fmt.Fprintln(w)
}

// urlOf returns the URL of a listener as a browser on this machine can use it.
func urlOf(address net.Addr) string {
	host, port, err := net.SplitHostPort(address.String())
	if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		return "http://localhost:" + port
	}
	return "http://" + address.String()
}

// rowsOfServer says how many rows of some kinds there are, if that is known within a second.
func rowsOfServer(ctx context.Context, s startedServer) string {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	overview, err := s.mirror.Sync().Overview(ctx)
	if err != nil || overview.CountedAt.IsZero() {
		return ""
	}
	var rows []string
	for i := range overview.Status.Kinds {
		if k := &overview.Status.Kinds[i]; k.Rows > 0 {
			rows = append(rows, counted(k.Rows, k.Kind))
		}
	}
	if len(rows) == 0 {
		return ", empty"
	}
	return ", " + strings.Join(rows, ", ")
}

// keysOf says what a server can do with the keys that it has.
func keysOf(c *config.Config) string {
	parts := []string{"read and changed with the secret key"}
	switch {
	case c.SecretKey == "":
		parts[0] = "not read: there is no secret key"
	case c.Writes == "off":
		parts[0] = "read with the secret key, and never changed"
	}
	switch len(c.WebhookSecrets) {
	case 0:
		parts = append(parts, "webhooks are refused: there is no webhook secret")
	case 1:
		parts = append(parts, "webhooks verified with 1 secret")
	default:
		parts = append(parts, fmt.Sprintf("webhooks verified with any of %d secrets", len(c.WebhookSecrets)))
	}
	if c.Issuer != "" {
		parts = append(parts, "tokens of "+c.Issuer)
	}
	return strings.Join(parts, "; ")
}
