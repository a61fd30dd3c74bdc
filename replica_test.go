package clerksync_test

import (
	"strings"
	"testing"
	"time"

	"github.com/clerksync/clerksync"
	"github.com/clerksync/clerksync/internal/testenv"
	"github.com/clerksync/clerksync/mirror"
	"github.com/clerksync/clerksync/postgres"
)

// replicated is a mirror whose lists are read from a streaming replica.
type replicated struct {
	*testing.T
	*clerksync.Mirror

	replica *testenv.PostgresServer
}

func newReplicated(t *testing.T) *replicated {
	t.Helper()
	r := &replicated{T: t}
	primary := testenv.NewPostgresServer(t, testenv.ServerOptions{})
	writer, err := postgres.Open(primary.DSN())
	r.must(err)
	r.must(writer.Migrate(t.Context()))
	r.replica = primary.Replica(t)
	readDB, err := postgres.OpenReadOnly(r.replica.DSN())
	r.must(err)
	r.Mirror, err = clerksync.New(t.Context(), writer, clerksync.Config{ReadDB: readDB})
	r.must(err)
	t.Cleanup(func() { r.must(r.Close()) })
	return r
}

func (r *replicated) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

// add stores a user as the application would.
func (r *replicated) add(id string) {
	r.Helper()
	_, err := r.Users().Apply(r.Context(), []byte(`{"object":"user","id":"`+id+`","created_at":1780000000000,"updated_at":1780000000000}`))
	r.must(err)
}

// users lists the ids of the users.
func (r *replicated) users() string {
	r.Helper()
	page, err := r.Users().List(r.Context(), mirror.UserFilter{})
	r.must(err)
	ids := make([]string, len(page.Items))
	for i, u := range page.Items {
		ids[i] = u.ClerkUserID
	}
	return strings.Join(ids, " ")
}

func (r *replicated) await(what string, holds func() bool) {
	r.Helper()
	for end := time.Now().Add(30 * time.Second); !holds(); <-time.After(20 * time.Millisecond) {
		if time.Now().After(end) {
			r.Fatalf("in vain waited for %s: %+v", what, r.Health(r.Context()))
		}
	}
}

func (r *replicated) used() bool {
	h := r.Health(r.Context())
	return h.ReadReplica != nil && h.ReadReplica.Used
}

func (r *replicated) warning() string {
	for _, w := range r.Health(r.Context()).Warnings {
		if w.Code == "read_replica" {
			return w.Message
		}
	}
	return ""
}

// Lists come from the replica while it is near. What a caller was told is there all the same, and
// what an operator changed. Where the replica falls behind, fails or is away, the primary answers.
func TestListsAreReadFromAReplica(t *testing.T) {
	t.Parallel()
	r := newReplicated(t)
	r.add("user_a")
	r.await("the replica to have the user", func() bool { return r.used() && r.users() == "user_a" })

	r.replica.Execute("SELECT pg_wal_replay_pause()")
	<-time.After(100 * time.Millisecond) // it pauses after what it is replaying
	r.add("user_b")
	if got := r.users(); got != "user_a" {
		t.Errorf("with a paused replica the list is %q: it was not read from the replica", got)
	}
	if user, err := r.Users().ByClerkID(t.Context(), "user_b"); err != nil {
		t.Errorf("a single object is not read from the primary: %+v, %v", user, err)
	}
	head, err := r.Feed().Head(t.Context())
	r.must(err)
	r.must(r.Feed().Reached(t.Context(), head, 0))
	if got := r.users(); got != "user_b user_a" {
		t.Errorf("after Reached, the list is %q", got)
	}
	r.replica.Execute("SELECT pg_wal_replay_resume()")
	r.await("the replica to be used again", r.used)

	r.replica.Execute("SELECT pg_wal_replay_pause()")
	<-time.After(100 * time.Millisecond)
	_, _, err = r.Operators().Add(t.Context(), clerksync.NewOperator{Name: "ada"})
	r.must(err)
	if audit, err := r.Audit().List(t.Context(), mirror.AuditFilter{}); err != nil || len(audit.Items) != 1 {
		t.Errorf("an operator does not see what was changed: the audit lists %+v, %v", audit.Items, err)
	}
	r.add("user_c")
	r.await("the replica to be too far behind", func() bool { return !r.used() })
	if got := r.users(); got != "user_c user_b user_a" {
		t.Errorf("with a replica that is too far behind, the list is %q", got)
	}
	if got := r.warning(); !strings.Contains(got, "behind") {
		t.Errorf("the warning is %q", got)
	}
	r.replica.Execute("SELECT pg_wal_replay_resume()")
	r.await("the replica to be used again", r.used)

	r.replica.Stop()
	if got := r.users(); got != "user_c user_b user_a" {
		t.Errorf("without the replica, the list is %q", got)
	}
	r.await("the warning", func() bool { return r.warning() != "" && !r.used() })
	r.replica.Start()
	r.await("the replica to be used again", r.used)
}

// A database that is no copy of the primary is not read.
func TestAnotherDatabaseIsNoReplica(t *testing.T) {
	t.Parallel()
	other := testenv.Postgres(t)
	db, err := postgres.Open(other)
	if err != nil {
		t.Fatal(err)
	}
	m, err := clerksync.New(t.Context(), db, clerksync.Config{})
	if err != nil {
		t.Fatal(err)
	}
	o := &replicated{T: t, Mirror: m}
	o.add("user_of_another")
	o.must(m.Close())

	writer, err := postgres.Open(testenv.Postgres(t))
	o.must(err)
	reader, err := postgres.OpenReadOnly(other)
	o.must(err)
	o.Mirror, err = clerksync.New(t.Context(), writer, clerksync.Config{ReadDB: reader})
	o.must(err)
	defer func() { o.must(o.Close()) }()
	o.add("user_a")
	if got := o.users(); got != "user_a" {
		t.Errorf("the list is %q", got)
	}
	o.await("the warning", func() bool { return strings.Contains(o.warning(), "not a copy") })
}
