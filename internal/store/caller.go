package store

import (
	"context"

	"github.com/clerksync/clerksync/clerk"
	"github.com/clerksync/clerksync/mirror"
)

// CallerKeys name what [DB.Caller] reads. What is empty is not read.
type CallerKeys struct {
	UserID         string
	SessionID      string
	OrganizationID string
	MemberID       string // the user whose membership in the organization is read, too
}

// CallerRows are the stored facts about a caller.
type CallerRows struct {
	User         UserRows
	Session      mirror.Session
	SessionFound bool
	Organization OrganizationRows
	Membership   MembershipRows
}

// UserRows are the stored facts about a user.
type UserRows struct {
	Row     mirror.User
	Found   bool  // the user is stored and not deleted
	Deleted bool  // the user is known to be deleted, which is not the same as unknown
	Queued  int64 // the number of the transaction that last put the user into the verify queue, or 0
	Plans   Plans
}

// OrganizationRows are the stored facts about an organization.
type OrganizationRows struct {
	Row     mirror.Organization
	Found   bool // the organization is stored and not deleted
	Deleted bool // the organization is known to be deleted, which is not the same as unknown
	Plans   Plans
}

// MembershipRows are the stored facts about a user in an organization.
type MembershipRows struct {
	Row    mirror.Membership
	Found  bool // the membership is stored and not deleted
	Queued []Queued
	LostAt clerk.Time // when the user was last known to lose the organization; 0 means never
}

// Plans are the plans of a payer that are in force: active, or past due.
type Plans struct {
	Slugs []string
	Known bool // a subscription of the payer was seen, now or earlier
}

// Caller reads facts about a caller. On Postgres that takes one round trip; each fact is as it was
// at some time during the call, in the order of the statements. What is in the verify queue is read
// before the row that it puts in doubt.
func (db *DB) Caller(ctx context.Context, keys CallerKeys) (CallerRows, error) {
	var c CallerRows
	a := asker{db: db, ctx: ctx, together: db.sender != nil && db.snapshotOf(ctx) == nil}
	if keys.UserID != "" {
		a.user(&c.User, keys.UserID)
	}
	if keys.SessionID != "" {
		a.session(&c, keys.SessionID)
	}
	if keys.MemberID != "" {
		a.membership(&c.Membership, keys.MemberID, keys.OrganizationID)
	}
	if keys.OrganizationID != "" {
		a.organization(&c.Organization, keys.OrganizationID)
	}
	if err := a.send(); err != nil {
		return CallerRows{}, err
	}
	if err := describeOverrides(ctx, db, []mirror.User{c.User.Row}, userOverrides); err != nil {
		return CallerRows{}, err
	}
	return c, describeOverrides(ctx, db, []mirror.Session{c.Session}, sessionOverrides)
}

// asker asks questions: at once, or on Postgres together.
type asker struct {
	db       *DB
	ctx      context.Context //nolint:containedctx // it lives as long as the call
	together bool
	waiting  []Statement
	err      error // of the first question that failed
}

func (a *asker) ask(scan func(Row) error, text string, args ...any) {
	switch {
	case a.err != nil:
	case a.together:
		a.waiting = append(a.waiting, Statement{text, asStored(args), scan})
	default:
		rows, err := a.db.query(a.ctx, text, args...)
		a.err = scanEach(rows, err, scan)
	}
}

