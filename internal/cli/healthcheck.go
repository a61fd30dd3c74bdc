package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"github.com/clerksync/clerksync/internal/config"
)

type healthcheckCommand struct {
	Config  string        `help:"YAML file with settings (CLERKSYNC_CONFIG)." placeholder:"FILE" group:"settings"`
	Listen  string        `help:"Public address of the server, default :8080 (CLERKSYNC_LISTEN)." placeholder:"ADDR" group:"settings"`
	Timeout time.Duration `help:"How long the server may take." default:"3s"`
}

func (c healthcheckCommand) settings() map[string]string {
	return map[string]string{"CLERKSYNC_CONFIG": c.Config, "CLERKSYNC_LISTEN": c.Listen}
}

// Help returns the text below the description.
func (healthcheckCommand) Help() string {
	return `Example:

    clerksync healthcheck && echo alive

It asks GET /livez of the server on this machine that has the same settings: for containers and supervisors. Exit code 0: it ` +
		`serves. 1: it does not. The command opens no database. Whether the mirror is fresh is a question for GET /readyz, and no reason ` +
		`to restart the server.`
}

// Run asks the server of this machine.
func (c healthcheckCommand) Run(ctx context.Context, p *process) error {
	listen, err := config.ListenAddress(p.options(c))
	if err != nil {
		return err
	}
	addresses, err := ownAddresses(listen)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	var failed error
	for _, address := range addresses {
		err := askAlive(ctx, address)
		if err == nil {
			_, err = fmt.Fprintln(p.stdout, "alive")
			return err
		}
		if failed == nil || errors.Is(failed, syscall.ECONNREFUSED) { // the other family of addresses may say more
			failed = err
		}
	}
	return fmt.Errorf("the server does not serve: %w", failed)
}

// ownAddresses returns addresses under which a listener of this machine can be reached.
func ownAddresses(listen string) ([]string, error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return nil, err
	}
	if port == "0" {
		return nil, fmt.Errorf("%s (CLERKSYNC_LISTEN) lets the system choose a port, which cannot be known here", listen)
	}
	address, err := netip.ParseAddr(host)
	if host == "" || err == nil && address.IsUnspecified() { // the listener has all addresses
		return []string{net.JoinHostPort("127.0.0.1", port), net.JoinHostPort("::1", port)}, nil
	}
	return []string{listen}, nil
}

// askAlive asks the server at an address whether it serves. No proxy is used.
func askAlive(ctx context.Context, address string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/livez", nil)
	if err != nil {
		return err
	}
	transport := &http.Transport{DisableKeepAlives: true}
	answer, err := transport.RoundTrip(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	var body struct {
		Status string `json:"status"`
	}
	err = json.NewDecoder(io.LimitReader(answer.Body, 1<<10)).Decode(&body)
	if answer.StatusCode != http.StatusOK || err != nil || body.Status != "alive" {
		return fmt.Errorf("GET http://%s/livez: %s, which is no clerksync that serves", address, answer.Status)
	}
	return nil
}
