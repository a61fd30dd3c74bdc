package activity

import "context"

// WriteNow writes without waiting for the timer.
func (r *Recorder) WriteNow() { r.write(context.Background()) }
