package mirror

import "strings"

// OnChangeError is an error or a panic of the application's OnChange. The transaction in which
// OnChange ran was rolled back: its changes are not stored.
type OnChangeError struct {
	// Err is what OnChange returned.
	Err error
}

// Error says what OnChange returned.
func (e *OnChangeError) Error() string { return "OnChange failed: " + e.Err.Error() }

// Unwrap returns Err.
func (e *OnChangeError) Unwrap() error { return e.Err }

// maxProblem bounds [OnChangeError.Problem].
const maxProblem = 300

// Problem returns the first line of the message of Err, at most 300 bytes of it.
func (e *OnChangeError) Problem() string {
	line, _, _ := strings.Cut(e.Err.Error(), "\n")
	return strings.ToValidUTF8(strings.ReplaceAll(line[:min(len(line), maxProblem)], "\x00", ""), "")
}
