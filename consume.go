package clerksync

import (
	"context"
	"slices"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/consumer"
	"github.com/clerksync/clerksync/mirror"
)

// ConsumeOption changes how [Mirror.Consume] works.
type ConsumeOption struct{ apply func(*consumer.Options) }

// StartAt makes a new consumer begin after a cursor. With [mirror.FeedStart] it begins with the
// oldest change that the feed has, also if earlier ones were removed. Without it a new
// consumer begins with the first change after it was first run. A consumer that was run before goes
// on where it was; [Feed.RewindConsumer] moves it.
func StartAt(cursor mirror.FeedCursor) ConsumeOption {
	return ConsumeOption{func(o *consumer.Options) { o.Start = cursor }}
}

// StartWithSnapshot makes a new consumer begin with all live objects of some kinds, each as a
// change with the operation [mirror.Read], and go on with what changed since then.
func StartWithSnapshot(kinds ...clerk.Kind) ConsumeOption {
	return ConsumeOption{func(o *consumer.Options) { o.Snapshot = slices.Clone(kinds) }}
}

// OnlyKinds selects the changes of some kinds. Without it a consumer gets all. What a consumer does
// not select counts as handled: if a later run selects more, it gets more from then on.
func OnlyKinds(kinds ...clerk.Kind) ConsumeOption {
	return ConsumeOption{func(o *consumer.Options) { o.Kinds = slices.Clone(kinds) }}
}

// OnlyTypes selects the changes of some types, such as "user.created" or "user.*".
func OnlyTypes(types ...string) ConsumeOption {
	return ConsumeOption{func(o *consumer.Options) { o.Types = slices.Clone(types) }}
}

// ParkAfter parks a change that failed so many times, with the text of its last error. The later
// changes of its object are delivered then. [Feed.ParkedChanges] lists parked changes, and
// [Feed.RetryParked] and [Feed.DropParked] end that. Without ParkAfter a change is tried until it
// succeeds. So it is when 10,000 are parked: then something else is wrong than single changes, and
// the consumer stops at its limit of held changes. With the default pauses, 10 tries take about two
// minutes, and 20 about 50 minutes.
func ParkAfter(tries int) ConsumeOption {
	return ConsumeOption{func(o *consumer.Options) { o.ParkAfter = tries }}
}

// RetryBetween sets the pause after the first failure of a change, and the longest one. The pause
// doubles with each failure, and up to a quarter of it is left out at random. The default is 200
// milliseconds and five minutes.
func RetryBetween(shortest, longest time.Duration) ConsumeOption {
	return ConsumeOption{func(o *consumer.Options) { o.RetryMin, o.RetryMax = shortest, longest }}
}

// MaxHeldBack sets how many changes can be held back, those that failed and later ones of the same
// objects. At the limit the consumer reads no further until some of them succeed or are parked. The
// default is 1,000.
func MaxHeldBack(changes int) ConsumeOption {
	return ConsumeOption{func(o *consumer.Options) { o.MaxHeld = changes }}
}

// SaveEvery sets how often the place of a consumer is saved: after so many changes or so much time,
// whichever is first. A process that is killed leaves at most that much to be delivered again. The
// default is 100 changes and 100 milliseconds; 1 change saves after each.
func SaveEvery(changes int, d time.Duration) ConsumeOption {
	return ConsumeOption{func(o *consumer.Options) { o.SaveChanges, o.SaveEvery = changes, d }}
}

// SkipWhenGone lets a consumer whose place is gone go on with the next change, and logs an error.
// The changes between are never delivered. See [Mirror.Consume].
func SkipWhenGone() ConsumeOption {
	return ConsumeOption{func(o *consumer.Options) { o.GoneSkip = true }}
}

// SnapshotWhenGone lets a consumer whose place is gone go on with all live objects of some kinds,
// each as a change with the operation [mirror.Read], and then with what changed since. It logs an
// error. What was deleted in the changes that are gone is not among them. See [Mirror.Consume].
func SnapshotWhenGone(kinds ...clerk.Kind) ConsumeOption {
	return ConsumeOption{func(o *consumer.Options) { o.GoneSnapshot = slices.Clone(kinds) }}
}

