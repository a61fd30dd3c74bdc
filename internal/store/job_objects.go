package store

import (
	"context"
	"slices"
	"strings"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/mirror"
)

// JobObject is an object that a job works on.
type JobObject struct {
	ID     string
	Cursor mirror.Cursor // of the list after this object
	Was    string        // the role of a user, the status of a session, the state of a delivery
	Label  string        // the type of a delivery, the user of a session
}

// JobObjects is a part of the objects that a job works on.
type JobObjects struct {
	Objects []JobObject
	Next    mirror.Cursor // where the next part begins, "" at the end
}

// The lists of the objects of jobs, as cursors name them. They are ordered by the time of creation
// or arrival, the oldest first: what comes later has its place after the end of the job.
const (
	jobUsersList      = "jobs.users"
	jobMembersList    = "jobs.members"
	jobSessionsList   = "jobs.sessions"
	jobDeliveriesList = "jobs.deliveries"
)

// jobList reads the objects of jobs from a table. A query looks at a bounded number of rows in
// their order, and says of each whether it is selected: a filter that selects few of many rows
// costs no more than one that selects all, and a part may have no object.
type jobList struct {
	name       string // as cursors name it
	from       string
	at, id     string // the order
	object     string // the id of the object
	was, label string
}

var (
	jobUsers = jobList{
		name: jobUsersList, from: "clerk_users_live", at: "COALESCE(created_at, 0)", id: "clerk_user_id", object: "clerk_user_id", was: "role", label: "''",
	}
	jobMembers = jobList{
		name: jobMembersList, from: "clerk_memberships_live m JOIN clerk_users_live u ON u.clerk_user_id = m.clerk_user_id",
		at: "COALESCE(m.created_at, 0)", id: "m.clerk_membership_id", object: "u.clerk_user_id", was: "u.role", label: "''",
	}
	jobSessions = jobList{
		name: jobSessionsList, from: "clerk_sessions_live", at: "COALESCE(created_at, 0)", id: "clerk_session_id", object: "clerk_session_id",
		was: "COALESCE(status, '')", label: "COALESCE(clerk_user_id, '')",
	}
	jobDeliveries = jobList{
		name: jobDeliveriesList, from: "clerk_inbox", at: "received_at", id: "message_id", object: "message_id", was: "state", label: "COALESCE(type, '')",
	}
)

// JobKind is a kind of objects that jobs work on.
type JobKind string

// The kinds of objects.
const (
	JobUser     JobKind = "user"
	JobSession  JobKind = "session"
	JobDelivery JobKind = "delivery"
)

// read returns the objects among the next rows that have the conditions of rows. Those that are
// wanted must have all conditions of wanted.
func (l *jobList) read(ctx context.Context, db *DB, rows where, wanted []filter, after mirror.Cursor, limit int) (p JobObjects, err error) {
	from, found, err := placeOf(l.name, after)
	if err != nil {
		return p, err
	}
	if found {
		rows.add(l.at+" >= ?", int64(from.at)) // by which SQLite finds the place in an index of an expression
		rows.add("("+l.at+", "+l.id+") > (?, ?)", int64(from.at), from.id)
	}
	conditions := len(rows.conditions)
	for _, f := range wanted {
		rows.add(f.condition, f.args...)
	}
	match := "1"
	if len(wanted) > 0 {
		match = "CASE WHEN " + strings.Join(rows.conditions[conditions:], " AND ") + " THEN 1 ELSE 0 END"
	}
	rows.conditions = rows.conditions[:conditions]
	args := append(slices.Clone(rows.args), limit)
	text := "SELECT " + strings.Join([]string{l.at, l.id, l.object, l.was, l.label, match}, ", ") + " FROM " + l.from + rows.String() +
		" ORDER BY " + l.at + ", " + l.id + " LIMIT " + param(len(args))
	type looked struct {
		JobObject

		place
		match bool
	}
	result, err := db.query(ctx, text, args...)
	list, err := scanAll(result, err, func(r Row) (o looked, err error) {
		return o, r.Scan(&o.at, &o.id, &o.ID, &o.Was, &o.Label, &o.match)
	})
	for i := range list {
		o := &list[i]
		o.Cursor = cursorOf(l.name, o.place)
		if o.match {
			p.Objects = append(p.Objects, o.JobObject)
		}
		if len(list) == limit {
			p.Next = o.Cursor
		}
	}
	return p, err
}

