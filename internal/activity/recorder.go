package activity

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/holder"
	"github.com/clerksync/clerksync/internal/store"
)

// writeEvery is how often counts are written at most.
const writeEvery = 5 * time.Second

// Recorder counts what this process stores and refuses. A timer lives only while there is
// something to write. A Recorder is safe for concurrent use.
type Recorder struct {
	db     *store.DB
	now    func() time.Time
	log    *slog.Logger
	holder string

	mu      sync.Mutex
	minutes map[clerk.Time]*store.Minute // of this process: that of now, and those not written yet
	changed bool                         // since the last write began
	timer   *time.Timer                  // of the next write; nil: none is due
	closed  bool
	writing sync.WaitGroup
}

// New makes a Recorder. It writes nothing to a database that is only read.
func New(db *store.DB, now func() time.Time, log *slog.Logger) *Recorder {
	return &Recorder{db: db, now: now, log: log, holder: holder.New(), minutes: map[clerk.Time]*store.Minute{}, closed: db.ReadOnly()}
}

// Stored counts events that were stored, and how long each took from Clerk to the commit, as far as
// that is known.
func (r *Recorder) Stored(events int, lags []time.Duration) {
	r.count(func(m *store.Minute) {
		m.Events += int64(events)
		for _, lag := range lags {
			m.Lags[bucketOf(lag)]++
		}
	})
}

// Refused counts a delivery that was refused.
func (r *Recorder) Refused() { r.count(func(m *store.Minute) { m.Refused++ }) }

func (r *Recorder) count(add func(*store.Minute)) {
	at := clerk.TimeOf(r.now().Truncate(time.Minute))
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	m := r.minutes[at]
	if m == nil {
		m = &store.Minute{At: at, Lags: map[int]int64{}}
		r.minutes[at] = m
	}
	add(m)
	r.changed = true
	if r.timer == nil {
		r.writing.Add(1)
		r.timer = time.AfterFunc(writeEvery, r.onTimer)
	}
}

func (r *Recorder) onTimer() {
	defer r.writing.Done()
	r.mu.Lock()
	r.timer = nil
	r.mu.Unlock()
	r.write(context.Background())
}

// writeTimeout bounds a write.
const writeTimeout = 5 * time.Second

// write stores what was counted. What cannot be stored is stored with the next write.
func (r *Recorder) write(ctx context.Context) {
	list := r.take()
	if len(list) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	err := r.db.SaveMinutes(ctx, r.holder, list)
	if err != nil {
		r.log.Debug("the activity could not be stored", "error", err) // health reports the database
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.changed = r.changed || err != nil
	latest := clerk.TimeOf(r.now().Truncate(time.Minute))
	for _, m := range list {
		if over := m.At != latest; over && err == nil || len(r.minutes) > maxMinutes {
			delete(r.minutes, m.At)
		}
	}
}

// maxMinutes bounds what is kept while the database cannot be written.
const maxMinutes = 60

// take returns copies of the minutes that are not stored as they are.
func (r *Recorder) take() (list []store.Minute) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.changed {
		return nil
	}
	r.changed = false
	for _, m := range r.minutes {
		list = append(list, m.Clone())
	}
	return list
}

// Close stores what was counted, and ends the counting.
func (r *Recorder) Close() {
	r.mu.Lock()
	r.closed = true
	if r.timer != nil && r.timer.Stop() {
		r.timer = nil
		r.writing.Done()
	}
	r.mu.Unlock()
	r.writing.Wait()
	r.write(context.Background())
}