// Consume calls fn with one change after another, until ctx ends. The place of the consumer is in
// the database under its name, so that a later run goes on where this one ends. A name has up to 63
// lower-case letters, digits, dots, dashes and underscores, and a database up to 100 consumers.
//
//	err := m.Consume(ctx, "welcome-mail", func(ctx context.Context, c mirror.Change) error {
//		return mailer.Welcome(ctx, c.ID)
//	}, clerksync.OnlyTypes("user.created"), clerksync.ParkAfter(10))
//
// Any number of processes can run the same consumer: one of them works, and the others wait. If it
// crashes, another one takes over within 15 seconds, and at once after an orderly end.
//
// Each change is delivered at least once. The place is saved in groups ([SaveEvery]), so that a
// crash repeats the last changes. A process that is stopped in the middle of fn for longer than 15
// seconds can find that another process has taken over; its ctx is canceled then, but both may have
// done the same work. Make the work safe to repeat, for example by storing [mirror.Change.Cursor]
// with the result.
//
// The changes of an object are delivered in order, one at a time. If fn returns an error or panics,
// the change is tried again after a pause ([RetryBetween]). Meanwhile the later changes of the same
// object wait, and all others go on. What waits is in the database, and bounded ([MaxHeldBack]).
// The text of the error is stored and logged, up to 500 bytes: keep personal data out of it. A
// change that was retried because ctx ended does not count as failed.
//
// Consume returns nil when ctx ends or the mirror is closed. It waits for fn to return, and saves
// the place first. While the database does not work, Consume tries again. It returns an error for
// what cannot get better by itself: a bad name or option, a consumer that was deleted, and a
// [mirror.CursorGoneError] when the changes after the consumer's place are not known any more. That
// happens if it did not run for longer than Config.ChangesRetention. Nothing is skipped silently:
// the consumer stays stopped until [Feed.RewindConsumer] moves it, or Consume is called with
// [SkipWhenGone] or [SnapshotWhenGone]. After the database was restored from a copy, consumers go
// on from the places in the copy.
func (m *Mirror) Consume(ctx context.Context, name string, fn func(context.Context, mirror.Change) error, options ...ConsumeOption) error {
	var o consumer.Options
	for _, option := range options {
		option.apply(&o)
	}
	return m.feed.consumers.Run(ctx, name, fn, o)
}

// Consumers lists the consumers by name.
func (f Feed) Consumers(ctx context.Context) ([]mirror.Consumer, error) {
	return f.consumers.List(ctx)
}

// PauseConsumer pauses a consumer, wherever it runs. by is who does so: this and the methods that
// follow are entries of the audit. It gets no change after the one in progress,
// one second later at most, and keeps its place. The error is [ErrNotFound] if there is none of the
// name.
func (f Feed) PauseConsumer(ctx context.Context, name string, by mirror.By) error {
	return f.consumers.Pause(ctx, name, true, by)
}

// ResumeConsumer ends [Feed.PauseConsumer].
func (f Feed) ResumeConsumer(ctx context.Context, name string, by mirror.By) error {
	return f.consumers.Pause(ctx, name, false, by)
}

// RewindConsumer moves a consumer to a place, wherever it runs: [mirror.FeedStart] is the
// beginning, and the empty cursor the present end. The changes that it held back or parked are
// removed. The error is a [mirror.CursorGoneError] if the feed cannot be continued from there;
// nothing is changed then.
func (f Feed) RewindConsumer(ctx context.Context, name string, to mirror.FeedCursor, by mirror.By) error {
	return f.consumers.Rewind(ctx, name, to, by)
}

// DeleteConsumer removes a consumer with its place and its parked changes. The error is
// [ErrConsumerRunning] while a process runs it.
func (f Feed) DeleteConsumer(ctx context.Context, name string, by mirror.By) error {
	return f.consumers.Delete(ctx, name, by)
}

// ParkedChanges returns a page of the changes that a consumer has passed and not handled, in the
// order of the feed: those that are parked, and those that are held back.
func (f Feed) ParkedChanges(ctx context.Context, name string, filter mirror.ParkedFilter) (mirror.Page[mirror.ParkedChange], error) {
	return f.consumers.Parked(ctx, name, filter)
}

// RetryParked makes a consumer try parked changes again at once, as if they had never failed, and
// returns how many. They are delivered after later changes of the same objects. The cursors are
// those of [Feed.ParkedChanges]; others are ignored.
func (f Feed) RetryParked(ctx context.Context, name string, cursors []mirror.FeedCursor, by mirror.By) (int64, error) {
	if len(cursors) == 0 {
		return 0, nil
	}
	return f.consumers.Retry(ctx, name, cursors, by)
}

// RetryAllParked is RetryParked for all parked changes.
func (f Feed) RetryAllParked(ctx context.Context, name string, by mirror.By) (int64, error) {
	return f.consumers.Retry(ctx, name, nil, by)
}

// DropParked gives up parked changes, and changes that are held back, and returns how many. They
// are not delivered any more. The cursors are those of [Feed.ParkedChanges]; others are ignored.
func (f Feed) DropParked(ctx context.Context, name string, cursors []mirror.FeedCursor, by mirror.By) (int64, error) {
	if len(cursors) == 0 {
		return 0, nil
	}
	return f.consumers.Drop(ctx, name, cursors, by)
}

// DropAllParked is DropParked for all parked changes. What is held back stays.
func (f Feed) DropAllParked(ctx context.Context, name string, by mirror.By) (int64, error) {
	return f.consumers.Drop(ctx, name, nil, by)
}
