package converge

import (
	"testing"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/internal/row"
)

// stored is a set of rows as a caller of a delta has them.
type stored map[row.Key]*row.Row

func (s stored) Row(key row.Key) (r *row.Row, exists bool) {
	if r = s[key]; r == nil {
		return nil, false
	}
	return r, r.Raw != ""
}

func user(t *testing.T, body string) Operation {
	t.Helper()
	v, err := clerk.Parse([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return FromRead(row.Key{Kind: clerk.KindUser, ID: v.Get("id").String()}, v, v.JSON(), 5, 0)
}

// TestDeltaLeavesRowsAlone: a caller can drop a delta, and use it again.
func TestDeltaLeavesRowsAlone(t *testing.T) {
	t.Parallel()
	key := row.Key{Kind: clerk.KindUser, ID: "user_1"}
	rows := stored{key: {Key: key}}
	d := NewDelta(rows, []string{"solo", "admin"})
	first, second := user(t, `{"id":"user_1","updated_at":1}`), user(t, `{"id":"user_1","updated_at":2,"public_metadata":{"role":"admin"}}`)
	d.Apply(&first)
	d.Apply(&second)
	if len(d.Drafts) != 1 || d.Drafts[0].Row.UpdatedAt != 2000 || !d.Drafts[0].Save || !d.Drafts[0].Exists || len(d.Changes) != 2 {
		t.Errorf("two versions make %+v", d.Drafts)
	}
	if len(d.RoleChanges) != 1 || d.RoleChanges[0].Was != "solo" || d.RoleChanges[0].Became != "admin" {
		t.Errorf("the role changes: %+v", d.RoleChanges)
	}
	if got := rows[key]; got.Raw != "" || got.UpdatedAt != 0 {
		t.Errorf("the stored row is %+v", got)
	}
	d.Reset()
	if r, exists := d.Row(key); exists || r.UpdatedAt != 0 || len(d.Changes) != 0 || len(d.Drafts) != 0 {
		t.Errorf("after a reset: %+v, %v", r, d.Effects)
	}
}

// TestDeltaOfAnUnknownObject: a read that does not find what was never known changes nothing.
func TestDeltaOfAnUnknownObject(t *testing.T) {
	t.Parallel()
	key := row.Key{Kind: clerk.KindUser, ID: "user_1"}
	d := NewDelta(stored{key: {Key: key}}, []string{"solo"})
	d.Apply(&Operation{Key: key, Action: NotFound, At: 7, Read: true})
	if d.Drafts[0].Save || d.Drafts[0].Exists || len(d.Changes) != 0 {
		t.Errorf("%+v", d.Drafts)
	}
}

// TestStubIsCreatedWhenItsOwnDataComes: a consumer that waits for user.created gets it, even if the
// stub that came first, embedded in a session, had the same content.
func TestStubIsCreatedWhenItsOwnDataComes(t *testing.T) {
	t.Parallel()
	key := row.Key{Kind: clerk.KindUser, ID: "user_1"}
	full := user(t, `{"id":"user_1","first_name":"Ada"}`)
	embedded := full
	embedded.Rank = row.Full - 1
	d := NewDelta(stored{key: {Key: key}}, []string{"solo"})
	for _, op := range []Operation{embedded, full, full} {
		d.Apply(&op)
	}
	if len(d.Changes) != 2 || d.Changes[0].Operation != row.OpUpdated || d.Changes[1].Operation != row.OpCreated {
		t.Errorf("changes: %+v", d.Changes)
	}
}
