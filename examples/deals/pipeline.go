package main

import (
	"cmp"
	"context"
	"database/sql"
	_ "embed"
	"slices"
	"time"

	"github.com/google/uuid"
)

//go:embed schema.sql
var schema string

// Deal is a deal of an organization.
type Deal struct {
	ID             string `json:"id"`              // a UUID of version 7, which sorts by its time
	OrganizationID string `json:"organization_id"` // Clerk's id, org_…
	Title          string `json:"title"`
	Stage          string `json:"stage"`
	ValueUSD       int64  `json:"value_usd"`
	Owner          string `json:"owner"`      // name or email address; empty if the user is gone
	Version        int64  `json:"version"`    // counts the changes
	UpdatedAt      string `json:"updated_at"` // RFC 3339
}

// DealFields are what a member sets of a deal. What is nil stays as it is.
type DealFields struct {
	Title    *string `json:"title"`
	ValueUSD *int64  `json:"value_usd"`
	Stage    *string `json:"stage"`
	Version  *int64  `json:"version"` // that the deal must still have; nil is any
}

// DealPage is a part of a list of deals, newest first.
type DealPage struct {
	Deals []Deal `json:"deals"`
	Next  string `json:"next_cursor,omitempty"` // where the next page begins; empty on the last page
}

// Total is the number and the value of the deals in a stage, or of an organization.
type Total struct {
	OrganizationID string `json:"organization_id"`
	Name           string `json:"name"`
	Deals          int64  `json:"deals"`
	ValueUSD       int64  `json:"value_usd"`
}

// Pipeline is the deals of one organization. Each of its queries names the organization, so that a
// handler cannot reach the deals of another one.
type Pipeline struct {
	db             *sql.DB
	organizationID string
}

// Stages returns the stages in order. There are none until the mirror has stored the organization:
// see addStages.
func (p Pipeline) Stages(ctx context.Context) ([]Total, error) {
	return query(ctx, p.db, (*Total).columns, `
		SELECT s.organization_id, s.name, count(d.id), CAST(COALESCE(sum(d.value_usd), 0) AS bigint)
		FROM deal_stages s
		LEFT JOIN deals d ON d.organization_id = s.organization_id AND d.stage = s.name
		WHERE s.organization_id = $1
		GROUP BY s.organization_id, s.name, s.position
		ORDER BY s.position`, p.organizationID)
}

// Total returns the name of the organization, and the total of its deals.
func (p Pipeline) Total(ctx context.Context) (Total, error) {
	totals, err := listTotals(ctx, p.db, "o.clerk_organization_id = $1", p.organizationID)
	return append(totals, Total{})[0], err // without a name if the mirror has not stored it
}

// List returns a page of deals. It begins after the deal with an id, or with the newest one.
func (p Pipeline) List(ctx context.Context, after string, limit int) (DealPage, error) {
	return listDeals(ctx, p.db, "d.organization_id = $1", p.organizationID, after, limit)
}

// Read returns a deal.
func (p Pipeline) Read(ctx context.Context, id string) (Deal, error) {
	deals, err := query(ctx, p.db, (*Deal).columns, selectDeals+"WHERE d.organization_id = $1 AND d.id = $2", p.organizationID, id)
	if err != nil || len(deals) == 0 {
		return Deal{}, cmp.Or(err, error(errNotFound))
	}
	return deals[0], nil
}

// Create makes a deal, in the first stage unless the fields name another one. The owner is the id
// of a row of the mirror's users.
func (p Pipeline) Create(ctx context.Context, owner string, fields DealFields) (Deal, error) {
	if err := p.checkStage(ctx, fields.Stage); err != nil {
		return Deal{}, err
	}
	id := uuid.Must(uuid.NewV7()).String()
	return p.change(ctx, `
		INSERT INTO deals (id, organization_id, stage, title, value_usd, owner, version, updated_at)
		SELECT $2, organization_id, name, $3, COALESCE($4, 0), $5, 1, $6
		FROM deal_stages WHERE organization_id = $1 AND name = COALESCE($7, name)
		ORDER BY position LIMIT 1`,
		id, fields.Title, fields.ValueUSD, owner, time.Now().UTC().Format(time.RFC3339), fields.Stage)
}

