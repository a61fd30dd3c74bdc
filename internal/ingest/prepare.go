package ingest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/converge"
	"github.com/clerksync/clerksync/internal/privacy"
	"github.com/clerksync/clerksync/internal/row"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// Message is a delivery whose signature was verified.
type Message struct {
	ID       string
	SignedAt time.Time // of this attempt; zero if the signature scheme has no time
	Body     []byte
}

// Reasons of deliveries that were not simply applied.
const (
	ReasonInvalid         = "invalid"          // the event lacks what it must have
	ReasonError           = "error"            // applying it failed here
	ReasonHook            = "hook_failed"      // the application's OnChange refused it
	ReasonForeignInstance = "foreign_instance" // from another Clerk instance
	ReasonBodyConflict    = "body_conflict"    // an id seen before, with another body
	ReasonUnknownType     = "unknown_type"     // an event type that this version does not know
	ReasonNotKept         = "not_kept"         // e-mails and text messages, which hold one-time codes
)

// Prepared is a message that was read and waits to be committed.
type Prepared struct {
	delivery store.Delivery       // as it will be stored if it is new
	decided  mirror.DeliveryState // what is to become of it: applied, ignored, quarantined or dead
	redacted bool                 // the body that is kept is not the one that was delivered
	ops      []converge.Operation
	users    []string // ids of the users that it is about
	size     int
	replay   bool
	fault    error              // why the delivery is dead
	span     *trace.SpanContext // in which it came; nil: it is not traced
	settings int64              // the revision of the settings by which it was read
}

// Prepare reads a message. It is pure except for the clock that stamps the arrival. The error is a
// [*clerk.SyntaxError]: a body that is no JSON object is not kept. Submit decides about all others.
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

var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 8<<10); return &b }}

// bodyDigest returns a keyed hash of a body. It recognizes equal bodies and reveals nothing about
// them.
func (in *Ingest) bodyDigest(body string) string {
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	*buffer = append((*buffer)[:0], body...)
	mac := hmac.New(sha256.New, in.inboxKey)
	mac.Write(*buffer)
	return hex.EncodeToString(mac.Sum((*buffer)[:0]))
}

// read decides what is to become of an envelope, new or from the inbox, and derives its operations.
func (in *Ingest) read(envelope clerk.Value) (*Prepared, error) {
	settings := in.db.Settings().Revision // from before they are used
	if isMessage(envelope) {
		event, _ := clerk.EventOf(envelope) // nothing of it is kept, so it may lack anything
		return newPrepared(event, mirror.DeliveryIgnored, ReasonNotKept, settings), nil
	}
	kept, redacted := in.Redact(envelope)
	event, err := clerk.EventOf(kept)
	var lack *clerk.FieldError
	if err != nil && !errors.As(err, &lack) {
		return nil, err
	}
	data, whole := encode(kept)
	fault := err
	state, reason := mirror.DeliveryApplied, ""
	var ops []converge.Operation
	switch allowed := in.allowedInstances(); {
	case len(allowed) > 0 && event.InstanceID != "" && !slices.Contains(allowed, event.InstanceID):
		state, reason, fault = mirror.DeliveryQuarantined, ReasonForeignInstance, nil
	case lack != nil:
		state, reason = mirror.DeliveryDead, ReasonInvalid
	case event.Kind == "":
		state, reason = mirror.DeliveryIgnored, ReasonUnknownType
	default:
		var rejected int
		ops, rejected = converge.FromEvent(event, data)
		in.Stats.FactsRejected.Add(int64(rejected))
	}
	p := newPrepared(event, state, reason, settings)
	p.fault, p.redacted, p.ops, p.delivery.Body = fault, redacted, ops, whole
	for i := range p.ops {
		p.users = privacy.UsersOf(p.users, &p.ops[i])
	}
	if len(p.ops) == 0 {
		p.users = privacy.UsersIn(p.users, kept)
	}
	p.delivery.Subjects = subjectsOf(event, p.ops, p.users)
	return p, nil
}

