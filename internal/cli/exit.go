package cli

import "fmt"

// exitCode ends a command that has printed everything already.
type exitCode int

// Exit codes other than success.
const (
	exitFailed   exitCode = 1
	exitUsage    exitCode = 2
	exitRepaired exitCode = 3
	exitDenied   exitCode = 3
	exitLeft     exitCode = 4
	exitStopped  exitCode = 130 // by Ctrl-C, as shells say it
)

// Error returns the code in words.
func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

// usageError is a wrong use of a command that shows itself only when the command runs.
type usageError string

// Error returns what is wrong, and what is allowed.
func (e usageError) Error() string { return string(e) }