func (a *asker) send() error {
	if a.err != nil || len(a.waiting) == 0 {
		return a.err
	}
	conn, err := a.db.read.Conn(a.ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	return a.db.sender(a.ctx, conn, a.waiting)
}

func (a *asker) user(u *UserRows, id string) {
	a.ask(func(r Row) error { return r.Scan(&u.Queued, (*boolean)(&u.Deleted)) }, `SELECT
		(SELECT COALESCE(max(queued_write), 0) FROM clerk_verify WHERE kind = 'user' AND id = $1),
		COALESCE((SELECT sync_hidden FROM clerk_users WHERE clerk_user_id = $1), 0)`, id)
	a.ask(func(r Row) (err error) {
		u.Found, u.Deleted = true, false
		u.Row, err = scanUser(r)
		return err
	}, selectUsers+" WHERE clerk_user_id = $1", id)
	a.plans(&u.Plans, id, "")
}

func (a *asker) session(c *CallerRows, id string) {
	a.ask(func(r Row) (err error) {
		c.SessionFound = true
		c.Session, err = scanSession(r)
		return err
	}, selectSessions+" WHERE clerk_session_id = $1", id)
}

func (a *asker) organization(o *OrganizationRows, id string) {
	a.ask(func(r Row) error { return r.Scan((*boolean)(&o.Deleted)) }, "SELECT sync_hidden FROM clerk_organizations WHERE clerk_organization_id = $1", id)
	a.ask(func(r Row) (err error) {
		o.Found, o.Deleted = true, false
		o.Row, err = scanOrganization(r)
		return err
	}, selectOrganizations+" WHERE clerk_organization_id = $1", id)
	a.plans(&o.Plans, "", id)
}

func (a *asker) membership(m *MembershipRows, user, organization string) {
	a.ask(func(r Row) error {
		var q Queued
		err := r.Scan((*text)(&q.Key.Kind), &q.Key.ID, &q.Write)
		m.Queued = append(m.Queued, q)
		return err
	}, membershipQueued, user, organization)
	a.ask(func(r Row) (err error) {
		m.Found = true
		m.Row, err = scanMembership(r)
		return err
	}, selectMemberships+whereMember, user, organization)
	// leaving counts, and so does the deletion of the organization
	a.ask(func(r Row) error { return r.Scan(&m.LostAt) }, `SELECT COALESCE(max(at), 0) FROM (
		SELECT deleted_at AS at FROM clerk_memberships`+whereMember+` AND sync_hidden = 1
		UNION ALL SELECT deleted_at FROM clerk_organizations WHERE clerk_organization_id = $2 AND sync_hidden = 1) gone`, user, organization)
}

// membershipQueued lists the objects in the verify queue on which a user's rights in an
// organization depend: the membership, the role that it names, and the permissions of that role. A
// role whose key is unknown may be that role. A permission that is queued only because it was seen
// only inside the role does not count. A role's key is written with and without the prefix org:.
const (
	rolesOfMember = `SELECT m.role FROM clerk_memberships_live m WHERE m.clerk_user_id = $1 AND COALESCE(m.clerk_organization_id, '') = $2
		UNION ALL SELECT CASE WHEN m.role LIKE 'org:%' THEN substr(m.role, 5) ELSE 'org:' || m.role END
		FROM clerk_memberships_live m WHERE m.clerk_user_id = $1 AND COALESCE(m.clerk_organization_id, '') = $2`
	membershipQueued = `SELECT kind, id, max(queued_write) FROM (
		SELECT v.kind, v.id, v.queued_write FROM clerk_memberships_live m
			JOIN clerk_verify v ON v.kind = 'organization_membership' AND v.id = m.clerk_membership_id
			WHERE m.clerk_user_id = $1 AND COALESCE(m.clerk_organization_id, '') = $2
		UNION ALL SELECT v.kind, v.id, v.queued_write FROM clerk_verify v JOIN clerk_roles r ON r.clerk_role_id = v.id
			WHERE v.kind = 'role' AND r.sync_hidden = 0 AND (r.role_key IS NULL OR r.role_key IN (` + rolesOfMember + `))
		UNION ALL SELECT v.kind, v.id, v.queued_write FROM clerk_verify v JOIN clerk_roles r ON r.permissions LIKE '%"' || v.id || '"%'
			WHERE v.kind = 'permission' AND v.reason <> 'stub' AND r.sync_hidden = 0 AND r.role_key IN (` + rolesOfMember + `)
		) q GROUP BY kind, id ORDER BY kind, id`
)

func (a *asker) plans(p *Plans, user, organization string) {
	a.ask(func(r Row) error {
		var slug, status string
		err := r.Scan(&slug, &status)
		if p.Known = true; slug != "" && (status == "active" || status == "past_due") {
			p.Slugs = append(p.Slugs, slug)
		}
		return err
	}, `SELECT COALESCE(plan_slug, ''), COALESCE(status, '') FROM clerk_subscription_items_live
		WHERE COALESCE(clerk_organization_id, '') = $1 AND ($1 <> '' OR clerk_user_id = $2) ORDER BY plan_slug`, organization, user)
}
