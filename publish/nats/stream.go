package nats

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/clerksync/clerksync/mirror"
)

// duplicateWindow is how long the stream remembers the ids of messages. The publisher does not
// depend on it.
const duplicateWindow = 2 * time.Minute

const clusterReplicas = 3 // of a stream in a cluster

// Codes of JetStream's API that the client does not name.
const (
	codeReplicasNotSupported = 10074 // the server is not in a cluster
	codeNoPeers              = 10005 // too few servers for the replicas
)

// openStream finds the stream, or makes it, and checks that it can be published to.
func (p *Publisher) openStream(ctx context.Context, c *connection) (stream jetstream.Stream, err error) {
	err = c.request(ctx, func(ctx context.Context) error {
		stream, err = c.js.Stream(ctx, p.options.Stream)
		return err
	})
	if errors.Is(err, jetstream.ErrStreamNotFound) && !p.options.DisableCreateStream {
		stream, err = p.createStream(ctx, c)
	}
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return nil, fmt.Errorf("there is no stream %s: create it with nats stream add %s --subjects '%s.>' --storage file --retention limits",
			p.options.Stream, p.options.Stream, p.options.SubjectPrefix)
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
		return nil, fmt.Errorf("%w: enable JetStream on the servers and for the account of the publisher", err)
	case err != nil:
		return nil, fmt.Errorf("open the stream %s: %w", p.options.Stream, err)
	}
	return stream, p.checkStream(stream.CachedInfo().Config)
}

func (p *Publisher) createStream(ctx context.Context, c *connection) (stream jetstream.Stream, err error) {
	config := jetstream.StreamConfig{
		Name: p.options.Stream, Description: "What changes at Clerk, published by clerksync",
		Subjects: []string{p.options.SubjectPrefix + ".>"}, Storage: jetstream.FileStorage, Retention: jetstream.LimitsPolicy,
		MaxAge: p.options.MaxAge, Duplicates: duplicateWindow, Replicas: p.options.Replicas, AllowDirect: true,
	}
	if config.Replicas == 0 {
		config.Replicas = clusterReplicas
	}
	create := func(ctx context.Context) error {
		stream, err = c.js.CreateStream(ctx, config)
		return err
	}
	err = c.request(ctx, create)
	if hasCode(err, codeReplicasNotSupported) && p.options.Replicas == 0 {
		config.Replicas = 1
		err = c.request(ctx, create)
	}
	switch {
	case err == nil:
		p.log.Info("made the stream in NATS", "stream", config.Name, "subjects", config.Subjects[0], "replicas", config.Replicas, "max_age", config.MaxAge.String())
	case errors.Is(err, jetstream.ErrStreamNameAlreadyInUse): // another publisher made it just now
		err = c.request(ctx, func(ctx context.Context) error {
			stream, err = c.js.Stream(ctx, config.Name)
			return err
		})
	case hasCode(err, codeNoPeers):
		err = fmt.Errorf("%w: the cluster has too few servers for %d replicas: start those that are missing, or create the stream yourself", err, config.Replicas)
	}
	return stream, err
}

func hasCode(err error, codes ...jetstream.ErrorCode) bool {
	api, ok := errors.AsType[*jetstream.APIError](err)
	return ok && slices.Contains(codes, api.ErrorCode)
}

// checkStream refuses a stream in which the messages could not be in order, or the place of the
// feed could not be found again.
func (p *Publisher) checkStream(config jetstream.StreamConfig) error {
	all := p.options.SubjectPrefix + ".>"
	covered := false
	var foreign []string
	for _, subject := range config.Subjects {
		covered = covered || subject == all
		if !strings.HasPrefix(subject, p.options.SubjectPrefix+".") {
			foreign = append(foreign, subject)
		}
	}
	edit := func(what, remedy string) error {
		return fmt.Errorf("the stream %s %s: %s", config.Name, what, remedy)
	}
	switch {
	case config.Mirror != nil:
		return edit("is a mirror of another stream, and nothing can be published to it", "choose another name")
	case len(config.Sources) > 0:
		return edit("has messages of other streams, which would come between those of the feed", "choose another name")
	case !covered:
		return edit("does not take the subject "+all, fmt.Sprintf("use nats stream edit %s --subjects '%s', or choose another name", config.Name, all))
	case len(foreign) > 0:
		return edit("takes other subjects, too: "+strings.Join(foreign, ", "), "choose another name; messages of others must not come between those of the feed")
	case config.Retention != jetstream.LimitsPolicy:
		return edit("removes messages that are consumed, and with them the place in the feed", "make it again with --retention limits")
	case config.NoAck:
		return edit("acknowledges nothing", "make it again with acknowledgements (--ack)")
	case config.Sealed:
		return edit("is sealed", "choose another name")
	}
	return nil
}

