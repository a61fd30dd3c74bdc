package activity

import (
	"context"
	"math"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// maxSpan is how far back activity is shown at most.
const maxSpan = 24 * time.Hour

// Read returns the activity of all processes since a time, minute by minute, up to now.
func (r *Recorder) Read(ctx context.Context, since time.Time) (a mirror.Activity, err error) {
	first, last := since.Truncate(time.Minute), r.now().Truncate(time.Minute)
	if least := last.Add(-maxSpan); first.Before(least) {
		first = least
	}
	stored, err := r.db.Minutes(ctx, clerk.TimeOf(first))
	if err != nil {
		return a, err
	}
	byMinute, all := map[clerk.Time]store.Minute{}, store.Minute{}
	for _, m := range stored {
		byMinute[m.At] = byMinute[m.At].Plus(m)
		all = all.Plus(m)
	}
	a.Events, a.Refused = all.Events, all.Refused
	a.LagP50MS, a.LagP99MS = percentile(all.Lags, 0.5), percentile(all.Lags, 0.99)
	a.Minutes = []mirror.ActivityMinute{}
	for at := first; !at.After(last); at = at.Add(time.Minute) {
		m := byMinute[clerk.TimeOf(at)]
		a.Minutes = append(a.Minutes, mirror.ActivityMinute{
			At: at.UTC(), Events: m.Events, Refused: m.Refused, LagP50MS: percentile(m.Lags, 0.5), LagP99MS: percentile(m.Lags, 0.99),
		})
	}
	return a, nil
}

// Lags are counted in buckets whose bounds grow by a fifth: 4 of them double a time. The first one
// ends at a millisecond, the last one has everything beyond 70 minutes.
const (
	perDoubling = 4
	lastBucket  = 22 * perDoubling
)

func bucketOf(lag time.Duration) int {
	ms := float64(lag) / float64(time.Millisecond)
	if ms <= 1 {
		return 0
	}
	return min(int(math.Ceil(perDoubling*math.Log2(ms))), lastBucket)
}

// percentile returns the lag in milliseconds that a share of the counted ones does not exceed: the
// upper bound of its bucket. It is nil if none was counted.
func percentile(lags map[int]int64, share float64) *int64 {
	var total, seen int64
	for _, n := range lags {
		total += n
	}
	if total == 0 {
		return nil
	}
	rank := int64(math.Ceil(share * float64(total)))
	for bucket := 0; ; bucket++ {
		if seen += lags[bucket]; seen >= rank {
			ms := int64(math.Round(math.Exp2(float64(bucket) / perDoubling)))
			return &ms
		}
	}
}
