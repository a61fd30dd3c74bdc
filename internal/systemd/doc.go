// Package systemd reports to systemd what a server does, for units with Type=notify and
// WatchdogSec: that it is ready, in a line what it says about itself, that it works, that it stops.
//
// A server that works is one that answers its own readiness route, whatever the answer is. A
// restart helps a server that hangs, and does not help one whose database is down: it answers that
// it is not ready, and is left alone. The route is called in the process and not over the network,
// where a flood of connections from outside could keep it from being answered, and so restart the
// server. A server that no longer accepts connections ends by itself.
package systemd
