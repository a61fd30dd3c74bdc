package mirror

// Engine is a database engine.
type Engine string

// The engines.
const (
	SQLite   Engine = "sqlite"
	Postgres Engine = "postgres"
)

// DatabaseError is a database that cannot be used. It holds no password.
type DatabaseError struct {
	// Database is which one: "Postgres at postgres://db:5432/clerk", "The SQLite file
	// /data/clerk.db".
	Database string
	// Problem is what is wrong: "does not answer: connection refused".
	Problem string
	// Remedy is what to do about it.
	Remedy string
	// Temporary reports whether it may pass by itself: the database starts, or cannot be reached.
	Temporary bool
	// Err is the error of the driver.
	Err error
}

// Error is for people: what happened, why it matters and what to do.
func (e *DatabaseError) Error() string {
	return e.Database + " " + e.Problem + ". Nothing can be stored or answered without it. " + e.Remedy
}

// Unwrap returns the error of the driver.
func (e *DatabaseError) Unwrap() error { return e.Err }
