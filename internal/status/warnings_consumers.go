package status

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/clerksync/clerksync/mirror"
)

const (
	// maxConsumerLag and maxConsumerChanges are how far a consumer of the change feed may be
	// behind.
	maxConsumerLag     = 5 * time.Minute
	maxConsumerChanges = 10_000
	// listedConsumers is how many consumers a warning names.
	listedConsumers = 5
)

// warnOfConsumers warns of consumers of the change feed that get nothing, that are behind, and that
// have given up changes.
func warnOfConsumers(s *signals) []mirror.Warning {
	if s.stored == nil {
		return nil
	}
	var gone, idle, behind, expiring, parked []string
	for i := range s.stored.Consumers {
		c := &s.stored.Consumers[i]
		lag := time.Duration(c.LagSeconds * float64(time.Second))
		late := lag > maxConsumerLag || c.LagChanges > maxConsumerChanges
		if c.Parked > 0 {
			parked = append(parked, c.Name)
		}
		switch {
		case c.State == mirror.ConsumerStopped:
			gone = append(gone, c.Name)
		case c.LagChanges > 0 && s.FeedRetention > 0 && lag > s.FeedRetention/2:
			expiring = append(expiring, c.Name)
		case late && c.State == mirror.ConsumerIdle:
			idle = append(idle, c.Name)
		case late && c.State == mirror.ConsumerPaused:
			behind = append(behind, c.Name+" (paused)")
		case late:
			behind = append(behind, c.Name)
		}
	}
	return slices.Concat(s.stoppedConsumers(gone, idle), s.lateConsumers(expiring, behind), s.parkedConsumers(parked))
}

func (s *signals) stoppedConsumers(gone, idle []string) (found conditional) {
	found.when(len(gone) > 0, mirror.Warning{
		Code: "consumer_stopped", Severity: mirror.SeverityError,
		Message: "Some consumers of the change feed are stopped, because the changes after the last one that they handled are no longer known. " +
			"They get nothing: " + names(gone),
		Remedy: s.remedy("Find out what was missed, then move them: clerksync consumers rewind NAME --to now.",
			"Find out what was missed, then move them with m.Feed().RewindConsumer, or pass clerksync.SnapshotWhenGone to Consume."),
	})
	found.when(len(idle) > 0, mirror.Warning{
		Code: "consumer_stopped", Severity: mirror.SeverityWarning,
		Message: "No process runs some consumers of the change feed, and changes wait for them: " + names(idle),
		Remedy: s.remedy("Start the processes that run them. If one is no longer used: clerksync consumers delete NAME.",
			"Start the processes that call m.Consume. If one is no longer used, call m.Feed().DeleteConsumer."),
	})
	return found
}

func (s *signals) lateConsumers(expiring, behind []string) (found conditional) {
	const remedy = "Look at their last errors and what is held back"
	found.when(len(expiring) > 0, mirror.Warning{
		Code: "consumer_behind", Severity: mirror.SeverityError,
		Message: "Some consumers have not handled changes that are older than half the retention of the feed. " +
			"When those are removed, the consumers stop: " + names(expiring),
		Remedy: remedy + s.remedy(": clerksync consumers list. Meanwhile, keep the feed for longer: CLERKSYNC_CHANGES_RETENTION.",
			": m.Feed().Consumers. Meanwhile, keep the feed for longer: Config.ChangesRetention."),
	})
	found.when(len(behind) > 0, mirror.Warning{
		Code: "consumer_behind", Severity: mirror.SeverityWarning,
		Message: "Some consumers of the change feed are more than five minutes or 10,000 changes behind: " + names(behind),
		Remedy:  remedy + s.remedy(": clerksync consumers list, clerksync consumers parked NAME.", ": m.Feed().Consumers and ParkedChanges."),
	})
	return found
}

func (s *signals) parkedConsumers(parked []string) (found conditional) {
	found.when(len(parked) > 0, mirror.Warning{
		Code: "consumer_parked", Severity: mirror.SeverityWarning,
		Message: "Some consumers of the change feed gave up changes that failed too often: " + names(parked),
		Remedy: s.remedy("See clerksync consumers parked NAME. After a fix: clerksync consumers retry NAME --all. Without one: clerksync consumers drop.",
			"List them with m.Feed().ParkedChanges. After a fix call RetryAllParked, without one DropParked."),
	})
	return found
}

// names lists consumers at the end of a sentence.
func names(list []string) string {
	shown := list[:min(len(list), listedConsumers)]
	text := strings.Join(shown, ", ")
	if more := len(list) - len(shown); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text + "."
}
