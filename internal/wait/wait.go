package wait

import (
	"context"
	"time"
)

// For waits for d, or until the context ends. It returns the error of the context.
func For(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
	return ctx.Err()
}