// NewestJobObject returns when the newest object of a kind was created or received, by the clock
// that dates such objects; of users who are members of an organization, when the newest membership
// was. It is 0 if there is none.
func (db *DB) NewestJobObject(ctx context.Context, kind JobKind, organization string) (clerk.Time, error) {
	l := map[JobKind]jobList{JobUser: jobUsers, JobSession: jobSessions, JobDelivery: jobDeliveries}[kind]
	var w where
	if kind == JobUser && organization != "" {
		l = jobMembers
		w.add("m.clerk_organization_id = ?", organization)
	}
	rows, err := db.query(ctx, "SELECT "+l.at+" FROM "+l.from+w.String()+" ORDER BY "+l.at+" DESC, "+l.id+" DESC LIMIT 1", w.args...)
	newest, err := scanAll(rows, err, scanOne[clerk.Time])
	if len(newest) == 0 {
		return 0, err
	}
	return newest[0], err
}

// JobDeliveries returns the deliveries among the next rows that a filter selects and that were
// received at a time or before.
func (db *DB) JobDeliveries(ctx context.Context, f mirror.DeliveryFilter, until clerk.Time, after mirror.Cursor, limit int) (JobObjects, error) {
	if end := (until + 1).Time(); f.Until.IsZero() || f.Until.After(end) {
		f.Until = end
	}
	var rows where
	var wanted []filter
	deliveryConditions(&f, rows.add, func(condition string, args ...any) { wanted = append(wanted, filter{condition, args}) })
	return jobDeliveries.read(ctx, db, rows, wanted, after, limit)
}

// JobUsers returns the live users among the next rows that a filter selects and that were created
// at a time or before. A search has a place only after all of a page.
func (db *DB) JobUsers(ctx context.Context, f mirror.UserFilter, until clerk.Time, after mirror.Cursor, limit int) (JobObjects, error) {
	if f.Search != "" {
		return db.jobUsersFound(ctx, f, until, after, limit)
	}
	l := jobUsers
	var rows where
	var wanted []filter
	switch {
	case f.OrganizationID != "":
		l = jobMembers
		rows.add("m.clerk_organization_id = ?", f.OrganizationID)
		if f.Role != "" {
			wanted = append(wanted, filter{"u.role = ?", []any{f.Role}})
		}
	case f.Role != "":
		rows.add("role = ?", f.Role)
	}
	switch {
	case f.Active == nil:
	case *f.Active:
		wanted = append(wanted, filter{isActive, nil})
	case len(rows.conditions) > 0:
		wanted = append(wanted, filter{isInactive, nil})
	default:
		rows.add(isInactive)
	}
	rows.add(l.at+" <= ?", int64(until))
	return l.read(ctx, db, rows, wanted, after, limit)
}

// jobUsersFound returns a page of the users that a search finds.
func (db *DB) jobUsersFound(ctx context.Context, f mirror.UserFilter, until clerk.Time, after mirror.Cursor, limit int) (p JobObjects, err error) {
	f.After, f.Limit = after, limit
	page, err := db.Users(ctx, f)
	if err != nil {
		return p, err
	}
	p.Next = page.Next
	for i := range page.Items {
		if u := &page.Items[i]; clerk.TimeOf(u.CreatedAt) <= until {
			p.Objects = append(p.Objects, JobObject{ID: u.ClerkUserID, Cursor: after, Was: u.Role})
		}
	}
	if n := len(p.Objects); n > 0 {
		p.Objects[n-1].Cursor = page.Next
	}
	return p, nil
}

// JobSessions returns the live sessions among the next rows that can be revoked, that a filter
// selects and that were created at a time or before.
func (db *DB) JobSessions(ctx context.Context, f mirror.SessionFilter, until clerk.Time, after mirror.Cursor, limit int) (JobObjects, error) {
	var rows where
	wanted := []filter{{"status IN ('active', 'pending')", nil}}
	if f.Status != "" {
		wanted = append(wanted, filter{"status = ?", []any{string(f.Status)}})
	}
	if f.ClerkUserID != "" {
		rows.add("clerk_user_id = ?", f.ClerkUserID)
	}
	rows.add(jobSessions.at+" <= ?", int64(until))
	return jobSessions.read(ctx, db, rows, wanted, after, limit)
}

// JobObjectsOf returns the objects with some ids that exist, in the order of the ids. They have no
// cursors.
func (db *DB) JobObjectsOf(ctx context.Context, kind JobKind, ids []string) (list []JobObject, err error) {
	l := map[JobKind]jobList{JobUser: jobUsers, JobSession: jobSessions, JobDelivery: jobDeliveries}[kind]
	condition, arg := db.engine.oneOf(l.id, ids)
	rows, err := db.query(ctx, "SELECT "+strings.Join([]string{l.id, l.was, l.label}, ", ")+" FROM "+l.from+" WHERE "+condition, arg)
	found, err := scanMap(rows, err, func(r Row) (string, JobObject, error) {
		var o JobObject
		err := r.Scan(&o.ID, &o.Was, &o.Label)
		return o.ID, o, err
	})
	for _, id := range ids {
		if o, ok := found[id]; ok {
			list = append(list, o)
		}
	}
	return list, err
}
