package nats

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nkeys"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"

	"github.com/clerksync/clerksync/clerk"
)

// Options configures a [Publisher]. Only URL is required.
type Options struct {
	// URL is the address of a NATS server, or several separated by commas: nats://, tls://, ws://
	// or wss://. The other servers of the cluster are found through it. It may contain a user and a
	// password, or a token; they are never logged.
	URL string
	// Credentials is the content of a credentials file (.creds): a user JWT and its seed. Empty
	// means none.
	Credentials string
	// TLS is the configuration of TLS, such as the authority that signs the servers' certificates
	// and a client certificate. Nil means that of the system, for servers that use TLS.
	TLS *tls.Config

	// Stream is the name of the JetStream stream. Empty means CLERK.
	Stream string
	// SubjectPrefix is the first part of the subjects. Empty means clerk. It may have several
	// tokens, such as acme.clerk.
	SubjectPrefix string
	// DisableCreateStream means that the stream must exist. By default the publisher makes one that
	// is missing, with file storage and a maximum age of MaxAge.
	DisableCreateStream bool
	// Replicas is the number of replicas of a stream that the publisher makes. 0 means three in a
	// cluster, else one.
	Replicas int
	// MaxAge is how long a stream that the publisher makes keeps messages. 0 means 30 days, as long
	// as the feed keeps changes by default.
	MaxAge time.Duration
	// Start is where the feed begins in a stream that is new. Empty means StartSnapshot.
	Start Start
	// Snapshot lists the kinds whose objects a snapshot has. Nil means all kinds.
	Snapshot []clerk.Kind
	// IncludeObject adds the object to each message: its row of the live view. The stream then
	// contains personal data, also of users who are erased later, until MaxAge removes it.
	IncludeObject bool

	// MeterProvider receives the metrics clerksync.nats.*; docs/metrics.md lists them. Nil means no
	// metrics.
	MeterProvider metric.MeterProvider
	// Logger receives warnings and errors. Nil means no log.
	Logger *slog.Logger
}

// Start is where the feed begins in a stream that is new.
type Start string

// Values of [Start].
const (
	// StartSnapshot begins with all objects that the mirror has, and then has each change.
	StartSnapshot Start = "snapshot"
	// StartOldest begins with the oldest change that the feed still has.
	StartOldest Start = "oldest"
	// StartNow begins with the next change.
	StartNow Start = "now"
)

const (
	defaultStream = "CLERK"
	defaultPrefix = "clerk"
	defaultMaxAge = 30 * 24 * time.Hour
	maxReplicas   = 5 // JetStream's
)

func (o Options) withDefaults() Options {
	o.Stream = cmp.Or(o.Stream, defaultStream)
	o.SubjectPrefix = cmp.Or(o.SubjectPrefix, defaultPrefix)
	o.MaxAge = cmp.Or(o.MaxAge, defaultMaxAge)
	o.Start = cmp.Or(o.Start, StartSnapshot)
	if o.Snapshot == nil {
		o.Snapshot = clerk.Kinds()
	}
	if o.MeterProvider == nil {
		o.MeterProvider = noop.NewMeterProvider()
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// check returns all faults. No text contains a part of the URL or of the credentials.
func (o Options) check() error {
	var faults []error
	fault := func(wrong bool, text string, arguments ...any) {
		if wrong {
			faults = append(faults, fmt.Errorf(text, arguments...))
		}
	}
	fault(!validURLs(o.URL), "the URL must be nats://, tls://, ws:// or wss:// with a host; several are separated by commas")
	if o.Credentials != "" {
		_, err := nkeys.ParseDecoratedJWT([]byte(o.Credentials))
		pair, pairErr := nkeys.ParseDecoratedUserNKey([]byte(o.Credentials))
		if pairErr == nil {
			pair.Wipe()
		}
		fault(err != nil || pairErr != nil, "the credentials must be the content of a .creds file, with a user JWT and its seed")
	}
	fault(!validName(o.Stream), "the name of the stream must not contain spaces and . * > / \\")
	for token := range strings.SplitSeq(o.SubjectPrefix, ".") {
		fault(!validName(token), "the subject prefix must be tokens without spaces and wildcards, separated by dots")
	}
	fault(strings.HasPrefix(o.SubjectPrefix, "$"), "a subject prefix that begins with $ belongs to NATS")
	fault(o.Replicas < 0 || o.Replicas > maxReplicas, "the number of replicas is %d: use 1 to %d", o.Replicas, maxReplicas)
	fault(o.MaxAge < 0, "the maximum age of messages is negative")
	fault(!slices.Contains([]Start{StartSnapshot, StartOldest, StartNow}, o.Start), "the start is %q: use snapshot, oldest or now", o.Start)
	for _, kind := range o.Snapshot {
		fault(!slices.Contains(clerk.Kinds(), kind), "the mirror stores no kind %q", kind)
	}
	return errors.Join(faults...)
}

// validName reports whether a text can be the name of a stream and a token of a subject.
func validName(text string) bool {
	return text != "" && !strings.ContainsAny(text, " \t\r\n.*>/\\")
}

func validURLs(text string) bool {
	for server := range strings.SplitSeq(text, ",") {
		u, err := url.Parse(strings.TrimSpace(server))
		if err != nil || u.Hostname() == "" || !slices.Contains([]string{"nats", "tls", "ws", "wss"}, u.Scheme) {
			return false
		}
	}
	return true
}
