package store

import (
	"errors"
	"sync"
	"time"

	"github.com/clerksync/clerksync/mirror"
)

// WriteFault is why nothing can be stored. The zero value is no fault.
type WriteFault struct {
	Since time.Time // of the first transaction that failed after the last one that succeeded
	Fault *mirror.DatabaseError
}

// writeFault remembers how the last writing transactions ended. A database whose disk is full can
// be read, so that reading does not notice.
type writeFault struct {
	mu  sync.Mutex
	now WriteFault
}

// note notes how a transaction ended. An error that is no fault of the database changes nothing.
func (w *writeFault) note(db *DB, err error) {
	fault, ok := errors.AsType[*mirror.DatabaseError](db.Explain(err))
	if err != nil && !ok {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case err == nil:
		w.now = WriteFault{}
	case w.now.Fault == nil:
		w.now = WriteFault{Since: time.Now(), Fault: fault}
	default:
		w.now.Fault = fault
	}
}

// WriteFault returns why nothing can be stored, if the last writing transaction of this process
// failed for a fault of the database.
func (db *DB) WriteFault() WriteFault {
	db.writes.mu.Lock()
	defer db.writes.mu.Unlock()
	return db.writes.now
}
