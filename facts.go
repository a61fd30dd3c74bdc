package clerksync

import (
	"context"
	"errors"
	"time"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/instance"
	"github.com/clerksync/clerksync/internal/reconcile"
	"github.com/clerksync/clerksync/internal/schedule"
	"github.com/clerksync/clerksync/internal/store"
	"github.com/clerksync/clerksync/mirror"
)

// facts is what warnings are made of. It is read once for each look at the health, so that all warnings are about one
// moment and no warning asks the database by itself.
type facts struct {
	now            time.Time
	config         *Config
	production     bool
	engine         store.Engine
	durable        bool              // commits survive a power cut
	takesWebhooks  bool              // there is a secret to verify them with
	listeningSince time.Time         // when this process began to take webhooks; zero: it is a command that does not
	readsClerk     bool              // there is a secret key to read with
	schedule       schedule.Schedule // of walks
	instances      []string          // whose events are applied; none: those of any
	noKeys         bool              // tokens cannot be verified by anything that is configured
	keysMissing    bool              // no key is usable now, and fetching them failed
	refused        map[string]refusal
	database       string              // engine and place, for people
	databaseErr    error               // why the database does not answer
	reasons        []mirror.SyncReason // why the mirror is not proven to equal Clerk, as of a minute ago at most
	settings       *store.Settings     // in force
	stored         *storedFacts
	storedErr      error // why stored is nil though the database answers
}

// storedFacts is what the database knows.
type storedFacts struct {
	head          store.Head
	born          clerk.Time // when the database was made
	clock         clerk.Time // of the database, by which the ages of walks count
	deliveries    map[mirror.DeliveryState]int64
	lastDead      clerk.Time
	walks         map[string]store.Walk
	queues        map[clerk.Kind]store.Queue
	unreadable    map[clerk.Kind]int64 // in doubt, and Clerk refuses to return them
	unheard       []clerk.Kind         // they change at Clerk, and no event of them has ever come
	foreign       instance.Foreign     // other instances that meet this one
	rolesRejected int64
}

var errNoAnswer = errors.New("no answer within a second")

// readFacts asks the database for a sign of life, and if it gives one for everything else.
func (m *Mirror) readFacts(ctx context.Context) *facts {
	f := &facts{}
	head, err := m.db.Head(ctx)
	if err != nil {
		f.databaseErr = err
		return f
	}
	if head.Settings != m.db.Settings().Revision { // another process changed them, and no request has told this one yet
		_, f.storedErr = m.db.LoadSettings(ctx)
	}
	f.reasons = m.lastVerdict(ctx)
	if f.storedErr == nil {
		f.stored, f.storedErr = m.readStored(ctx, head)
	}
	if f.storedErr != nil {
		f.stored = nil
	}
	return f
}

// completeFacts adds what needs no database.
func (m *Mirror) completeFacts(f *facts) {
	f.now, f.config, f.production = m.config.Test.Now(), &m.config, m.production()
	f.settings = m.db.Settings()
	f.engine, f.durable, f.database = m.db.Engine(), !m.db.NonDurable(), m.db.String()
	f.takesWebhooks, f.readsClerk, f.instances = m.webhooks != nil, m.reconciler != nil, m.instance.AllowedInstances()
	f.noKeys = m.tokens == nil
	f.keysMissing = m.instance.KeysMissing()
	f.schedule = m.schedule()
	if at := m.listening.Load(); at != 0 {
		f.listeningSince = time.UnixMilli(at)
	}
	var accepted clerk.Time
	if f.stored != nil {
		accepted = f.stored.head.LastReceivedAt
	}
	if m.refusals != nil {
		f.refused = m.refusals.known(accepted)
	}
}

func (m *Mirror) readStored(ctx context.Context, head store.Head) (*storedFacts, error) {
	s := &storedFacts{head: head}
	for _, read := range []func() error{
		func() (err error) { s.born, err = m.db.CreatedAt(ctx); return err },
		func() (err error) { s.clock, err = m.db.Clock(ctx, clerk.TimeOf(m.config.Test.Now())); return err },
		func() (err error) { s.deliveries, err = m.db.CountNotApplied(ctx); return err },
		func() (err error) { s.lastDead, err = m.db.LastDeadLetter(ctx); return err },
		func() (err error) { s.walks, err = m.db.Walks(ctx); return err },
		func() (err error) { s.queues, err = m.db.Queues(ctx); return err },
		func() (err error) { s.unreadable, err = m.db.Unreadable(ctx); return err },
		func() (err error) { s.unheard, err = m.unheard(ctx); return err },
		func() (err error) { s.foreign, err = m.instance.Foreign(ctx); return err },
		func() (err error) { s.rolesRejected, err = m.db.RolesRejected(ctx); return err },
		func() error { return m.refusals.read(ctx) },
	} {
		if err := read(); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// unheard lists the kinds of which walks of the last days found changes, though no event of them has ever come.
func (m *Mirror) unheard(ctx context.Context) (kinds []clerk.Kind, err error) {
	for _, kind := range reconcile.Kinds() {
		at, err := m.db.LastNotSubscribed(ctx, kind)
		if err != nil {
			return nil, err
		}
		if at == 0 || m.config.Test.Now().Sub(at.Time()) > unheardFor {
			continue
		}
		heard, err := m.db.EventSeen(ctx, kind.EventPrefix())
		if err != nil {
			return nil, err
		}
		if !heard {
			kinds = append(kinds, kind)
		}
	}
	return kinds, nil
}