// position is where the stream ends.
type position struct {
	last   uint64            // the number of the last message; the next one must follow it
	cursor mirror.FeedCursor // where the feed goes on
	by     string            // the publisher of the last message

	none bool // no message says where the feed goes on
	// inSnapshot means that a snapshot has begun and is not complete. If cursor is empty, it has no
	// object yet.
	inSnapshot bool
}

// junkLimit is how many messages of others are passed over to find one of a publisher.
const junkLimit = 100

// doubt is a last message whose number is not the one that the stream says. Either the messages
// after it were deleted, or it was read from a replica that is behind.
type doubt struct {
	last, found uint64
	since       time.Time
}

// Errors that mean to read the end of the stream again.
var (
	errMoved    = errors.New("another publisher works")
	errUnproven = errors.New("the last message is not the one that the stream names; if it was deleted, publishing goes on in a few seconds")
)

// position reads where the stream ends.
//
// Info and message may come from different replicas. They are believed if the message has the
// number that the info names. Then a message that is stored after it continues it, because
// JetStream compares that number again. If both are too old, the next message is refused.
func (p *Publisher) position(ctx context.Context, c *connection, stream jetstream.Stream) (pos position, err error) {
	err = c.request(ctx, func(ctx context.Context) error {
		info, err := stream.Info(ctx)
		if err != nil {
			return err
		}
		pos.last = info.State.LastSeq
		if pos.none = info.State.Msgs == 0; pos.none {
			return nil
		}
		last, err := p.lastMessage(ctx, stream, pos.last)
		switch {
		case errors.Is(err, jetstream.ErrMsgNotFound):
			pos.none = true
			return nil
		case err != nil:
			return err
		}
		typ := last.Header.Get(HeaderType)
		pos.cursor, pos.by = mirror.FeedCursor(last.Header.Get(HeaderCursor)), last.Header.Get(HeaderPublisher)
		pos.inSnapshot = strings.HasSuffix(typ, "."+string(mirror.Read)) || typ == TypeReset && pos.cursor == ""
		return nil
	})
	switch {
	case err != nil:
		return position{}, fmt.Errorf("read the end of the stream %s: %w", p.options.Stream, err)
	case pos.none && pos.last > 0 && pos.last == p.known.last: // what it ended with was removed by age, or by an operator
		return p.known, nil
	case !pos.none:
		p.known = pos
	}
	return pos, nil
}

// lastMessage returns the last message that a publisher stored. Messages that somebody else sent
// to one of the subjects say nothing about the feed.
func (p *Publisher) lastMessage(ctx context.Context, stream jetstream.Stream, want uint64) (*jetstream.RawStreamMsg, error) {
	msg, err := stream.GetLastMsgForSubject(ctx, p.options.SubjectPrefix+".>")
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return nil, cmp.Or(p.proveEnd(want, 0), err)
	case err != nil:
		return nil, err
	}
	if err := p.proveEnd(want, msg.Sequence); err != nil {
		return nil, err
	}
	for range junkLimit {
		if err == nil && msg.Header.Get(HeaderType) != "" {
			return msg, nil
		}
		if msg.Sequence <= 1 {
			break
		}
		before := msg.Sequence - 1
		if msg, err = stream.GetMsg(ctx, before); errors.Is(err, jetstream.ErrMsgNotFound) {
			msg = &jetstream.RawStreamMsg{Sequence: before} // it was deleted: look further
		} else if err != nil {
			return nil, err
		}
	}
	return nil, jetstream.ErrMsgNotFound
}

// proveEnd returns an error unless the last message that was found is the one that the stream
// names, or has been the last one for a while.
func (p *Publisher) proveEnd(want, found uint64) error {
	switch {
	case found == want:
		p.doubt = doubt{}
		return nil
	case found > want:
		return errMoved
	case p.doubt.last != want || p.doubt.found != found:
		p.doubt = doubt{want, found, time.Now()}
	}
	if time.Since(p.doubt.since) < p.times.settle {
		return errUnproven
	}
	return nil
}
