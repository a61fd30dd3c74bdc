package ingest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/store"
)

// Message is a delivery whose signature was verified.
type Message struct {
	ID       string
	SignedAt time.Time // of this attempt; zero where the scheme tells none
	Body     []byte
}

// Reasons of deliveries that were not simply applied.
const (
	ReasonInvalid         = "invalid"          // the event lacks what it must have
	ReasonError           = "error"            // applying it failed here
	ReasonForeignInstance = "foreign_instance" // another Clerk instance's
	ReasonBodyConflict    = "body_conflict"    // an id seen before, with another body
	ReasonUnknownType     = "unknown_type"     // an event type this version does not know
	ReasonNotKept         = "not_kept"         // e-mails and text messages: one-time codes
)

// Prepared is a message that was read and waits to be committed.
type Prepared struct {
	delivery store.Delivery // as it will be stored if it is new
	redacted bool           // the body that is kept is not the one that was delivered
	ops      []operation
	persons  []string // users that it tells of
	size     int
	replay   bool
	fault    error              // why the delivery is dead
	span     *trace.SpanContext // in which it came; nil: it is not traced
	settings int64              // the revision of the settings by which it was read
}

// Prepare reads a message: pure but for the clock that stamps its arrival. The error is a
// [*clerk.SyntaxError]: what is no JSON object is not kept. Anything else, odd as it may
// be, is for Submit.
func (in *Ingest) Prepare(m Message) (*Prepared, error) {
	envelope, err := clerk.Parse(m.Body)
	if err != nil {
		return nil, err
	}
	p, err := in.read(envelope)
	if err != nil {
		return nil, err
	}
	p.size = len(m.Body)
	p.delivery.MessageID = m.ID
	p.delivery.ReceivedAt, p.delivery.SignedAt = clerk.TimeOf(in.now()), clerk.TimeOf(m.SignedAt)
	if p.delivery.Reason != ReasonNotKept {
		unredacted := p.delivery.Body
		if p.redacted {
			unredacted = envelope.JSON()
		}
		p.delivery.Digest = in.bodyDigest(unredacted)
	}
	return p, nil
}

// bodyDigest tells bodies apart without giving them away: it is keyed.
func (in *Ingest) bodyDigest(body string) string {
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	*buffer = append((*buffer)[:0], body...)
	mac := hmac.New(sha256.New, in.inboxKey)
	mac.Write(*buffer)
	return hex.EncodeToString(mac.Sum((*buffer)[:0]))
}

// read judges an envelope, new or from the inbox.
func (in *Ingest) read(envelope clerk.Value) (*Prepared, error) {
	settings := in.db.Settings().Revision // from before they are used
	if isMessage(envelope) {
		event, _ := clerk.EventOf(envelope) // what a message lacks does not matter: nothing of it is kept
		return &Prepared{delivery: in.judged(event, store.StateIgnored, ReasonNotKept), settings: settings}, nil
	}
	kept, redacted := in.redact(envelope)
	event, err := clerk.EventOf(kept)
	var lack *clerk.FieldError
	if err != nil && !errors.As(err, &lack) {
		return nil, err
	}
	p := &Prepared{fault: err, redacted: redacted, settings: settings}
	data, whole := encode(kept)
	state, reason := store.StateApplied, ""
	switch pins := in.pins(); {
	case len(pins) > 0 && event.InstanceID != "" && !slices.Contains(pins, event.InstanceID):
		state, reason = store.StateQuarantined, ReasonForeignInstance
		p.fault = nil
	case lack != nil:
		state, reason = store.StateDead, ReasonInvalid
	case event.Kind == "":
		state, reason = store.StateIgnored, ReasonUnknownType
	default:
		var rejected int
		p.ops, rejected = operationsOf(event, data)
		in.Stats.FactsRejected.Add(int64(rejected))
	}
	p.delivery = in.judged(event, state, reason)
	p.delivery.Body = whole
	for i := range p.ops {
		p.delivery.Subjects = append(p.delivery.Subjects, subject(p.ops[i].key))
		p.persons = p.ops[i].persons(p.persons)
	}
	if len(p.ops) == 0 {
		p.persons = personsIn(kept, nil)
	}
	return p, nil
}

// encode answers the encodings of an envelope's data and of the whole, at the price of one.
func encode(envelope clerk.Value) (data, whole string) {
	data = envelope.Get("data").JSON()
	b := make([]byte, 0, len(data)+512)
	for key, v := range envelope.All() {
		b = append(b, ',')
		b = clerk.Text(key).AppendJSON(b)
		b = append(b, ':')
		if key == "data" {
			b = append(b, data...)
		} else {
			b = v.AppendJSON(b)
		}
	}
	if len(b) == 0 {
		return data, "{}"
	}
	b[0] = '{'
	return data, string(append(b, '}'))
}

// isMessage recognizes announcements of e-mails and text messages, malformed ones too.
func isMessage(envelope clerk.Value) bool {
	eventType, object := envelope.Get("type").String(), envelope.Get("data").Get("object").String()
	return strings.HasPrefix(eventType, "email.") || strings.HasPrefix(eventType, "sms.") ||
		object == "email" || object == "sms_message"
}

func (in *Ingest) judged(e *clerk.Event, state store.State, reason string) store.Delivery {
	return store.Delivery{
		Type: e.Type, InstanceID: e.InstanceID, State: state, Reason: reason, Attempts: 1, Revision: ApplyRevision,
	}
}

// subject names an object in an inbox row; ids hold no spaces in Clerk's world, and one
// that did would be two words that name nothing.
func subject(k store.Key) string { return string(k.Kind) + ":" + k.ID }
