package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"syscall"

	"github.com/clerksync/clerksync/internal/config"
	"github.com/clerksync/clerksync/internal/web"
)

// listenError says why a server cannot listen on an address, which setting has it, and what to do.
func listenError(err error, cfg *config.Config) error {
	failed, ok := errors.AsType[*web.ListenError](err)
	if !ok {
		return err
	}
	name := "CLERKSYNC_LISTEN"
	if failed.Addr == cfg.OperatorListen {
		name = "CLERKSYNC_OPERATOR_LISTEN"
	}
	problem, remedy := failed.Err.Error(), "Choose another address"
	_, unknown := errors.AsType[*net.DNSError](err)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		problem, remedy = "is in use by "+holderOf(failed.Addr), "Stop that process, or choose another address"
	case errors.Is(err, fs.ErrPermission):
		problem = "may not be used: permission denied"
		remedy = "Choose a port from 1024 on, or let the process use lower ones: AmbientCapabilities=CAP_NET_BIND_SERVICE in systemd, " +
			"setcap cap_net_bind_service=+ep on the binary"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		problem, remedy = "is not an address of this machine", "Name one that it has, or the port alone (such as :8080), which listens on all"
	case unknown:
		problem, remedy = "cannot be found: no such host", "Name an address of this machine, or the port alone (such as :8080), which listens on all"
	}
	return fmt.Errorf("%s %s (%s)\nThe server cannot receive requests.\n%s", failed.Addr, problem, name, remedy)
}

// holderOf returns for people which process listens on an address, if that can be found out.
func holderOf(address string) string {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return "another process"
	}
	if name := listenerOn(port); name != "" {
		return name
	}
	return "another process"
}