// Update changes a deal.
func (p Pipeline) Update(ctx context.Context, id string, fields DealFields) (Deal, error) {
	if err := p.checkStage(ctx, fields.Stage); err != nil {
		return Deal{}, err
	}
	return p.change(ctx, `
		UPDATE deals SET title = COALESCE($3, title), value_usd = COALESCE($4, value_usd), stage = COALESCE($5, stage),
			version = version + 1, updated_at = $6
		WHERE organization_id = $1 AND id = $2 AND version = COALESCE($7, version)`,
		id, fields.Title, fields.ValueUSD, fields.Stage, time.Now().UTC().Format(time.RFC3339), fields.Version)
}

// Delete deletes a deal, and returns it as it was.
func (p Pipeline) Delete(ctx context.Context, id string) (Deal, error) {
	deal, err := p.Read(ctx, id)
	if err == nil {
		_, err = p.db.ExecContext(ctx, "DELETE FROM deals WHERE organization_id = $1 AND id = $2", p.organizationID, id)
	}
	return deal, err
}

// change executes a statement about one deal, and returns the deal.
func (p Pipeline) change(ctx context.Context, text, id string, args ...any) (Deal, error) {
	result, err := p.db.ExecContext(ctx, text, append([]any{p.organizationID, id}, args...)...)
	if err != nil {
		return Deal{}, err
	}
	deal, err := p.Read(ctx, id)
	if n, _ := result.RowsAffected(); n == 0 && err == nil {
		err = errChanged // it is there, but has another version
	}
	return deal, err
}

// checkStage returns an error for a stage that the organization does not have. nil is any stage.
func (p Pipeline) checkStage(ctx context.Context, name *string) error {
	stages, err := p.Stages(ctx)
	if err == nil && len(stages) == 0 {
		return errNotReady
	}
	if err == nil && !slices.ContainsFunc(stages, func(stage Total) bool { return name == nil || stage.Name == *name }) {
		return invalid("stage", "is not a stage of your organization")
	}
	return err
}

// everyone is the scope of admins. A scope is a condition on $1, the organization of the caller.
const everyone = "$1 = ''"

// listTotals returns the organizations in a scope, with the most valuable deals first.
func listTotals(ctx context.Context, db *sql.DB, scope, organizationID string) ([]Total, error) {
	return query(ctx, db, (*Total).columns, `
		SELECT o.clerk_organization_id, COALESCE(o.name, ''), count(d.id), CAST(COALESCE(sum(d.value_usd), 0) AS bigint)
		FROM clerk_organizations_typed o
		LEFT JOIN deals d ON d.organization_id = o.clerk_organization_id
		WHERE `+scope+`
		GROUP BY o.clerk_organization_id, o.name
		ORDER BY 4 DESC, 1
		LIMIT $2`, organizationID, maxPage)
}

// selectDeals selects the columns of a deal. The mirror's view hides users who are deleted.
const selectDeals = `
	SELECT d.id, d.organization_id, d.title, d.stage, d.value_usd,
		COALESCE(NULLIF(TRIM(COALESCE(u.first_name, '') || ' ' || COALESCE(u.last_name, '')), ''), u.email, ''),
		d.version, d.updated_at
	FROM deals d
	LEFT JOIN clerk_users_typed u ON u.id = d.owner `

// listDeals returns a page of the deals in a scope.
func listDeals(ctx context.Context, db *sql.DB, scope, organizationID, after string, limit int) (DealPage, error) {
	deals, err := query(ctx, db, (*Deal).columns, selectDeals+"WHERE "+scope+` AND d.id < $2 ORDER BY d.id DESC LIMIT $3`,
		organizationID, cmp.Or(after, uuid.Max.String()), limit+1) // one more: is there a next page?
	if err != nil || len(deals) <= limit {
		return DealPage{Deals: deals}, err
	}
	return DealPage{deals[:limit], deals[limit-1].ID}, nil
}

func (d *Deal) columns() []any {
	return []any{&d.ID, &d.OrganizationID, &d.Title, &d.Stage, &d.ValueUSD, &d.Owner, &d.Version, &d.UpdatedAt}
}

func (t *Total) columns() []any { return []any{&t.OrganizationID, &t.Name, &t.Deals, &t.ValueUSD} }

// query returns the rows of a query. columns returns where to scan the columns of a row.
func query[Row any](ctx context.Context, db *sql.DB, columns func(*Row) []any, text string, args ...any) ([]Row, error) {
	rows, err := db.QueryContext(ctx, text, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := []Row{} // never nil: no rows are [] in JSON
	for rows.Next() {
		var row Row
		if err := rows.Scan(columns(&row)...); err != nil {
			return nil, err
		}
		all = append(all, row)
	}
	return all, rows.Err()
}
