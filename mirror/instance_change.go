package mirror

import "errors"

// Errors of a change of the instance, for errors.Is.
var (
	// ErrInstanceUnknown means that neither the configured keys nor the configuration name one
	// Clerk instance.
	ErrInstanceUnknown = errors.New("the configured keys name no Clerk instance")
	// ErrOtherData means that the rows of a database are not those of the Clerk instance of the
	// configured keys.
	ErrOtherData = errors.New("the rows of the database are not those of this Clerk instance")
	// ErrServerRunning means that a process keeps the mirror up to date.
	ErrServerRunning = errors.New("a server runs on the database")
	// ErrReferenced means that rows of the application refer to mirrored rows.
	ErrReferenced = errors.New("rows of your own tables refer to mirrored rows")
)

// InstanceState says which Clerk instance a database mirrors, and which ones meet it.
type InstanceState struct {
	// Database is the instance that the database mirrors (ins_…), empty if it is not known yet.
	Database string `json:"database"`
	// Configured lists the instances that the configuration and the configured keys name; more than
	// one means that they contradict each other.
	Configured []string `json:"configured"`
	// Events lists the instances whose events have come.
	Events []string `json:"events"`
	// Rows is the number of mirrored rows, deleted ones included.
	Rows int64 `json:"rows"`
	// Running is the number of processes that keep the mirror up to date.
	Running int `json:"running"`
}
