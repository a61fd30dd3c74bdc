package status

import (
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/holder"
	"github.com/clerksync/clerksync/internal/store"
)

// deadAfter is how long after its last sign of life another process counts as gone.
const deadAfter = 3 * time.Minute

// Abandoned returns the processes that ended without saying so, if none is left that looks after
// the mirror: it was killed, or the database is a copy that was taken while it ran. It is Gap for
// who does not start to look after the mirror: another runner of this process is alive, and a
// clock that was set back shows nothing.
func Abandoned(runners []store.Runner, _, now clerk.Time) (gone []string, found bool) {
	for _, r := range runners {
		if time.Duration(now-r.AliveAt)*time.Millisecond > deadAfter || holder.Dead(r.Holder) {
			gone = append(gone, r.Holder)
		}
	}
	return gone, len(gone) > 0 && len(gone) == len(runners)
}

// Gap decides, when a process starts, whether the mirror was without one that looked after it.
// others are the processes that did not end in an orderly way, or still run. A process that left
// its row behind was killed, or the database is a copy that was taken while it ran: the two look
// the same, so both count as a gap.
//
// It cannot notice a copy that was taken after an orderly end and restored within MaxSilence.
func Gap(others []store.Runner, aliveAt, now clerk.Time) (gone []string, found bool) {
	return gapOf(others, aliveAt, now, func(string) bool { return false })
}

// GapOfFile is Gap for a database in a file. It has no replicas on other machines, so that what
// one of those left behind came with a copy, however young it is.
func GapOfFile(others []store.Runner, aliveAt, now clerk.Time) (gone []string, found bool) {
	return gapOf(others, aliveAt, now, holder.Elsewhere)
}

func gapOf(others []store.Runner, aliveAt, now clerk.Time, foreign func(holder string) bool) (gone []string, found bool) {
	for _, r := range others {
		age := time.Duration(now-r.AliveAt) * time.Millisecond
		if age > deadAfter || age < 0 || holder.Dead(r.Holder) || holder.OfThisProcess(r.Holder) || foreign(r.Holder) {
			gone = append(gone, r.Holder)
		}
	}
	if len(gone) < len(others) {
		return gone, false // another one looks after it
	}
	silence := time.Duration(now-aliveAt) * time.Millisecond
	return gone, aliveAt > 0 && (len(gone) > 0 || silence > MaxSilence || silence < 0)
}
