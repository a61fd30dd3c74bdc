package nats

import (
	"encoding/json"
	"strconv"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/mirror"
)

// Headers of the messages.
const (
	// HeaderType is the type of the message, such as user.created.
	HeaderType = "Clerk-Type"
	// HeaderKind is the kind of the object.
	HeaderKind = "Clerk-Kind"
	// HeaderID is Clerk's id of the object.
	HeaderID = "Clerk-Id"
	// HeaderVersion is the version of the object.
	HeaderVersion = "Clerk-Version"
	// HeaderCursor is the place in the feed after which the next message begins.
	HeaderCursor = "Clerk-Cursor"
	// HeaderPublisher is the publisher that stored the message. It is random for each process.
	HeaderPublisher = "Clerk-Publisher"
)

// Types of the messages that are about the feed itself.
const (
	// TypeReset means that the stream does not continue what came before it. A snapshot follows,
	// unless the body says otherwise.
	TypeReset = "feed.reset"
	// TypeComplete means that the snapshot is complete: objects of its kinds that no message named
	// since the reset do not exist.
	TypeComplete = "feed.complete"
)

// Reasons of a [Reset], in addition to mirror.CursorExpired and mirror.CursorOtherHistory.
const (
	// ReasonStart means that the stream is new.
	ReasonStart = "start"
	// ReasonEmptied means that the stream has no message, so that no place in the feed is known.
	ReasonEmptied = "emptied"
)

// Reset is the body of a message of type [TypeReset].
type Reset struct {
	Type   string `json:"type"`   // feed.reset
	Reason string `json:"reason"` // why the feed is not continued
	// Snapshot lists the kinds of the snapshot that follows. It is empty if none follows.
	Snapshot []clerk.Kind `json:"snapshot"`
	// Cursor is the place after which changes follow; empty before a snapshot.
	Cursor mirror.FeedCursor `json:"cursor"`
}

// Complete is the body of a message of type [TypeComplete].
type Complete struct {
	Type string `json:"type"` // feed.complete
	// Cursor is the place after which changes follow.
	Cursor mirror.FeedCursor `json:"cursor"`
}

// message is what is stored next in the stream.
type message struct {
	kind, operation string // of the subject
	id              string // the Nats-Msg-Id; empty: the place in the stream makes one
	cursor          mirror.FeedCursor
	objectID        string
	version         string
	body            []byte
}

// inSnapshot reports whether more of a snapshot follows the message.
func (m message) inSnapshot() bool {
	return m.operation == string(mirror.Read) || m.cursor == ""
}

// changeMessage returns a change as a message. If it would be larger than limit, it leaves out the
// object, which its readers can read by id.
func changeMessage(c mirror.Change, limit int64) (message, error) {
	body, err := json.Marshal(c)
	if err == nil && c.Object != nil && int64(len(body))+headerRoom > limit {
		c.Object, c.AsOf = nil, ""
		body, err = json.Marshal(c)
	}
	m := message{
		kind: string(c.Kind), operation: string(c.Operation), id: string(c.Cursor), cursor: c.Cursor,
		objectID: c.ID, version: c.Version, body: body,
	}
	if c.Operation == mirror.Read {
		m.id = "" // a later snapshot may have the same cursors
	}
	return m, err
}

// headerRoom is more than the headers of a message need.
const headerRoom = 4 << 10

func resetMessage(r Reset) (message, error) {
	r.Type = TypeReset
	if r.Snapshot == nil {
		r.Snapshot = []clerk.Kind{}
	}
	body, err := json.Marshal(r)
	return message{kind: "feed", operation: "reset", cursor: r.Cursor, body: body}, err
}

func completeMessage(cursor mirror.FeedCursor) (message, error) {
	body, err := json.Marshal(Complete{TypeComplete, cursor})
	return message{kind: "feed", operation: "complete", cursor: cursor, body: body}, err
}

// encode returns the message of NATS that is stored after the message with the number last.
// The id is a cursor, which is a number and a tag: a number alone would name another change after
// the database was restored from a backup, and JetStream would drop the message as a duplicate.
// Messages that are no changes have an id of the place in the stream, which is never used twice.
func (m message) encode(prefix, publisher string, last uint64) *natsgo.Msg {
	msg := natsgo.NewMsg(prefix + "." + m.kind + "." + m.operation)
	msg.Data = m.body
	typ := m.kind + "." + m.operation
	id := m.id
	if id == "" {
		id = typ + "@" + strconv.FormatUint(last, 10)
	}
	msg.Header.Set(jetstream.MsgIDHeader, id)
	msg.Header.Set(HeaderType, typ)
	msg.Header.Set(HeaderCursor, string(m.cursor))
	msg.Header.Set(HeaderPublisher, publisher)
	if m.objectID != "" {
		msg.Header.Set(HeaderKind, m.kind)
		msg.Header.Set(HeaderID, m.objectID)
		msg.Header.Set(HeaderVersion, m.version)
	}
	return msg
}
