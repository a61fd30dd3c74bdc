package mirror

import "errors"

// Errors for errors.Is. Package clerksync has them, too.
var (
	// ErrNotFound means that there is no such live row.
	ErrNotFound = errors.New("not found")
	// ErrAmbiguous means that more than one live row has this e-mail address or slug at the moment.
	ErrAmbiguous = errors.New("ambiguous: more than one live row has it")
	// ErrInvalidCursor means that a text is not a cursor of this list.
	ErrInvalidCursor = errors.New("not a cursor of this list")
	// ErrNoBody means that a delivery cannot be replayed, because its body is no longer stored.
	ErrNoBody = errors.New("the body of the delivery is not kept")
	// ErrNotDead means that a delivery cannot be dismissed, because it is not a dead letter.
	ErrNotDead = errors.New("not a dead letter")
	// ErrChangesRemoved means that it is not known what a delivery changed, because the changes of
	// that time are older than the retention of the change feed.
	ErrChangesRemoved = errors.New("the changes of that time are older than the retention of the change feed, and were removed")
	// ErrOtherInstance means that keys belong to another Clerk instance than the one that the
	// database mirrors.
	ErrOtherInstance = errors.New("another Clerk instance")
	// ErrSyncBusy means that another process holds the lease to read Clerk for a database.
	ErrSyncBusy = errors.New("another process is reconciling this database")
	// ErrNoSecretKey means that no secret key is configured with which Clerk could be read.
	ErrNoSecretKey = errors.New("no Clerk secret key is configured")
	// ErrOperatorExists means that there is an operator of the name already.
	ErrOperatorExists = errors.New("there is an operator of this name: revoke it first, or choose another name")
	// ErrTooManyOperators means that no operator can be added until one is revoked.
	ErrTooManyOperators = errors.New("there are 100 operators, which is the limit: revoke those that are no longer needed")
	// ErrInvalidOperator means that a name or the life of a token is not acceptable.
	ErrInvalidOperator = errors.New("invalid operator")
	// ErrInvalidOverride means that a field or a value cannot be overridden.
	ErrInvalidOverride = errors.New("invalid override")
	// ErrConsumerRunning means that a consumer cannot be deleted, because a process runs it.
	ErrConsumerRunning = errors.New("a process runs the consumer: stop it first")
	// ErrInvalidJob means that a job cannot be planned as it was requested. The message says why.
	ErrInvalidJob = errors.New("not a valid job")
	// ErrTooManyJobs means that no job can be started until one has ended.
	ErrTooManyJobs = errors.New("20 jobs wait or run, which is the limit: wait until one has ended, or cancel one")
	// ErrJobExpired means that a plan is too old to be started: what it counted may have changed.
	ErrJobExpired = errors.New("the plan is older than an hour: make it again")
	// ErrJobEnded means that a job cannot be started or cancelled, because it has ended or is
	// ending.
	ErrJobEnded = errors.New("the job has ended")
	// ErrNoDatabase means that there is no database file to read, or an empty one.
	ErrNoDatabase = errors.New("there is no database yet")
	// ErrNotReached means that the database does not have the change of a cursor yet.
	ErrNotReached = errors.New("the change is not in this database yet")
	// ErrInvalidFilter means that a filter names something that does not exist, such as a kind.
	ErrInvalidFilter = errors.New("not a valid filter")
	// ErrInsideOnChange means that a method was called inside of OnChange, with the context of the
	// call, that would wait for the transaction in which OnChange runs.
	ErrInsideOnChange = errors.New("not possible inside OnChange: it would wait for the transaction in which OnChange runs; use the Tx")
)
