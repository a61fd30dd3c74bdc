package nats

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// windowSize is how many messages may wait for their acknowledgement.
const windowSize = 256

const codeWrongLastSequence = jetstream.JSErrCodeStreamWrongLastSequence

// errOvertaken means that the stream has a message that this publisher did not expect.
var errOvertaken = errors.New("another publisher has stored messages")

// window sends messages in order. Each says which message it follows. So if one of them is not
// stored, none of those that were sent after it is.
type window struct {
	p      *Publisher
	c      *connection
	stream jetstream.Stream
	last   uint64 // the number of the message that was sent last, if all are stored
	limit  int64  // size of the largest message
	sent   []sentMessage
}

type sentMessage struct {
	position // of the stream when it is stored
	jetstream.PubAckFuture
}

// send sends a message, after an acknowledgement if too many are missing.
func (w *window) send(ctx context.Context, m message) error {
	for len(w.sent) >= windowSize {
		if err := w.await(ctx); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	msg := m.encode(w.p.options.SubjectPrefix, w.p.id, w.last)
	ack, err := w.c.js.PublishMsgAsync(msg, jetstream.WithExpectStream(w.p.options.Stream),
		jetstream.WithExpectLastSequence(w.last), jetstream.WithRetryAttempts(0))
	if err != nil {
		return fmt.Errorf("publish %s: %w", msg.Subject, err)
	}
	w.last++
	w.sent = append(w.sent, sentMessage{position{last: w.last, cursor: m.cursor, by: w.p.id, inSnapshot: m.inSnapshot()}, ack})
	return nil
}

// await waits for the acknowledgement of the message that was sent first. There is always an
// answer or an error, because acknowledgements have a timeout.
func (w *window) await(ctx context.Context) error {
	first := w.sent[0]
	w.sent = w.sent[1:]
	select {
	case ack := <-first.Ok():
		return w.stored(ctx, first, ack)
	case err := <-first.Err():
		if hasCode(err, codeWrongLastSequence) {
			return errOvertaken
		}
		return fmt.Errorf("publish %s: %w", first.Msg().Subject, err)
	case violation := <-w.c.violations:
		return permissionError(violation)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// stored notes that a message is stored.
func (w *window) stored(ctx context.Context, sent sentMessage, ack *jetstream.PubAck) error {
	switch {
	case ack.Duplicate:
		return w.duplicate(ctx, sent, ack.Sequence)
	case ack.Sequence != sent.last: // JetStream stored a message at a place that it was not to be stored at
		return fmt.Errorf("the message that should be number %d of the stream is number %d", sent.last, ack.Sequence)
	}
	w.p.known = sent.position
	w.p.state.published(sent.cursor)
	return nil
}

// duplicate checks a message that JetStream did not store, because it has one with the same id. It
// is this one if its cursor is the same: another publisher was faster, or this message was stored
// although its acknowledgement was lost.
func (w *window) duplicate(ctx context.Context, sent sentMessage, seq uint64) error {
	var have *jetstream.RawStreamMsg
	err := w.c.request(ctx, func(ctx context.Context) (err error) {
		have, err = w.stream.GetMsg(ctx, seq)
		return err
	})
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return fmt.Errorf("JetStream has stored the message %s before, and has removed it since. It takes the message again "+
			"after the duplicate window of the stream", sent.Msg().Header.Get(jetstream.MsgIDHeader))
	case err != nil:
		return fmt.Errorf("read the message %d of the stream: %w", seq, err)
	}
	for _, header := range []string{HeaderCursor, HeaderType} {
		if have.Header.Get(header) != sent.Msg().Header.Get(header) {
			return &StoppedError{fmt.Sprintf("message %d of the stream %s has the id %s of a change and is not that change: "+
				"another program stores messages in the stream. Let only clerksync publish to %s.>, remove the message with "+
				"nats stream rmm, and start again", seq, w.p.options.Stream, sent.Msg().Header.Get(jetstream.MsgIDHeader), w.p.options.SubjectPrefix)}
		}
	}
	return errOvertaken
}

// settle waits until all messages are acknowledged or have failed. It returns the first error.
// If not wanted, the acknowledgements no longer matter: the stream itself says what is stored.
func (w *window) settle(ctx context.Context, wanted bool) (err error) {
	for wanted && len(w.sent) > 0 && err == nil {
		err = w.await(ctx)
	}
	for len(w.sent) > 0 && ctx.Err() == nil {
		first := w.sent[0]
		w.sent = w.sent[1:]
		select {
		case <-first.Ok():
		case err := <-first.Err():
			w.p.log.Debug("a message was not stored, after another one", "error", err)
		case <-ctx.Done():
		}
	}
	return err
}
