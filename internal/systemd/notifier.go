package systemd

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// Notifier sends messages to the service manager that started the process.
type Notifier struct {
	socket   *net.UnixAddr // nil: none asked for messages
	watchdog time.Duration // 0: none
}

// New returns the Notifier for an environment in the form of os.Environ. Where NOTIFY_SOCKET is not
// set, it sends nothing. It removes the variables from the environment of the process, so that
// programs that the process starts do not report in its name. The error says what in the
// environment cannot be used; the Notifier then does without it, and is never nil.
func New(environ []string) (*Notifier, error) {
	variables := map[string]string{}
	for _, name := range []string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"} {
		for _, variable := range environ {
			if value, ok := strings.CutPrefix(variable, name+"="); ok {
				variables[name] = value
			}
		}
		_ = os.Unsetenv(name) // fails for invalid names only
	}
	n := &Notifier{}
	path := variables["NOTIFY_SOCKET"]
	switch {
	case path == "":
		return n, nil
	case path[0] != '/' && path[0] != '@': // @ is Linux's namespace of abstract sockets
		return n, fmt.Errorf("NOTIFY_SOCKET is %q, which is neither a path nor an abstract socket", path)
	}
	n.socket = &net.UnixAddr{Name: path, Net: "unixgram"}
	interval, err := watchdogInterval(variables["WATCHDOG_USEC"], variables["WATCHDOG_PID"])
	n.watchdog = interval
	return n, err
}

// watchdogInterval returns the time within which the service manager wants a message, 0 if it wants
// none from this process.
func watchdogInterval(usec, pid string) (time.Duration, error) {
	if usec == "" || pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return 0, nil
	}
	n, err := strconv.ParseInt(usec, 10, 64)
	const longest = int64(24 * 365 * time.Hour / time.Microsecond)
	if err != nil || n <= 0 || n > longest {
		return 0, fmt.Errorf("WATCHDOG_USEC is %q, which is no number of microseconds", usec)
	}
	return time.Duration(n) * time.Microsecond, nil
}

// send sends one message with the assignments. A service manager that does not read gets nothing:
// the server goes on.
func (n *Notifier) send(assignments ...string) (err error) {
	if n.socket == nil {
		return nil
	}
	conn, err := net.DialUnix("unixgram", nil, n.socket)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if err := conn.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	_, err = conn.Write([]byte(strings.Join(assignments, "\n")))
	return err
}
