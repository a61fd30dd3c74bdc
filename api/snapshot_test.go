package api

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/mirror"
)

// A client that connects with a snapshot, is cut again and again, and reconnects as an EventSource
// does, has the state of the mirror.
func TestSnapshotThenFollow(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	var ids []string
	for i := range 12 {
		ids = append(ids, s.clerk.CreateUser(userNumber(i)))
	}
	s.clerk.CreateOrganization("Engines", ids[0])
	s.clerk.Settle()
	url, _ := serve(t, s.h)
	target := url + "/api/changes?snapshot=users,organizations&kind=users&kind=organizations&include=object&limit=5"

	objects := map[string]string{} // by kind and id
	complete, lastID := 0, ""
	apply := func(b block) {
		t.Helper()
		c := b.change()
		key := string(c.Kind) + " " + c.ID
		switch {
		case b.event == "snapshot_complete":
			complete++
			if want := `{"cursor":"` + b.id + `"}`; b.data != want || strings.HasPrefix(b.id, "s.") {
				t.Errorf("complete: %+v", b)
			}
		case b.event == "read" != (complete == 0) || b.event != "read" && b.event != "change" || c.AsOf == "" || string(c.Cursor) != b.id:
			t.Errorf("after %d snapshots: %+v", complete, b)
		case string(c.Object) == "null":
			delete(objects, key)
		default:
			objects[key] = string(c.Object)
		}
		lastID = b.id
	}
	for i := 0; complete == 0; i++ { // four events a connection
		stream := connect(t, target, lastID)
		for range 4 {
			apply(stream.event(t))
			if complete > 0 {
				break
			}
		}
		stream.close()
		if i == 1 { // within the snapshot, what was read already changes
			s.clerk.DeleteUser(ids[0])
			s.clerk.UpdateUser(ids[1], map[string]any{"first_name": "Ada"})
			s.clerk.Settle()
		}
	}
	stream := connect(t, target, lastID)
	s.clerk.UpdateUser(ids[2], map[string]any{"first_name": "Grace"})
	s.clerk.DeleteUser(ids[3])
	s.clerk.Settle()
	for end := s.page("").Next; lastID != string(end); {
		b, err := stream.next()
		if err != nil {
			t.Fatal(err)
		}
		if b.hasData {
			apply(b)
		} else if b.hasID { // only a change of another kind was left
			lastID = b.id
		}
	}
	want := map[string]string{}
	for _, kind := range []clerk.Kind{clerk.KindUser, clerk.KindOrganization} {
		for _, c := range s.page("limit=1000&include=object&snapshot=" + string(kind)).Changes {
			want[string(c.Kind)+" "+c.ID] = string(c.Object)
		}
	}
	if len(want) != 11 || !maps.Equal(objects, want) || complete != 1 {
		t.Errorf("after %d snapshots the client has %v, want %v", complete, objects, want)
	}
}

// A snapshot of all kinds can be continued from every page, also from the first one, whose cursor
// has the names of all kinds.
func TestSnapshotOfAllKindsIsContinued(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	ada, _ := s.user("ada@example.com", "")
	s.clerk.CreateOrganization("Engines", ada)
	s.clerk.Settle()
	after, seen := "snapshot=all", 0
	for range 50 {
		page := s.page(after + "&limit=1")
		if seen += len(page.Changes); !strings.HasPrefix(string(page.Next), "s.") {
			break
		}
		after = "after=" + string(page.Next)
	}
	if seen != 4 { // user, session, organization and membership
		t.Errorf("%d objects", seen)
	}
}

// The same by pages: a snapshot ends in an ordinary cursor.
func TestSnapshotByPages(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	ada, _ := s.user("ada@example.com", "")
	page := s.page("snapshot=all")
	reads := page.Changes
	for strings.HasPrefix(string(page.Next), "s.") {
		page = s.page("after=" + string(page.Next))
		reads = append(reads, page.Changes...)
	}
	kinds := map[clerk.Kind]string{}
	for _, c := range reads {
		if c.Operation != mirror.Read || c.Object != nil {
			t.Errorf("%+v", c)
		}
		kinds[c.Kind] = c.ID
	}
	if kinds[clerk.KindUser] != ada || kinds[clerk.KindSession] == "" || page.Next != s.page("").Next {
		t.Errorf("%v, then %s", kinds, page.Next)
	}
	if a := s.ask("/api/changes?snapshot=all&limit=1", operatorToken); !json.Valid([]byte(a.body)) || !strings.Contains(a.body, `"type":"session.read"`) && !strings.Contains(a.body, `"type":"user.read"`) {
		t.Errorf("%s", a.body)
	}
}