func newPrepared(e *clerk.Event, state mirror.DeliveryState, reason string, settings int64) *Prepared {
	return &Prepared{decided: state, settings: settings, delivery: store.Delivery{
		Type: e.Type, InstanceID: e.InstanceID, State: state, Reason: reason, Attempts: 1, Revision: converge.ApplyRevision,
	}}
}

// withoutBody returns a copy of a message about a user who was erased, whose delivery keeps no
// body.
func (p *Prepared) withoutBody() *Prepared {
	less := *p
	less.delivery.State, less.delivery.Body, less.delivery.Digest = mirror.DeliveryErased, "", ""
	return &less
}

// renewAll reads messages again that were read by settings which are no longer in force: other
// paths are redacted now, or the database has learned its instance. It reports whether there were
// any.
func (in *Ingest) renewAll(tx *store.Tx, jobs []*job) (renewed bool, err error) {
	for _, j := range jobs {
		if j.settings == tx.Settings().Revision {
			continue
		}
		p, err := in.renew(j.Prepared)
		if err != nil {
			return false, fmt.Errorf("read %s by the settings in force: %w", j.delivery.MessageID, err)
		}
		j.Prepared, renewed = p, true
	}
	return renewed, nil
}

// renew reads a message again from the body that was to be stored, because redaction is idempotent.
func (in *Ingest) renew(p *Prepared) (*Prepared, error) {
	if p.delivery.Body == "" {
		return p, nil // nothing of it is kept
	}
	envelope, err := clerk.Parse([]byte(p.delivery.Body))
	if err != nil {
		return nil, err
	}
	next, err := in.read(envelope)
	if err != nil {
		return nil, err
	}
	next.replay, next.size, next.span = p.replay, p.size, p.span
	next.delivery.MessageID, next.delivery.ReceivedAt, next.delivery.SignedAt = p.delivery.MessageID, p.delivery.ReceivedAt, p.delivery.SignedAt
	next.delivery.Digest = p.delivery.Digest // of the body as it was delivered
	return next, nil
}

// encode returns the encodings of an envelope's data and of the whole envelope, and encodes the
// data only once.
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

// isMessage reports whether an envelope announces an e-mail or a text message, even a malformed
// one.
func isMessage(envelope clerk.Value) bool {
	eventType, object := envelope.Get("type").String(), envelope.Get("data").Get("object").String()
	return strings.HasPrefix(eventType, "email.") || strings.HasPrefix(eventType, "sms.") ||
		object == "email" || object == "sms_message"
}

// maxNamed bounds the users that are found as words of an event that has no operations.
const maxNamed = 10

// subjectsOf returns the names of the objects that an event is about, each once: those of its
// operations, their organizations and users. An event without operations may be about its object.
func subjectsOf(e *clerk.Event, ops []converge.Operation, users []string) []string {
	subjects := make([]string, 0, 2*len(ops)+1)
	add := func(k row.Key) {
		if k.Kind == "" || k.ID == "" {
			return
		}
		if name := subject(k); !slices.Contains(subjects, name) {
			subjects = append(subjects, name)
		}
	}
	for i := range ops {
		add(ops[i].Key)
	}
	for i := range ops {
		add(row.Key{Kind: clerk.KindOrganization, ID: ops[i].OrganizationID})
	}
	if len(ops) == 0 {
		add(row.Key{Kind: e.Kind, ID: e.ID})
		users = users[:min(len(users), maxNamed)]
	}
	for _, id := range users {
		add(row.Key{Kind: clerk.KindUser, ID: id})
	}
	return subjects
}

// subject returns the name of an object in an inbox row. Clerk's ids hold no spaces. An id with a
// space would become two words that name nothing.
func subject(k row.Key) string { return string(k.Kind) + ":" + k.ID }
