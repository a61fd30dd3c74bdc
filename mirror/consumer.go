package mirror

import "time"

// ConsumerState says whether a consumer of the change feed gets changes.
type ConsumerState string

// The states of a consumer.
const (
	ConsumerRunning ConsumerState = "running"     // a process works through its changes
	ConsumerPaused  ConsumerState = "paused"      // an operator paused it; its place is kept
	ConsumerIdle    ConsumerState = "not_running" // no process runs it at the moment; its place is kept
	// ConsumerStopped means that the changes after its cursor are not known any more. It gets
	// nothing until it is rewound.
	ConsumerStopped ConsumerState = "stopped"
)

// Consumer is a named consumer of the change feed, and how far it has come.
type Consumer struct {
	// Name is the name that the application gave it.
	Name string `json:"name"`
	// State says whether it gets changes.
	State ConsumerState `json:"state"`
	// StopReason is why it is stopped: [CursorExpired] or [CursorOtherHistory], else empty.
	StopReason string `json:"stop_reason"`
	// Cursor is how far it has come: every change up to it was handled, is held back, or is parked.
	// It is empty until the consumer has begun.
	Cursor FeedCursor `json:"cursor"`
	// LagChanges is how many changes were stored after the cursor, whether or not the consumer
	// wants their kind.
	LagChanges int64 `json:"lag_changes"`
	// OldestAt is when the oldest change was stored that is not handled yet: one after the cursor,
	// or one that is held back. It is zero when there is none. Parked changes do not count.
	OldestAt time.Time `json:"oldest_at"`
	// LagSeconds is the age of that change, 0 when there is none.
	LagSeconds float64 `json:"lag_seconds"`
	// HeldBack is how many changes wait: those that failed and are tried again, and later ones of
	// the same objects.
	HeldBack int64 `json:"held_back"`
	// Parked is how many changes were given up after too many tries.
	Parked int64 `json:"parked"`
	// RetryAt is when a failed change is tried next, zero if there is none.
	RetryAt time.Time `json:"retry_at"`
	// LastError is the text of the last error of the consumer's function, shortened, else empty.
	LastError string `json:"last_error"`
	// LastErrorAt is when that was.
	LastErrorAt time.Time `json:"last_error_at"`
	// Holder names the process that works through the changes, empty for none.
	Holder string `json:"holder"`
	// CreatedAt is when the consumer was first run.
	CreatedAt time.Time `json:"created_at"`
	// UpdatedAt is when its progress was last saved, or when an operator changed it.
	UpdatedAt time.Time `json:"updated_at"`
}

// MarshalJSON writes the fields, and null for a zero time.
func (c Consumer) MarshalJSON() ([]byte, error) { return encode(c) }

// ParkedState is why a consumer has passed a change that it has not handled.
type ParkedState string

// The states of a change that is not handled.
const (
	ParkedRetrying ParkedState = "retrying" // it failed and is tried again
	ParkedWaiting  ParkedState = "waiting"  // it waits for an earlier change of the same object
	ParkedGivenUp  ParkedState = "parked"   // it failed too often and is not tried again by itself
)

// ParkedChange is a change that a consumer has passed and not handled. It holds ids, and no
// personal data besides what the error of the application says.
type ParkedChange struct {
	// Change is what the consumer's function gets.
	Change Change `json:"change"`
	// State says what becomes of it.
	State ParkedState `json:"state"`
	// Attempts is how many times it was tried.
	Attempts int64 `json:"attempts"`
	// Error is the text of the last error, shortened.
	Error string `json:"error"`
	// FailedAt is when that was.
	FailedAt time.Time `json:"failed_at"`
	// RetryAt is when it is tried next, zero if it is not tried by itself.
	RetryAt time.Time `json:"retry_at"`
}

// MarshalJSON writes the fields, and null for a zero time.
func (c ParkedChange) MarshalJSON() ([]byte, error) { return encode(c) }

// ParkedFilter selects changes that a consumer has passed and not handled. The zero value selects
// all.
type ParkedFilter struct {
	// State selects the changes in this state.
	State ParkedState
	// After is where the page begins: [Page.Next] of the page before.
	After Cursor
	// Limit is the size of a page: 50 for 0, at most 500.
	Limit int
}
